import { describe, expect, it } from 'vitest';
import { MONITOR_VIEWS } from '../../src/monitor/look.ts';
import { renderMonitor, renderMonitorText } from '../../src/monitor/screen.ts';
import { type MonitorState, monitorStep } from '../../src/monitor/state.ts';
import { PLAIN } from '../../src/report/table.ts';
import { displayWidth } from '../../src/text/width.ts';
import { lookAt, play, saleOf, sessionRow } from './monitor-kit.ts';

const TITLE = '東京のデータベース at a-host-with-a-long-name.example.org';

function draw(state: MonitorState, width: number, height = 24): string[] {
  const options = { width, height, style: PLAIN, intervalMs: 1000, title: TITLE };
  return renderMonitor(state, options);
}

const long = 'update registrations set status = $1 where event_id = $2 and a_long_condition = true';
const activity = [
  sessionRow(4711, { statement: long, waitsFor: 'Lock: transactionid' }),
  sessionRow(4712, { user: '日本語の名前', statement: 'select 1\n\u001b[2Jfrom a\ttable' }),
  ...Array.from({ length: 40 }, (_, at) => sessionRow(100 + at)),
];
const full = (at: number, taken: number) =>
  lookAt(at, {
    ...{ activity, locks: [], replication: [], notes: ['something is hidden from a role'] },
    counters: { commits: at * 1000 },
    statements: [{ id: '1', query: long, calls: at * 7, totalMs: at * 70, rows: 0 }],
    sale: saleOf({ 1: [500, taken], 2: [1, 1] }),
  });
const looks = [full(0, 0), full(1, 100)];

describe.each([40, 80, 120])('a screen of %i columns', (width) => {
  it.each(MONITOR_VIEWS.map((view, at) => [view, String(at + 1)]))(
    'shows %s in as many lines as it has, none too wide',
    (view, key) => {
      const { state } = play([...looks, key]);
      expect(state.view).toBe(view);
      const states = [state, play(['?'], state).state, play(['/', 'x'], state).state];
      for (const one of [...states, play([...looks, 'k']).state]) {
        for (const height of [3, 12, 24]) {
          const lines = draw(one, width, height);
          expect(lines).toHaveLength(height);
          expect(lines.filter((line) => displayWidth(line) > width)).toEqual([]);
        }
      }
      expect(draw(state, width)[1]).toContain(`[${key} ${view}]`);
    },
  );

  it('asks with the name of the session and what it runs', () => {
    const text = draw(play([...looks, 'down', 'k']).state, width).join('\n');
    expect(text).toMatch(/End session\s+4711\s+\(app,\s+api\)\?\s+y\/n/);
    expect(text).toContain('update registrations set');
  });
});

it('keeps the marked row in sight', () => {
  const { state } = play([...looks, 'end']);
  const marked = draw(state, 80).filter((line) => line.startsWith('>'));
  expect(marked).toHaveLength(1);
  expect(marked[0]).toContain('100');
});

it('shows nothing that acts on the terminal', () => {
  const lines = draw(play([...looks, '/', '日', 'return']).state, 200).join('\n');
  expect(lines).not.toMatch(/\p{Cc}(?<!\n)/u);
  expect(lines).toContain('select 1 \\u{1b}[2Jfrom a table');
});

it('says that the connection is lost, with what was seen last', () => {
  const { state } = monitorStep(play(looks).state, {
    ...{ kind: 'lost', message: 'the server closed the connection: trying again in 500 ms' },
  });
  const lines = draw(state, 80);
  expect(lines.at(-2)).toBe('the server closed the connection: trying again in 500 ms');
  expect(lines.join('\n')).toContain('4711');
});

it('is text with every row, and without a mark, where there is no terminal', () => {
  const text = renderMonitorText(play(looks).state, { width: 120, style: PLAIN });
  expect(text).toContain('note: something is hidden from a role');
  expect(text.filter((line) => /^\s*\d+ .*active +\d/.test(line))).toHaveLength(42);
  expect(text.join('\n')).not.toContain('q quit');
});

it('tells when an event is sold out', () => {
  const text = draw(play([...looks, '7']).state, 120).join('\n');
  expect(text).toMatch(/1 +Event 1 +400 +500 +0 +100 +4\.0 s/);
  expect(text).toMatch(/2 +Event 2 +0 +1 +0 +0 +sold out/);
});
