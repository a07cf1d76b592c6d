import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lintMigrations } from '../../src/migrate/checks/lint.ts';
import { flat } from './lint-kit.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'evdb-lint-foreign-'));
});
afterEach(() => rm(folder, { recursive: true }));

const TABLE = 'create table t (id int primary key, a int);\ninsert into t values (1, 1);\n';
const INDEX = 'create index concurrently i on t (a);\n';

/** What lint says of the last of some files of another tool, as `line rule severity`. */
async function lintForeign(files: Record<string, string>): Promise<string[]> {
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  const directory = join(folder, 'own');
  const { findings } = await lintMigrations({ directory, paths: [folder] });
  return findings
    .map(flat)
    .filter(({ severity }) => severity !== 'info')
    .map(({ line, rule, severity }) => `${line} ${rule} ${severity}`);
}

test.each([
  ['dbmate', '-- migrate:up transaction:false\n', '-- migrate:down transaction:false\n'],
  ['goose', '-- +goose NO TRANSACTION\n-- +goose Up\n', '-- +goose Down\n'],
  ['sql-migrate', '-- +migrate Up notransaction\n', '-- +migrate Down notransaction\n'],
])('reads that a file of %s runs without a transaction, and its halves', async (_, up, down) => {
  const text = `${up}${INDEX}${down}drop index concurrently i;\n`;
  expect(await lintForeign({ 'a.sql': TABLE, 'b.sql': text })).toEqual([]);
});

test.each([
  ['sqlx', '-- no-transaction\n'],
  ['tern', '---- tern: disable-tx ----\n'],
  ['Atlas', '-- atlas:txmode none\n'],
])('reads the marker of %s', async (_, marker) => {
  expect(await lintForeign({ 'a.sql': TABLE, 'b.sql': marker + INDEX })).toEqual([]);
});

test('finds what cannot run in the transaction that the tool opens', async () => {
  const found = await lintForeign({ 'a.sql': TABLE, 'b.sql': `-- migrate:up\n${INDEX}` });
  expect(found).toEqual(['2 concurrently-in-tx error']);
});

test('judges a down section as one, and at its place', async () => {
  const text = '-- migrate:up\nselect 1;\n-- migrate:down\ndrop table t;\nvacuum;\n';
  expect(await lintForeign({ 'a.sql': TABLE, 'b.sql': text })).toEqual([
    '5 concurrently-in-tx error',
  ]);
});

test('takes spans of begin and commit for transactions', async () => {
  const add = 'alter table t add constraint c check (a > 0) not valid;\n';
  const validate = 'alter table t validate constraint c;\n';
  const apart = `begin;\n${add}commit;\nbegin;\n${validate}commit;\n${INDEX}`;
  expect(await lintForeign({ 'a.sql': TABLE, 'b.sql': apart })).toEqual([]);
  const together = `begin;\n${add}${validate}commit;\n`;
  expect(await lintForeign({ 'b.sql': together })).toContain('3 validate-same-tx error');
});

test('refuses begin and commit in files of evdb, as applying them does', async () => {
  await writeFile(join(folder, '001_t.sql'), `begin;\n${TABLE}commit;\n`);
  const { findings } = await lintMigrations({ directory: folder });
  expect(
    findings.map(flat).map(({ rule, line, severity }) => `${line} ${rule} ${severity}`),
  ).toEqual(['1 transaction-control error', '4 transaction-control error']);
});
