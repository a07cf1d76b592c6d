import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { loadSqlParser } from '../../src/sql/parser.ts';
import { splitStatements } from '../../src/sql/statements.ts';
import { visitObjects } from '../../src/sql/tree.ts';

const FILE = new URL('../../migrations/004_race_condition_prevention.sql', import.meta.url);
const TRANSITION_TABLES = ['old_rows', 'new_rows'];

/** All values that a tree has under a name. */
function valuesOf(tree: unknown, name: string): string[] {
  const found: string[] = [];
  visitObjects(tree, ({ [name]: value }) => {
    if (typeof value === 'string') found.push(value);
  });
  return found;
}

test('the counting trigger reads transition tables apart from tables, as Citus needs it', async () => {
  const parser = await loadSqlParser();
  const trigger = splitStatements(readFileSync(FILE, 'utf8')).find(({ text }) =>
    text.includes('create function sync_registration_counts()'),
  );
  const read = valuesOf(parser.parseRoutine(trigger?.text ?? ''), 'query')
    .map((query) => valuesOf(parser.parse(query), 'relname'))
    .filter((tables) => TRANSITION_TABLES.some((table) => tables.includes(table)));
  expect(read).toHaveLength(4);
  expect(read.flat().filter((table) => !TRANSITION_TABLES.includes(table))).toEqual([]);
});
