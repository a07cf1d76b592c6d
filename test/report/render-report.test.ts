import { describe, expect, it } from 'vitest';
import {
  oneLine,
  type ReportView,
  renderValue,
  type StatsReport,
  type Unit,
} from '../../src/report/columns.ts';
import { renderReport } from '../../src/report/render-report.ts';
import { PLAIN, type Style } from '../../src/report/table.ts';
import { renderTerminalTable } from '../../src/report/terminal-table.ts';
import { renderBytes, renderDuration } from '../../src/text/units.ts';
import { cutToWidth, displayWidth } from '../../src/text/width.ts';

interface IndexFacts {
  table: string;
  index: string;
  size: number;
  scans: number;
  lastUse: Date | null;
}

const VIEW: ReportView<IndexFacts> = {
  title: 'Indexes',
  columns: [
    { header: 'table', value: (row) => row.table, priority: 2 },
    { header: 'index', value: (row) => row.index },
    { header: 'size', unit: 'bytes', value: (row) => row.size },
    {
      header: 'scans',
      unit: 'count',
      value: (row) => row.scans,
      priority: 1,
      tone: (row) => (row.scans === 0 ? 'warning' : undefined),
    },
    { header: 'last use', unit: 'time', value: (row) => row.lastUse, priority: 3 },
  ],
  empty: () => 'no index in this database',
};

const ROWS: IndexFacts[] = [
  {
    table: 'registrations',
    index: 'registrations_event_id_user_id_status_idx',
    size: 12_582_912,
    scans: 1_234_567,
    lastUse: new Date(2026, 10, 22, 14, 3, 5),
  },
  { table: 'users', index: '利用者の索引', size: 8192, scans: 0, lastUse: null },
];

function report<T>(rows: T[], more: Partial<StatsReport<T>> = {}): StatsReport<T> {
  return { rows, countedSince: null, notes: [], ...more };
}

const draw = (width: number | undefined, more: object = {}) =>
  renderReport(report(ROWS), VIEW, { style: PLAIN, width, ...more });

/** The widest line, as a terminal shows it. */
function widthOf(text: string): number {
  return Math.max(...text.split('\n').map(displayWidth));
}

const MARKED: Style = {
  bold: (text) => `<b>${text}</b>`,
  dim: (text) => `<dim>${text}</dim>`,
  good: (text) => `<good>${text}</good>`,
  warn: (text) => `<warn>${text}</warn>`,
  bad: (text) => `<bad>${text}</bad>`,
};

