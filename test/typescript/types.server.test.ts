import { spawnSync } from 'node:child_process';
import { symlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import pg from 'pg';
import { expect } from 'vitest';
import { generateTypes } from '../../src/index.ops.ts';
import { DatabasePool } from '../../src/index.ts';
import { test as base } from '../support/fixture.ts';
import type { TestProject } from '../support/project.ts';
import { connectionTo } from '../support/sessions.ts';
import {
  ADVICE,
  EVERY_KIND,
  PARSERS,
  QUERIES,
  USES_OF_INTERFACES,
  USES_OF_KYSELY,
  VALUES,
} from './types-kit.ts';

const ROOT = resolve(import.meta.dirname, '../..');

/** Compiles files of a project as an application would, strictly, and says what is wrong. */
type Compile = (...files: string[]) => string;

const test = base.extend<{ compile: Compile }>({
  compile: async ({ project }, use) => {
    await symlink(join(ROOT, 'node_modules'), join(project.dir, 'node_modules'), 'junction');
    await project.write('package.json', '{ "type": "module" }');
    await use((...files) => compileIn(project, files));
  },
});

function compileIn(project: TestProject, files: string[]): string {
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  const flags = ['--strict', '--noUnusedLocals', '--exactOptionalPropertyTypes', '--skipLibCheck'];
  const kinds = ['--module', 'nodenext', '--target', 'es2022', '--types', 'node,pg'];
  const args = [tsc, ...flags, ...kinds, '--outDir', 'out', ...files];
  const { stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: project.dir,
    encoding: 'utf8',
  });
  return stdout + stderr;
}

const options = async (url: string) => ({
  connection: await connectionTo(url),
  directory: 'migrations',
});

test('every kind of object has a type that a strict compiler takes', { timeout: 60_000 }, async ({
  emptyDb,
  project,
  compile,
}) => {
  await emptyDb.sql.unsafe(EVERY_KIND);
  const given = { ...(await options(emptyDb.url)), schemas: ['public', 'odd "schema"'] };
  const interfaces = await generateTypes(given);
  expect(interfaces.counts).toEqual({
    ...{ tables: 7, views: 3, enums: 3, domains: 4, composites: 1, functions: 8 },
  });
  expect(interfaces.code).toMatchSnapshot();
  await project.write('db.ts', interfaces.code);
  await project.write('uses.ts', USES_OF_INTERFACES);
  const kysely = await generateTypes({ ...given, style: 'kysely' });
  expect(kysely.code).toMatchSnapshot();
  await project.write('kysely-db.ts', kysely.code);
  await project.write('kysely-uses.ts', USES_OF_KYSELY);
  expect(compile('uses.ts', 'kysely-uses.ts')).toBe('');
});

