import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { test as base } from '../support/fixture.ts';
import { type CliResult, pasteCommand, runCli } from '../support/run-cli.ts';
import { expectError, expectHint, parseJson } from './cli-kit.ts';

interface Migrated {
  dir: string;
  evdb(...args: string[]): Promise<CliResult>;
}

/** `migrated`: dbmate has applied the first two of three files. */
const test = base.extend<{ migrated: Migrated }>({
  migrated: async ({ project, emptyDb }, use) => {
    const file = (name: string) => `-- migrate:up\ncreate table ${name} ();\n-- migrate:down\n`;
    await project.write('db/migrations/001_a.sql', file('a'));
    await project.write('db/migrations/002_b.sql', file('b'));
    await project.write('db/migrations/003_c.sql', file('c'));
    const config = { environments: { production: { protected: true } } };
    await project.write('evdb.config.json', JSON.stringify(config));
    await emptyDb.sql.unsafe(`
      create table schema_migrations (version varchar primary key);
      insert into schema_migrations values ('001'), ('002');
      create table a (); create table b ();`);
    const env = { EVDB_URL: emptyDb.url };
    const evdb = (...args: string[]) => runCli(['migrate', ...args], { cwd: project.dir, env });
    await use({ dir: project.dir, evdb });
  },
});

test('looks, takes over, goes on and rolls back', async ({ migrated: { dir, evdb } }) => {
  const look = await evdb('adopt', '--from', 'dbmate', '--dry-run');
  expect(look.stdout).toMatch(/^would adopt {2}001_a {2}from db\/migrations\/001_a\.sql$/m);
  expect(look.stdout).toMatch(/^pending {6}003_c {2}/m);
  expect(look.stdout).toMatch(/Nothing was changed \(--dry-run\)\.\n$/);
  expect(await readdir(dir)).not.toContain('migrations');

  const done = await evdb('adopt', '--from', 'dbmate');
  expect(done.stdout).toMatch(/^adopted {6}002_b {2}/m);
  expect(done.stdout).toContain(
    'adopted 2 migrations of dbmate from public.schema_migrations into schema public, 1 pending; wrote 3 files to migrations',
  );
  expect(done.stdout).toContain('set "lint": { "startAfter": "002" } in evdb.config.json');
  expect(done).toMatchObject({ code: 0, stderr: '' });
  expect(await readdir(join(dir, 'migrations'))).toEqual(['001_a.sql', '002_b.sql', '003_c.sql']);

  const status = await evdb('status');
  expect(status.stdout).toMatch(/^001 {6}a {5}applied \(adopted from dbmate\) {2}- +-$/m);
  const again = await evdb('adopt', '--from', 'dbmate');
  expect(again.stdout).toContain('already adopted: 2 migrations of dbmate');

  const undone = await evdb('adopt', '--undo');
  expect(undone.stdout).toMatch(/^forgot 2 migrations in schema public, removed 3 files$/m);
  expect(await readdir(join(dir, 'migrations'))).toEqual([]);
  expect(await evdb('adopt', '--undo')).toMatchObject({
    code: 0,
    stdout: 'nothing to undo in schema public\n',
  });
});

test('says what an undone adoption leaves because evdb has applied it', async ({ migrated }) => {
  const { dir, evdb } = migrated;
  await evdb('adopt', '--from', 'dbmate');
  expect(await evdb('up')).toMatchObject({ code: 0 });
  const { stdout } = await evdb('adopt', '--undo', '--confirm');
  expect(stdout).toBe(`kept  003_c  evdb applied it since, so it stays in the ledger, and 003_c.sql
forgot 2 migrations in schema public, removed 2 files
stays: 1 migration that evdb applied since, which the other tool does not know of
The other tool's table and files are as they were.
`);
  expect(await readdir(join(dir, 'migrations'))).toEqual(['003_c.sql']);
});

