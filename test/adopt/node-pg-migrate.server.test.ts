import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect } from 'vitest';
import { migrateDown, migrateUp } from '../../src/index.ts';
import { fetchNpmTool, run } from '../support/npm-tool.ts';
import { type AdoptStage, test } from './adopt-kit.ts';

let program = '';
beforeAll(async () => {
  const packages = ['node-pg-migrate@9.0.0', 'pg@8.23.1'];
  const modules = await fetchNpmTool('node-pg-migrate', packages);
  program = join(modules, 'node-pg-migrate/bin/node-pg-migrate.js');
}, 120_000);

async function nodePgMigrate({ dir, url }: AdoptStage, ...args: string[]) {
  const env = { ...process.env, DATABASE_URL: url };
  return run(process.execPath, [program, ...args], { cwd: dir, env });
}

const FIRST = `-- what stands before the marker is not run: create table never ();
-- Up Migration
create table a (id integer);
select '-- down migration is no marker here, because the line begins otherwise' as text where false;
-- Down Migration
drop table a;
`;
const CODE = "exports.up = (pgm) => pgm.createTable('c', { id: 'id' });\n";

test('takes over files with markers, without, and times', async ({ adoption }) => {
  await adoption.write('migrations/1704067200000_first.sql', FIRST.replaceAll('\n', '\r\n'));
  await adoption.write('migrations/1704067300000_second-table.sql', 'create table b ();\n');
  expect(await nodePgMigrate(adoption, 'up')).toMatchObject({ code: 0 });
  const { adopted } = await adoption.adopt('node-pg-migrate');
  const rows = await adoption.sql`select name, run_on from pgmigrations order by id`;
  expect(adopted.map(({ key }) => key)).toEqual(rows.map(({ name }) => name));
  expect(adopted.map(({ appliedAt }) => appliedAt?.slice(0, 10))).toEqual([
    new Date().toISOString().slice(0, 10),
    new Date().toISOString().slice(0, 10),
  ]);
  const files = await adoption.files();
  expect(Object.keys(files)).toEqual([
    '1704067200000_first.down.sql',
    '1704067200000_first.sql',
    '1704067300000_second-table.sql',
  ]);
  expect(await migrateUp(adoption.options)).toMatchObject({ steps: [] });
  expect(await adoption.states()).toEqual(['1704067200000 applied', '1704067300000 applied']);
});

test('keeps the order of the tool, which reads two kinds of times', async ({ adoption }) => {
  const names = ['1704067200000_jan', '20240201000000000_feb', '1709251200000_mar'];
  for (const [index, name] of names.entries()) {
    const text = index === 0 ? 'create table a (id text);' : `insert into a values ('${name}');`;
    await adoption.write(`migrations/${name}.sql`, text);
  }
  expect(await nodePgMigrate(adoption, 'up')).toMatchObject({ code: 0 });
  const { adopted } = await adoption.adopt('node-pg-migrate');
  expect(adopted.map(({ label, key }) => [label, key])).toEqual([
    ['1704067200000', '1704067200000_jan'],
    ['20240201000000000', '20240201000000000_feb'],
    ['20240201000000001', '1709251200000_mar'],
  ]);
  await migrateUp({ ...adoption.options, schema: 'copy' });
  expect(await adoption.sql`select id from copy.a`).toEqual(await adoption.sql`select id from a`);
});

test('reads the parts of a file as the tool does, whatever their order', async ({ adoption }) => {
  const text = `-- Down Migration
drop table a;
-- Up Migration
create table a (id integer);
`;
  await adoption.write('migrations/20240101000000000_upside-down.sql', text);
  expect(await nodePgMigrate(adoption, 'up')).toMatchObject({ code: 0 });
  await adoption.adopt('node-pg-migrate');
  expect(await adoption.files()).toEqual({
    '20240101000000000_upside-down.down.sql': 'drop table a;\n',
    '20240101000000000_upside-down.sql': 'create table a (id integer);\n',
  });
  await migrateDown(adoption.options);
  expect(await adoption.relations()).not.toContain('a');
});

