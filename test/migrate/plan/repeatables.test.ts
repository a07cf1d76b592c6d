import { describe, expect, it } from 'vitest';
import type { RepeatableRow } from '../../../src/migrate/ledger/repeatables.ts';
import { compareRepeatables, isToApply } from '../../../src/migrate/plan/repeatables.ts';

const file = (name: string) => ({ name, path: `/db/repeatable/${name}.sql` });
const row = (name: string): RepeatableRow => ({
  ...{ name, checksum: 'same', tokenChecksum: 'same tokens', generation: 1 },
  ...{ appliedAt: '2026-01-01T00:00:00Z', durationMs: 1 },
});
const checksums = (checksum: string, tokens: string) => () => ({
  checksum,
  tokenChecksum: () => tokens,
});

describe('compareRepeatables', () => {
  it('puts files and rows side by side, by name', () => {
    const [gone, kept, fresh, ...none] = compareRepeatables(
      [file('view'), file('more'), file('a')].slice(0, 2),
      [row('gone'), row('more')],
      checksums('same', ''),
    );
    expect(gone).toStrictEqual({ name: 'gone', state: 'missing', row: row('gone') });
    expect(kept).toStrictEqual({
      ...{ name: 'more', state: 'applied', file: file('more'), row: row('more') },
    });
    expect(fresh).toStrictEqual({ name: 'view', state: 'pending', file: file('view') });
    expect(none).toEqual([]);
  });

  it('tells a change from one of comments and white space alone', () => {
    const stateOf = (checksum: string, tokens: string) =>
      compareRepeatables([file('a')], [row('a')], checksums(checksum, tokens))[0]?.state;
    expect(stateOf('same', 'other')).toBe('applied');
    expect(stateOf('other', 'same tokens')).toBe('applied');
    expect(stateOf('other', 'other')).toBe('changed');
  });

  it('orders by name, whichever order they come in', () => {
    const names = (...all: string[]) =>
      compareRepeatables(all.map(file), [], checksums('', '')).map(({ name }) => name);
    expect(names('b', 'c', 'a')).toEqual(['a', 'b', 'c']);
    expect(names('a', 'B', '_')).toEqual(['B', '_', 'a']);
  });
});

it('applies what was never applied, and what has changed', () => {
  const states = ['applied', 'pending', 'changed', 'missing'] as const;
  expect(states.filter((state) => isToApply({ state }))).toEqual(['pending', 'changed']);
});