describe('a report', () => {
  it('shows everything where there is room, numbers flush right', () => {
    expect(draw(200)).toMatchInlineSnapshot(`
      "table          index                                        size      scans  last use
      registrations  registrations_event_id_user_id_status_idx   12 MB  1,234,567  2026-11-22 14:03:05
      users          利用者の索引                               8.0 kB          0  -"
    `);
    expect(draw(undefined)).toBe(draw(200));
  });

  it('cuts a long name a little before it leaves out a column', () => {
    expect(draw(90)).toMatchInlineSnapshot(`
      "table          index                                  size      scans  last use
      registrations  registrations_event_id_…_status_idx   12 MB  1,234,567  2026-11-22 14:03:05
      users          利用者の索引                         8.0 kB          0  -
      … texts cut: --full shows all"
    `);
  });

  it('leaves out the column of the highest priority first, and says how to see it', () => {
    expect(draw(66)).toMatchInlineSnapshot(`
      "table          index                               size      scans
      registrations  registrations_event_i…status_idx   12 MB  1,234,567
      users          利用者の索引                      8.0 kB          0
      … 1 column hidden (last use), texts cut: --full shows all"
    `);
  });

  it('keeps what must stay at 40 columns', () => {
    expect(draw(40)).toMatchInlineSnapshot(`
      "index                               size
      registrations_event_i…status_idx   12 MB
      利用者の索引                      8.0 kB
      … 3 columns hidden (table, scans, last
      use), texts cut: --full shows all"
    `);
  });

  it('first leaves out what says nothing, without a word about it', () => {
    const quiet = ROWS.map((row) => ({ ...row, scans: 0, lastUse: null }));
    const columns = VIEW.columns.map((column) =>
      column.header === 'scans' ? { ...column, usual: '0' } : column,
    );
    const drawn = renderReport(report(quiet), { ...VIEW, columns }, { style: PLAIN, width: 66 });
    expect(drawn).toMatchInlineSnapshot(`
      "table          index                                        size
      registrations  registrations_event_id_user_id_status_idx   12 MB
      users          利用者の索引                               8.0 kB"
    `);
  });

  it('gives the room of what went to a smaller column that had to go before', () => {
    const columns = [
      ...VIEW.columns.slice(1, 3),
      { header: 'scans', unit: 'count' as const, value: () => 7, priority: 3 },
      { header: 'definition', value: () => 'create index on '.repeat(4), priority: 2 },
    ];
    const drawn = renderReport(report(ROWS), { ...VIEW, columns }, { style: PLAIN, width: 60 });
    expect(drawn).toMatchInlineSnapshot(`
      "index                                        size  scans
      registrations_event_id_user_id_status_idx   12 MB      7
      利用者の索引                               8.0 kB      7
      … 1 column hidden (definition): --full shows all"
    `);
  });

  it('goes on in the next line where a sentence is too long, and tears no word', () => {
    const fix = 'create index concurrently registrations_user_id_idx on registrations (user_id);';
    const columns = [...VIEW.columns, { header: 'fix', value: () => fix, text: 'wraps' as const }];
    const view = { ...VIEW, columns };
    for (const width of [120, 80, 60]) {
      const drawn = renderReport(report(ROWS.slice(0, 1)), view, {
        style: PLAIN,
        width,
        table: renderTerminalTable,
      });
      expect(widthOf(drawn)).toBeLessThanOrEqual(width);
      for (const word of fix.split(' ')) expect(drawn).toContain(word);
    }
    expect(renderReport(report(ROWS), view, { style: PLAIN, width: 66 })).toMatchInlineSnapshot(`
      "index                              size  fix
      registrations_event_…status_idx   12 MB  create index concurrently
                                               registrations_user_id_idx
                                               on registrations
                                               (user_id);
      利用者の索引                     8.0 kB  create index concurrently
                                               registrations_user_id_idx
                                               on registrations
                                               (user_id);
      … 3 columns hidden (table, scans, last use), texts cut: --full
      shows all"
    `);
  });

  it('puts one value on a line where not even that fits', () => {
    const view = { ...VIEW, columns: VIEW.columns.map((column) => ({ ...column, priority: 0 })) };
    expect(renderReport(report(ROWS), view, { style: PLAIN, width: 40 })).toMatchInlineSnapshot(`
      "table     registrations
      index
        registrations_event_id_user_id_status_
        idx
      size      12 MB
      scans     1,234,567
      last use  2026-11-22 14:03:05

      table     users
      index     利用者の索引
      size      8.0 kB
      scans     0"
    `);
  });

  it.each([200, 120, 100, 80, 72, 60, 52, 48, 44, 40, 36, 30])(
    'is never wider than %i columns',
    (width) => {
      const notes = [
        {
          level: 'unknown' as const,
          text: 'states of other sessions are hidden from reader',
          hint: 'grant it: grant pg_read_all_stats to reader;',
        },
      ];
      const whole = report(ROWS, { notes, countedSince: new Date(2026, 9, 1) });
      const text = renderReport(whole, VIEW, {
        style: PLAIN,
        width,
        table: renderTerminalTable,
      });
      expect(widthOf(text)).toBeLessThanOrEqual(width);
      expect(text).toContain('12 MB');
    },
  );

  it('draws a box on a terminal, and takes it away before it takes away a column', () => {
    const lines = (width: number) => draw(width, { table: renderTerminalTable }).split('\n');
    const plainWidth = widthOf(draw(undefined));
    const boxed = lines(200);
    expect(boxed[0]).toMatch(/^┌─+┬/);
    expect(new Set(boxed.map(displayWidth)).size).toBe(1);
    const boxWidth = displayWidth(boxed[0] ?? '');
    expect(lines(boxWidth)[0]).toMatch(/^┌/);
    expect(lines(boxWidth - 1).join('\n')).toBe(draw(undefined));
    expect(lines(plainWidth).join('\n')).toBe(draw(undefined));
    expect(lines(plainWidth - 1).join('\n')).not.toBe(draw(undefined));
  });

  it('keeps the box around texts that are cut in any case', () => {
    const long = [{ ...ROWS[0], index: 'select '.repeat(50) } as IndexFacts];
    const text = renderReport(report(long), VIEW, {
      style: PLAIN,
      width: 120,
      table: renderTerminalTable,
    });
    expect(text).toMatch(/^┌/);
    expect(text).toContain('…');
    expect(text).toContain('last use');
    expect(widthOf(text)).toBe(120);
  });

  it('leaves nothing out with full, however narrow the terminal is', () => {
    expect(draw(40, { full: true })).toBe(draw(undefined));
  });

  it('colours only what has a tone', () => {
    const [head, first, second] = renderReport(report(ROWS), VIEW, { style: MARKED }).split('\n');
    expect(head).toContain('<b>index');
    expect(first).not.toContain('<');
    expect(second?.match(/<[a-z]+>/g)).toEqual(['<warn>']);
    expect(second).toMatch(/<warn> +0<\/warn>/);
  });

  it('says what it means that there is nothing', () => {
    const nothing = report<IndexFacts>([], { countedSince: new Date() });
    expect(renderReport(nothing, VIEW, { style: PLAIN })).toBe('no index in this database');
    const noted = report<IndexFacts>([], { notes: [{ level: 'info', text: 'nobody looked' }] });
    expect(renderReport(noted, VIEW, { style: PLAIN })).toBe(
      'no index in this database\n\nnote: nobody looked',
    );
  });

  it('says since when the server counts, and what one should know', () => {
    const whole = report(ROWS.slice(1), {
      countedSince: new Date(2026, 9, 1, 12),
      notes: [
        { level: 'info', text: 'ordinary' },
        { level: 'warning', text: 'sizes are estimates', hint: 'analyze' },
        { level: 'unknown', text: 'a part is hidden from reader', hint: 'grant pg_monitor to r;' },
      ],
    });
    const now = new Date(2026, 10, 4, 15);
    expect(renderReport(whole, VIEW, { style: PLAIN, width: 80, now })).toMatchInlineSnapshot(`
      "table  index           size  scans  last use
      users  利用者の索引  8.0 kB      0  -

      counted since 2026-10-01 12:00:00 (34 d 3 h)
      note: ordinary
      warning: sizes are estimates
        hint: analyze
      unknown: a part is hidden from reader
        hint: grant pg_monitor to r;"
    `);
  });

  it('is a Markdown table that survives what names may hold', () => {
    const odd = { ...ROWS[1], index: 'a|b*c`d<e\\f\n', lastUse: null } as IndexFacts;
    expect(
      renderReport(report([odd]), VIEW, { style: PLAIN, format: 'markdown', width: 10 }),
    ).toMatchInlineSnapshot(`
      "## Indexes

      | table | index | size | scans | last use |
      | --- | --- | ---: | ---: | --- |
      | users | a\\|b\\*c\\\`d\\<e\\\\f | 8.0 kB | 0 | - |"
    `);
  });

  it('shows a hundred thousand rows', () => {
    const rows = Array.from({ length: 100_000 }, (_, index) => ({ index }));
    const view: ReportView<{ index: number }> = {
      title: 'Many',
      columns: [{ header: 'n', unit: 'count', value: (row) => row.index }],
      empty: () => '',
    };
    const text = renderReport(report(rows), view, { style: PLAIN, width: 40 });
    expect(text.split('\n')).toHaveLength(100_001);
    expect(text).toContain('\n99,999');
  });
});

