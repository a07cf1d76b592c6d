import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { splitStatements } from '../../src/sql/statements.ts';
import { test } from '../support/fixture.ts';
import { differencesOn } from '../support/impact-corpus/differences.ts';

const script = (name: string) =>
  readFileSync(new URL(`../support/impact-corpus/${name}.sql`, import.meta.url), 'utf8');

/** What depends on the rows, on the planner, or on what the catalog does not hold. */
const UNKNOWABLE = [
  // Which tables a publication has, what statistics are on, and which tables are of a type.
  /^alter publication pub set/,
  /^drop statistics/,
  /^(alter|drop) type comp .*cascade/,
  // Which partitions the rows are in.
  /^delete from p where|^select \* from p where|^insert into c/,
  // How the rows on the other side of a foreign key are found.
  /^delete from c|^insert into self|^update (c|r|v1) set/,
  // The rows of a partition that others may reference.
  /^alter table rp detach/,
];

test('says what the server does, over keys, partitions, views and types', async ({ emptyDb }) => {
  await emptyDb.sql.unsafe(script('base')).simple();
  const statements = splitStatements(script('statements'))
    .map(({ text }) => text)
    .filter((text) => !UNKNOWABLE.some((pattern) => pattern.test(text)));
  const { found, judged } = await differencesOn(emptyDb.url, statements);
  expect(found).toEqual({});
  expect(judged).toBeGreaterThan(290);
});

const TYPES = [
  ...['integer', 'bigint', 'oid', 'numeric', 'numeric(10, 2)', 'numeric(12, 2)', 'numeric(12, 4)'],
  ...['text', 'varchar', 'varchar(10)', 'varchar(20)', 'char(5)', 'bpchar', 'name'],
  ...['timestamp', 'timestamp(3)', 'timestamptz', 'timestamptz(6)', 'date'],
  ...['interval', 'interval(3)', 'interval day to second', 'interval year to month'],
  ...['bit(3)', 'varbit', 'varbit(5)', 'cidr', 'inet', 'json', 'jsonb'],
  ...['text[]', 'varchar(10)[]', 'regclass', 'free', 'bound'],
];

test('says which changes of a type rewrite a table or build its indexes', async ({ emptyDb }) => {
  const columns = TYPES.map((type, i) => `c${i} ${type}`);
  const indexes = TYPES.map((type, i) => (type === 'json' ? '' : `create index on t (c${i});`));
  await emptyDb.sql
    .unsafe(`
      create domain free as integer;
      create domain bound as integer check (value > 0);
      create table t (${columns.join(', ')});
      ${indexes.join('\n')}`)
    .simple();
  const statements = TYPES.flatMap((_, i) =>
    TYPES.map((type) => `alter table t alter c${i} type ${type}`),
  );
  const { found, judged } = await differencesOn(emptyDb.url, statements);
  expect(found).toEqual({});
  expect(judged).toBeGreaterThan(250);
}, 180_000);
