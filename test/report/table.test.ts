import { describe, expect, it } from 'vitest';
import { PLAIN, renderTable, type Style } from '../../src/report/table.ts';
import { renderAge, renderCount, renderDuration, renderTime } from '../../src/text/units.ts';

describe('renderTable', () => {
  const columns = [
    { title: 'Name' },
    { title: 'Size', align: 'right' as const },
    { title: 'Note' },
  ];
  const row = (...texts: string[]) => texts.map((text) => ({ text }));

  it('aligns its columns to the widest cell and ends no line with a blank', () => {
    const rows = [row('a', '12345', ''), row('longer name', '1', 'x')];
    expect(renderTable(columns, rows, PLAIN)).toBe(
      'Name          Size  Note\na            12345\nlonger name      1  x',
    );
  });

  it('is its head alone without rows', () => {
    expect(renderTable(columns, [], PLAIN)).toBe('Name  Size  Note');
  });

  it('colours a cell with its padding, so that colours do not shift the columns', () => {
    const style: Style = { ...PLAIN, good: (text) => `<${text}>` };
    const cells = [{ text: 'ok', colour: 'good' as const }, { text: '1' }, { text: 'n' }];
    expect(renderTable(columns, [cells], style).split('\n')[1]).toBe('<ok  >     1  n');
  });
});

describe('the units', () => {
  it.each([
    [0, '0 ms'],
    [0.0001, '<1 µs'],
    [0.85, '850 µs'],
    [0.9999, '1 ms'],
    [1, '1 ms'],
    [12.4, '12 ms'],
    [999.6, '1.0 s'],
    [1000, '1.0 s'],
    [3449, '3.4 s'],
    [59_980, '1 min 0 s'],
    [60_000, '1 min 0 s'],
    [125_400, '2 min 5 s'],
    [3_600_000, '1 h 0 min'],
  ])('show %f ms as %s', (durationMs, text) => {
    expect(renderDuration(durationMs)).toBe(text);
  });

  it('show one thing and many', () => {
    expect([0, 1, 2].map((count) => renderCount(count, 'file'))).toEqual([
      '0 files',
      '1 file',
      '2 files',
    ]);
  });

  it('group the thousands of a count', () => {
    expect(renderCount(1_200_000, 'index', 'indexes')).toBe('1,200,000 indexes');
  });

  it.each([
    [850, '850 ms'],
    [45_000, '45 s'],
    [720_000, '12 min'],
    [12_600_000, '3.5 h'],
    [9 * 86_400_000, '9 days'],
  ])('show an age of %i ms as about %s', (ms, text) => {
    expect(renderAge(ms)).toBe(text);
  });

  it("show a time in the reader's zone", () => {
    const local = new Date(2026, 0, 2, 3, 4, 5);
    expect(renderTime(local.toISOString())).toBe('2026-01-02 03:04:05');
  });
});