test('a wrong use does not compile', { timeout: 60_000 }, async ({ emptyDb, project, compile }) => {
  await emptyDb.sql.unsafe(EVERY_KIND);
  await project.write('db.ts', (await generateTypes(await options(emptyDb.url))).code);
  await project.write(
    'uses.ts',
    `import type { Items, ItemsInsert, ItemsUpdate } from './db.js';
     export const noName: ItemsInsert = { price: 1 };
     export const isGenerated: ItemsInsert = { name: 'a', price: 1, id: 1 };
     export const noNumber: ItemsUpdate = { name: 1 };
     export const mood: ItemsInsert = { name: 'a', price: 1, mood: 'bored' };
     export function note(item: Items): string { return item.note; }`,
  );
  const lines = [...compile('uses.ts').matchAll(/^uses\.ts\((\d+),/gm)].map(([, line]) => line);
  expect(lines).toEqual(['2', '3', '4', '5', '6']);
});

test('the text is the same whatever the order of creation', async ({ emptyDb }) => {
  const tables = ['b', 'a', 'Z', 'ä'].map((name) => `create table "${name}" (id integer)`);
  await emptyDb.sql.unsafe(tables.join(';'));
  const { code } = await generateTypes(await options(emptyDb.url));
  await emptyDb.sql.unsafe(`drop table a; ${tables[1]}`);
  expect((await generateTypes(await options(emptyDb.url))).code).toBe(code);
  expect([...code.matchAll(/interface (\S+) /g)].map(([, name]) => name)).toEqual(
    ['Z', 'A', 'B', 'Ä'].flatMap((name) => [name, `${name}Insert`, `${name}Update`]),
  );
});

/** What a value is, in the words of the types. */
function typeOf(value: unknown): string {
  if (Buffer.isBuffer(value)) return 'Buffer';
  if (value instanceof Date) return 'Date';
  if (Array.isArray(value)) return `${typeOf(value[0])}[]`;
  return typeof value === 'object' ? 'Json' : typeof value;
}

test("the types are those of the pool's values, and of pg's with the parsers that docs/types.md names", async ({
  emptyDb,
}) => {
  const names = Object.keys(VALUES);
  await emptyDb.sql.unsafe(`
    create type mood as enum ('fine', 'bad');
    create domain price as numeric not null;
    create domain tags as text[];
    create type pair as (a integer, b text);
    create table kept (${names.map((type, index) => `c${index} ${type} not null`).join(', ')})`);
  const pool = new DatabasePool({ connectionString: emptyDb.url });
  // a pool would be told of the end of the database before that of its connection
  const other = new pg.Client({ connectionString: emptyDb.url, types: PARSERS });
  await other.connect();
  try {
    const values = Object.values(VALUES).map((text) => `'${text}'`);
    await pool.query(`insert into kept values (${values.join(', ')})`);
    const { code } = await generateTypes(await options(emptyDb.url));
    const [, body = ''] = /interface Kept \{\n(.*?)\n\}/s.exec(code) ?? [];
    const aliases: Record<string, string> = { Mood: 'string', Price: 'string', Tags: 'string[]' };
    const told = body.split('\n').map((line) => line.replace(/^\s*c\d+: |;$/g, ''));
    const shown = (types: string[]) => names.map((name, index) => `${name}: ${types[index]}`);
    const row = (await pool.query('select * from kept')).rows[0] ?? {};
    expect(shown(Object.values(row).map(typeOf))).toEqual(
      shown(told.map((type) => aliases[type] ?? type)),
    );
    const read = (await other.query('select * from kept')).rows[0];
    expect(shown(Object.values(read).map(typeOf))).toEqual(shown(Object.values(row).map(typeOf)));
  } finally {
    await pool.close();
    await other.end();
  }
});

test('Kysely compiles and runs queries on the event schema', { timeout: 60_000 }, async ({
  db,
  project,
  compile,
}) => {
  const { code } = await generateTypes({ ...(await options(db.url)), style: 'kysely' });
  await project.write('db.ts', code);
  await project.write('queries.ts', ADVICE + QUERIES);
  expect(compile('queries.ts')).toBe('');
  const { stdout, stderr } = spawnSync(process.execPath, ['out/queries.js'], {
    cwd: project.dir,
    encoding: 'utf8',
    env: { ...process.env, DATABASE_URL: db.url },
  });
  expect(stderr).toBe('');
  expect(JSON.parse(stdout)).toEqual({
    user: { id: 'number', email: 'kay@example.com', created: true },
    event: { title: 'Concert', capacity: 20, dateTime: true },
    registered: { success: true, status: 'confirmed' },
    updated: '1',
    entries: 'string',
  });
});

test('a column of which old rows may hold null is nullable to read and not to write', async ({
  emptyDb,
}) => {
  await emptyDb.sql.unsafe('create table t (a integer)');
  const [version] = await emptyDb.sql`select current_setting('server_version_num')::integer as v`;
  const isKnown = Number(version?.v) >= 180000;
  await emptyDb.sql.unsafe(
    isKnown ? 'alter table t add constraint t_a not null a not valid' : 'select',
  );
  const { code } = await generateTypes(await options(emptyDb.url));
  expect(code).toContain('export interface T {\n  a: number | null;\n}');
  expect(code).toContain(
    `export interface TInsert {\n  a${isKnown ? ': number' : '?: number | null'};\n}`,
  );
});