test('says everything that stands in the way, and what to do', async ({ migrated, project }) => {
  await project.write('db/migrations/002_b.sql', 'create table b ();');
  await project.write('db/migrations/003_d.sql', '-- migrate:up\nselect 1;\n-- migrate:down\n');
  const result = await migrated.evdb('adopt', '--from', 'dbmate');
  expectError(result, 'ADOPTION_REFUSED', 1);
  expectHint(result);
  expect(result.stderr).toContain('2 things stand in the way of taking over from dbmate');
  expect(result.stderr).toMatch(/^error {4}db\/migrations\/002_b\.sql: it has no "-- migrate:up"/m);
  expect(result.stderr).toMatch(/^ {9}hint: Write what it does as SQL into 002_b\.sql/m);
  expect(result.stderr).toMatch(
    /^error {4}db\/migrations\/003_d\.sql: it has the same version as/m,
  );
  const json = parseJson(await migrated.evdb('adopt', '--from', 'dbmate', '--json'));
  expect(json).toMatchObject({
    ok: false,
    error: { code: 'ADOPTION_REFUSED', details: { findings: [{}, {}] } },
  });
  expect(await readdir(migrated.dir)).not.toContain('migrations');
});

test('gives the result as JSON', async ({ migrated: { evdb } }) => {
  expect(parseJson(await evdb('adopt', '--from', 'dbmate', '--dry-run', '--json'))).toMatchObject({
    command: 'migrate adopt',
    ok: true,
    dryRun: true,
    tool: 'dbmate',
    table: 'public.schema_migrations',
    adopted: [
      { version: '1', label: '001', name: 'a', key: '001', file: 'db/migrations/001_a.sql' },
      { version: '2', verifiedBy: 'name' },
    ],
    pending: [{ version: '3', verifiedBy: null }],
    findings: [],
    files: ['001_a.sql', '002_b.sql', '003_c.sql'],
  });
});

test('writes where it is told to', async ({ migrated: { dir, evdb } }) => {
  const { stdout } = await evdb('adopt', '--from', 'dbmate', '--write-to', 'sql/evdb');
  expect(stdout).toContain(
    'set "migrationsDir": "sql/evdb" in evdb.config.json (it is migrations)',
  );
  expect(await readdir(join(dir, 'sql/evdb'))).toHaveLength(3);
  expect(await evdb('status', '--check', '--migrations-dir', 'sql/evdb')).toMatchObject({
    code: 3,
  });
});

test('says what comes next as commands that go to the same schema', async ({
  migrated: { dir, evdb },
  emptyDb,
}) => {
  await emptyDb.sql.unsafe('create schema app');
  const { stdout } = await evdb(
    ...['adopt', '--from', 'dbmate', '--table', 'public.schema_migrations'],
    ...['--schema', 'app', '--write-to', 'my own'],
  );
  const [, validate = ''] = /look at it: (.*)$/m.exec(stdout) ?? [];
  const [, undo = ''] = /take this back: (.*)$/m.exec(stdout) ?? [];
  expect(validate).toBe("evdb migrate validate --schema app --migrations-dir 'my own'");
  expect(undo).toBe("evdb migrate adopt --from dbmate --write-to 'my own' --undo --schema app");
  const options = { cwd: dir, env: { EVDB_URL: emptyDb.url } };
  expect((await pasteCommand(validate, options)).stdout).not.toContain('2 pending');
  expect(await pasteCommand(undo, options)).toMatchObject({ code: 0 });
  expect(await emptyDb.sql`select from evdb.migration`).toHaveLength(0);
});

test('asks for --confirm where the environment is protected', async ({ migrated }) => {
  for (const args of [['--from', 'dbmate'], ['--undo']]) {
    const result = await migrated.evdb('adopt', ...args, '--env', 'production');
    expectError(result, 'CONFIRM_REQUIRED', 2);
    expect(result.stderr).toContain(
      `evdb migrate adopt ${args.join(' ')} --env production --confirm`,
    );
  }
  expect(await readdir(migrated.dir)).not.toContain('migrations');
  const confirmed = await migrated.evdb(
    'adopt',
    '--from',
    'dbmate',
    '--env',
    'production',
    '--confirm',
  );
  expect(confirmed).toMatchObject({ code: 0 });
});

test('knows which tools there are', async ({ migrated: { evdb } }) => {
  expectError(await evdb('adopt'), 'USAGE', 2);
  const result = await evdb('adopt', '--from', 'liquibase');
  expectError(result, 'USAGE', 2);
  expect(result.stderr).toContain('golang-migrate');
});
