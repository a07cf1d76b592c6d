import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { test } from '../support/fixture.ts';
import { runCli } from '../support/run-cli.ts';
import { expectError, parseJson } from './cli-kit.ts';

const bundled = fileURLToPath(new URL('../../migrations/', import.meta.url));

async function listSchemaFiles(): Promise<string[]> {
  return (await readdir(bundled)).filter((name) => /^\d+_.*\.sql$/.test(name));
}

test('copies the event schema, a config file and an example of .env', async ({ project }) => {
  const { code, stdout } = await runCli(['init'], { cwd: project.dir });
  expect(code).toBe(0);
  const files = await listSchemaFiles();
  expect((await readdir(join(project.dir, 'migrations'))).sort()).toEqual(files.sort());
  for (const name of files) {
    const [copy, original] = await Promise.all([
      readFile(join(project.dir, 'migrations', name), 'utf8'),
      readFile(join(bundled, name), 'utf8'),
    ]);
    expect(copy).toBe(original);
    expect(stdout).toContain(`created  migrations/${name}\n`);
  }
  expect(await readFile(join(project.dir, '.env.example'), 'utf8')).toContain('DB_HOST=');
  expect(stdout).toContain('evdb migrate up --embedded');
});

test('makes a project that evdb takes as it is', async ({ project, emptyDb }) => {
  await runCli(['init'], { cwd: project.dir });
  const env = { EVDB_URL: emptyDb.url };
  const up = await runCli(['migrate', 'up', '--json'], { cwd: project.dir, env });
  expect(parseJson(up)).toMatchObject({ ok: true, warnings: [] });
  expect(await emptyDb.sql`select to_regclass('public.registrations') is not null as made`).toEqual(
    [{ made: true }],
  );
});

test('tells nothing of the event schema, and all of what takes its place', async ({ project }) => {
  await runCli(['init'], { cwd: project.dir });
  const clean = parseJson(await runCli(['lint', '--json'], { cwd: project.dir }));
  expect(clean).toMatchObject({ ok: true, findings: [] });
  const validated = parseJson(
    await runCli(['migrate', 'validate', '--json'], { cwd: project.dir }),
  );
  expect(validated).toMatchObject({ ok: true, findings: [] });
  for (const name of await listSchemaFiles()) await rm(join(project.dir, 'migrations', name));
  await project.migration('001_own', 'create table own (a int);', 'drop table own;');
  await project.migration('002_index', 'create index own_a on own (a);', 'drop index own_a;');
  const { code, stdout } = await runCli(['lint'], { cwd: project.dir });
  expect(code).toBe(3);
  expect(stdout).toContain('index-not-concurrent');
});

test('keeps what is there, also where it was changed', async ({ project }) => {
  await runCli(['init'], { cwd: project.dir });
  await project.write('evdb.config.mjs', 'export default {};\n');
  const [first = ''] = await listSchemaFiles();
  await project.write(`migrations/${first}`, '-- mine');
  const again = await runCli(['init', '--json'], { cwd: project.dir });
  expect(parseJson(again)).toMatchObject({ ok: true, created: [] });
  expect(await readFile(join(project.dir, 'migrations', first), 'utf8')).toBe('-- mine');
  expect(await readFile(join(project.dir, 'evdb.config.mjs'), 'utf8')).toBe('export default {};\n');
});

test('completes what is only there in part', async ({ project }) => {
  await runCli(['init'], { cwd: project.dir });
  const { rm } = await import('node:fs/promises');
  await rm(join(project.dir, '.env.example'));
  const again = await runCli(['init', '--json'], { cwd: project.dir });
  expect(parseJson(again)).toMatchObject({ created: ['.env.example'] });
});

test('gives a project with migrations of its own a config alone, and says so', async ({
  project,
}) => {
  await project.migration('001_my_users', 'create table users (id integer);');
  const { code, stdout } = await runCli(['init'], { cwd: project.dir });
  expect(code).toBe(0);
  expect(stdout).toContain('The event schema was not copied: migrations/ holds migrations');
  expect(await readdir(join(project.dir, 'migrations'))).toEqual(['001_my_users.sql']);
  expect((await readdir(project.dir)).sort()).toEqual([
    '.env.example',
    'evdb.config.mjs',
    'migrations',
    'package.json',
  ]);
});

test('starts without the event schema where that is asked for', async ({ project }) => {
  const first = await runCli(['init', '--empty', '--json'], { cwd: project.dir });
  expect(parseJson(first)).toMatchObject({
    ok: true,
    created: ['evdb.config.mjs', '.env.example'],
    eventSchema: 'leftOut',
  });
  expect(await readdir(join(project.dir, 'migrations'))).toEqual([]);
  const create = await runCli(['migrate', 'create', 'users'], { cwd: project.dir });
  expect(create.code).toBe(0);
});

test('writes nothing where the name of the folder is taken by a file', async ({ project }) => {
  await project.write('migrations', 'a file, where the folder should be');
  const result = await runCli(['init'], { cwd: project.dir });
  expectError(result, 'FILE_UNREADABLE', 1);
  expect((await readdir(project.dir)).sort()).toEqual(['migrations', 'package.json']);
});

test('writes a config file that Node reads without a warning, whatever package.json says', async ({
  project,
}) => {
  await runCli(['init'], { cwd: project.dir });
  const { stderr } = await runCli(['config'], { cwd: project.dir });
  expect(stderr).toBe('');
});

test('writes no second config file beside one that is there', async ({ project }) => {
  await project.write('evdb.config.json', '{ "schema": "tenant" }');
  await runCli(['init'], { cwd: project.dir });
  const { stdout } = await runCli(['config'], { cwd: project.dir });
  expect(stdout).toMatch(/^schema +tenant +evdb\.config\.json$/m);
});
