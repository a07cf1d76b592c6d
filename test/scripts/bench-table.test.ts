import { describe, expect, it } from 'vitest';

/** A figure as bench/support/table.mjs takes and gives it. */
interface Figure {
  row?: number;
  what: string;
  over?: string;
  target?: number;
  isFloor?: boolean;
  isPeak?: boolean;
  unit?: string;
  limit?: string;
  rounds: number[];
  measured?: { ours: number[]; theirs: number[]; unit: string };
  missing?: string;
  now?: number;
  isMet?: boolean;
  before?: Figure;
}

interface Table {
  settle(figure: Figure): Figure;
  mergeTurns(turns: Figure[][]): Figure[];
  setBefore(figures: Figure[], before: Figure[]): Figure[];
  countMet(figures: Figure[]): { met: number; rows: number };
  renderFigures(figures: Figure[], options?: { isMarkdown?: boolean }): string;
  replacePart(text: string, name: string, body: string): string;
}

const table: Table = await import(new URL('../../bench/support/table.mjs', import.meta.url).href);

/** A figure of row 4 with these rounds, wanted at most 2. */
function figureOf(rounds: number[], more: Partial<Figure> = {}): Figure {
  return { row: 4, what: 'start', over: 'node', target: 2, rounds, ...more };
}

describe('a figure of the benchmarks', () => {
  it.each([
    ['is the median of its rounds', {}, 2, true],
    ['is missed above its target', { target: 1.9 }, 2, false],
    ['is missed below a floor', { isFloor: true, target: 2.1 }, 2, false],
    ['is met on its floor', { isFloor: true }, 2, true],
    ['is the highest of its rounds where it is a peak', { isPeak: true }, 9, false],
  ] as const)('%s', (_, more, now, isMet) => {
    expect(table.settle(figureOf([9, 1, 2], more))).toMatchObject({ now, isMet });
  });

  it('says why it is missing instead of a value', () => {
    const missing = table.settle(figureOf([], { missing: 'no dbmate' }));
    expect(missing).not.toHaveProperty('now');
    expect(table.settle(figureOf([]))).toMatchObject({ missing: 'no round gave a figure' });
    expect(table.renderFigures([missing])).toMatch(/– {2,}not measured: no dbmate$/);
  });
});

describe('the turns of a benchmark', () => {
  it('become one round each, by what they measured', () => {
    const turn = (a: number[], b: number[]) => [
      figureOf(a, {
        measured: { ours: a.map((n) => n * 10), theirs: a.map(() => 10), unit: 'ms' },
      }),
      figureOf(b, { what: 'lint', isPeak: true }),
    ];
    const merged = table.mergeTurns([turn([1, 3, 5], [1]), turn([1], [7, 8]), turn([2], [2])]);
    expect(merged).toMatchObject([
      { what: 'start', rounds: [3, 1, 2], now: 2, isMet: true, measured: { ours: [30, 10, 20] } },
      { what: 'lint', rounds: [1, 8, 2], now: 8, isMet: false },
    ]);
  });

  it('stay as they are where there is one', () => {
    expect(table.mergeTurns([[figureOf([1, 2, 9])]])).toMatchObject([
      { rounds: [1, 2, 9], now: 2 },
    ]);
  });

  it('give no figure where one of them has none', () => {
    const [lost] = table.mergeTurns([[figureOf([1])], [figureOf([], { missing: 'no psql' })]]);
    expect(lost).toMatchObject({ missing: 'no psql', rounds: [] });
    expect(lost).not.toHaveProperty('now');
    const [short] = table.mergeTurns([[figureOf([1])], []]);
    expect(short).toMatchObject({ missing: 'only 1 of 2 rounds gave a figure' });
  });
});

describe('the table of the benchmarks', () => {
  const first = table.settle(figureOf([1.5, 1.25, 2.5], { limit: '1.0: node | nothing' }));
  const second = table.settle({ row: 1, what: 'up', target: 60, unit: 'ms', rounds: [1234.5] });

  it('stands in the order of its rows, and leaves out the columns that nobody needs', () => {
    expect(table.renderFigures([first, second]).split('\n')).toEqual([
      '  #  what   over   target       now       rounds  met  limit',
      '-'.repeat(74),
      '  1  up           ≤ 60 ms  1,235 ms               no',
      '  4  start  node   ≤ 2.00      1.50  1.25 – 2.50  yes  1.0: node | nothing',
    ]);
  });

  it('is Markdown whose cells hold no bar of their own', () => {
    const [head, rule, row] = table.renderFigures([first], { isMarkdown: true }).split('\n');
    expect(head).toMatch(/^\| {3}# \| what {2}\| over \| target \| +now \|/);
    expect(rule).toMatch(/^(\| -+:? )+\|$/);
    expect(row).toContain('node \\| nothing');
  });

  it('shows the build before where there is one, and a dash where it has no figure', () => {
    const before = [
      figureOf([4], { now: 4 }),
      figureOf([], { what: 'lint', missing: 'it failed' }),
    ];
    const lint = table.settle(figureOf([1], { what: 'lint' }));
    const lines = table.renderFigures(table.setBefore([first, lint], before)).split('\n');
    expect(lines[0]).toMatch(/target +before +now/);
    expect(lines[2]).toMatch(/≤ 2\.00 +4\.00 +1\.50/);
    expect(lines[3]).toMatch(/≤ 2\.00 +– +1\.00/);
  });

  it('counts a row of several figures as met where all of them are', () => {
    const missed = figureOf([3], { what: 'up', isMet: false });
    expect(table.countMet([first, second])).toEqual({ met: 1, rows: 2 });
    expect(table.countMet([first, missed])).toEqual({ met: 0, rows: 1 });
    expect(table.countMet([figureOf([], { missing: 'no psql' })])).toEqual({ met: 0, rows: 1 });
    expect(table.countMet([{ what: 'no row', rounds: [1], isMet: false }])).toEqual({
      met: 0,
      rows: 0,
    });
  });
});

describe('a written part of a document', () => {
  const text = 'a\n<!-- bench: rows -->\n\nold\n\n<!-- /bench: rows -->\nb\n';

  it('is replaced between its markers, and everything else stays', () => {
    const once = table.replacePart(text, 'rows', 'new $& one');
    expect(once).toBe(text.replace('old', () => 'new $& one'));
    expect(table.replacePart(once, 'rows', 'old')).toBe(text);
  });

  it.each([
    ['is missing', 'a\nb\n'],
    ['has no end', text.replace('<!-- /bench: rows -->', '')],
    ['stands there twice', text + text],
    ['ends before it starts', `<!-- /bench: rows -->${text}`],
  ])('is refused where it %s', (_, wrong) => {
    expect(() => table.replacePart(wrong, 'rows', 'new')).toThrow('have to stand there once each');
  });
});