test('splits a file where the tool does, even inside a string, and says what is left open', async ({
  adoption,
}) => {
  const text = "-- up migration\ncreate table a ();\nselect '\n-- down migration\n';\n";
  await adoption.write('migrations/1704067200000_first.sql', 'create table first ();\n');
  await nodePgMigrate(adoption, 'up');
  await adoption.write('migrations/1704067300000_odd.sql', text);
  expect(await nodePgMigrate(adoption, 'up')).toMatchObject({
    code: 1,
    output: expect.stringContaining('unterminated quoted string'),
  });
  const { findings } = await adoption.adopt('node-pg-migrate');
  expect(findings).toMatchObject([
    { severity: 'warning', message: expect.stringContaining('a quote or comment in it is not') },
    { severity: 'warning', message: expect.stringMatching(/^its down part: a quote/) },
  ]);
});

test('names code that is no SQL, and takes the SQL that somebody wrote for it', async ({
  adoption,
}) => {
  await adoption.write('migrations/1704067200000_code.js', CODE);
  await adoption.write('migrations/1704067300000_b.sql', 'create table b ();\n');
  expect(await nodePgMigrate(adoption, 'up')).toMatchObject({ code: 0 });
  await expect(adoption.adopt('node-pg-migrate')).rejects.toMatchObject({
    code: 'ADOPTION_REFUSED',
    details: {
      findings: [
        {
          severity: 'error',
          location: { file: join('migrations', '1704067200000_code.js') },
          message: 'it is written in JavaScript or TypeScript, not in SQL',
          hint: expect.stringContaining('1704067200000_code.sql'),
        },
      ],
    },
  });
  const written = 'create table c (id serial primary key);\n';
  const path = await adoption.write('db/evdb/1704067200000_code.sql', written);
  const { adopted, files, findings } = await adoption.adopt('node-pg-migrate');
  expect(adopted).toMatchObject([{ name: 'code', verifiedBy: 'name' }, { name: 'b' }]);
  expect(files).toEqual(['1704067300000_b.sql']);
  expect(findings).toMatchObject([{ severity: 'warning' }]);
  expect(await readFile(path, 'utf8')).toBe(written);
});

test('has nothing to take over where nothing is applied, but the files', async ({ adoption }) => {
  await adoption.write('migrations/1704067200000_a.sql', 'create table a ();\n');
  expect(await nodePgMigrate(adoption, 'up')).toMatchObject({ code: 0 });
  await adoption.write(
    'migrations/1704067200000_a.sql',
    '-- Up Migration\ncreate table a ();\n-- Down Migration\ndrop table a;',
  );
  expect(await nodePgMigrate(adoption, 'down')).toMatchObject({ code: 0 });
  expect(await adoption.adopt('node-pg-migrate')).toMatchObject({ adopted: [], pending: [{}] });
  await migrateUp(adoption.options);
  expect(await adoption.relations()).toContain('a');
});

test('tells of a file that was applied late and one that is gone', async ({ adoption }) => {
  await adoption.write('migrations/1704067200000_a.sql', 'create table a ();\n');
  await adoption.write('migrations/1704067300000_b.sql', 'create table b ();\n');
  expect(await nodePgMigrate(adoption, 'up')).toMatchObject({ code: 0 });
  await adoption.sql`insert into pgmigrations (name, run_on) values ('1704067100000_gone', now())`;
  await adoption.write('migrations/1704067250000_late.sql', 'create table late ();\n');
  const { findings, pending } = await adoption.adopt('node-pg-migrate');
  expect(pending).toMatchObject([{ name: 'late' }]);
  expect(findings.map(({ message }) => message)).toEqual([
    expect.stringContaining('node-pg-migrate applied 1704067100000_gone, which has no file'),
    expect.stringContaining('it is pending, although the newer'),
  ]);
});