describe('a value', () => {
  it.each<[string | number | boolean | Date | null, Unit, string]>([
    [null, 'bytes', '-'],
    [true, 'flag', 'yes'],
    [false, 'flag', 'no'],
    [0, 'bytes', '0 B'],
    [1_234_567, 'count', '1,234,567'],
    [-1234, 'count', '-1,234'],
    [12.3456, 'count', '12.35'],
    ['123456789012345678901', 'count', '123,456,789,012,345,678,901'],
    ['unlimited', 'count', 'unlimited'],
    [99.95, 'percent', '>99.9 %'],
    [100, 'percent', '100.0 %'],
    [0.01, 'percent', '<0.1 %'],
    [0, 'percent', '0.0 %'],
    [0.985, 'ratio', '98.5 %'],
    [0.5, 'ms', '500 µs'],
    [new Date(2026, 0, 2, 3, 4, 5), 'time', '2026-01-02 03:04:05'],
    ['12', 'text', '12'],
    ['select\n  1,\t2', 'text', 'select 1, 2'],
  ])('%s as %s is %s', (value, unit, text) => {
    expect(renderValue(value, unit)).toBe(text);
  });

  it.each([
    [1023, '1023 B'],
    [1024, '1.0 kB'],
    [10_189, '10 kB'],
    [1_048_575, '1.0 MB'],
    [5 * 1024 ** 3, '5.0 GB'],
    [2 ** 60, '1024 PB'],
  ])('of %i bytes is %s', (bytes, text) => {
    expect(renderBytes(bytes)).toBe(text);
  });

  it.each([
    [0, '0 ms'],
    [59_000, '59.0 s'],
    [3_599_000, '59 min 59 s'],
    [3_600_000, '1 h 0 min'],
    [86_399_999, '1 d 0 h'],
    [34 * 86_400_000, '34 d 0 h'],
    [-5000, '-5.0 s'],
  ])('of %i ms is %s', (durationMs, text) => {
    expect(renderDuration(durationMs)).toBe(text);
  });

  it('cannot act on the terminal, and keeps the indent of a tree', () => {
    expect(oneLine('a\u001b[31mb\u0007\u202ec')).toBe('a\\u{1b}[31mb\\u{7}\\u{202e}c');
    expect(oneLine('  └ 4712')).toBe('  └ 4712');
    expect(oneLine('\n   select 1')).toBe('select 1');
    expect(oneLine('')).toBe('');
  });
});

describe('the width of a text', () => {
  it.each([
    ['plain', 5],
    ['Zürich', 6],
    ['Zu\u0308rich', 6],
    ['東京', 4],
    ['한국', 4],
    ['👩‍👩‍👧', 2],
    ['🇨🇭', 2],
    ['└ x…', 4],
    ['', 0],
  ])('of %s is %i', (text, width) => {
    expect(displayWidth(text)).toBe(width);
  });

  it('is kept when it is cut, and no character is torn', () => {
    expect(cutToWidth('abcdef', 6)).toBe('abcdef');
    expect(cutToWidth('abcdefg', 6)).toBe('abcde…');
    expect(cutToWidth('select one thing', 9)).toBe('select o…');
    expect(cutToWidth('registrations_event_id_idx', 16)).toBe('registrati…d_idx');
    expect(cutToWidth('東京都庁東京都庁', 10)).toBe('東京都…庁');
    expect(cutToWidth('東京都庁', 6)).toBe('東京…');
    expect(cutToWidth('👩‍👩‍👧👩‍👩‍👧', 3)).toBe('👩‍👩‍👧…');
  });
});
