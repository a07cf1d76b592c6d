import type { AlterTableStmt } from '@pgsql/types';
import { describe, expect, test } from 'vitest';
import { commandsOf, itemOffsets } from '../../src/sql/list-items.ts';
import { loadSqlParser } from '../../src/sql/parser.ts';

async function startsOf(text: string): Promise<string[]> {
  const tree = (await loadSqlParser()).parse(text) as { AlterTableStmt: AlterTableStmt };
  return commandsOf(tree.AlterTableStmt, text).map(({ offset }) => text.slice(offset));
}

describe('the subcommands of an alter table', () => {
  test('start behind the name, whatever is in it', async () => {
    expect(await startsOf('alter table "ä,".t * drop a')).toEqual(['drop a']);
    expect(await startsOf('ALTER TABLE IF EXISTS s . "T"\n  drop a')).toEqual(['drop a']);
  });

  test('are separated by the commas outside of parentheses, brackets and comments', async () => {
    const text = `alter table t add a numeric(1,2) default f(1, 2), -- , not here
      add b int[] default array[1, 2], drop c`;
    expect((await startsOf(text)).map((rest) => rest.split(' ').slice(0, 2).join(' '))).toEqual([
      'add a',
      'add b',
      'drop c',
    ]);
  });
});

test('the items of a list start behind its commas', () => {
  const text = 'truncate a, "b,c" , s.d cascade';
  expect(itemOffsets(text, 8).map((at) => text.slice(at, at + 3))).toEqual(['a, ', '"b,', 's.d']);
});
