import { expect } from 'vitest';
import {
  closeSql,
  dropDatabase,
  newDatabaseName,
  openSql,
  withDatabase,
  withLogin,
} from '../support/databases.ts';
import { startProxy } from '../support/proxy.ts';
import { runCli, startCli } from '../support/run-cli.ts';
import {
  test as base,
  expectError,
  expectHint,
  expectNoPassword,
  PASSWORD,
  parseJson,
} from './cli-kit.ts';

interface Named {
  name: string;
  url: string;
  evdb(...args: string[]): ReturnType<typeof runCli>;
}

/** `named`: a name that no database has yet; what is called so at the end is dropped. */
const test = base.extend<{ named: Named }>({
  named: async ({ admin, emptyDb, project }, use) => {
    // a name that has to be quoted in SQL, and not in a URL
    const name = `${newDatabaseName()}-Odd`;
    const url = withDatabase(emptyDb.url, name);
    const evdb = (...args: string[]) => runCli(args, { cwd: project.dir, env: { EVDB_URL: url } });
    await use({ name, url, evdb });
    await dropDatabase(admin, name);
  },
});

const NOWHERE = 'postgres://app:S3cret%2Fw@127.0.0.1:1/app';

test('pings the database and says what answered', async ({ emptyDb, project }) => {
  const env = { EVDB_URL: emptyDb.url };
  const { code, stdout, stderr } = await runCli(['db', 'ping'], { cwd: project.dir, env });
  expect(stdout).toMatch(new RegExp(`^database +${emptyDb.name}$`, 'm'));
  expect(stdout).toMatch(/^answers in +[\d.]+ (µs|ms)$/m);
  expect(stdout).toMatch(/^version +PostgreSQL \d+/m);
  expect(stdout).toMatch(/^state +primary$/m);
  expect(stdout).toMatch(/^TLS +none$/m);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
});

test('pings as a role of its own, and prints no password', async ({ emptyDb, role, project }) => {
  const options = { cwd: project.dir, env: { EVDB_URL: role.url } };
  const result = await runCli(['db', 'ping', '--json'], options);
  expect(parseJson(result)).toMatchObject({
    database: emptyDb.name,
    user: role.name,
    isSuperuser: false,
    isInRecovery: false,
    isReadOnly: false,
    isPooled: false,
    tls: null,
    latencyMs: expect.any(Number),
    connectMs: expect.any(Number),
  });
  expectNoPassword(result);
  expectNoPassword(await runCli(['db', 'ping'], options));
});

test.for(['ping', 'sizes', 'create'])(
  'says that nothing answers to db %s, and that trying again makes sense',
  async (command, { project }) => {
    const result = await runCli(['db', command], { cwd: project.dir, env: { EVDB_URL: NOWHERE } });
    expectError(result, 'CONNECTION_REFUSED', 4);
    expectHint(result);
    expectNoPassword(result);
  },
);

test('does not wait for a database that answers', async ({ emptyDb, project }) => {
  const env = { EVDB_URL: emptyDb.url };
  const result = await runCli(['db', 'wait'], { cwd: project.dir, env });
  expect(result).toMatchObject({
    code: 0,
    stdout: `database "${emptyDb.name}" accepts connections\n`,
    stderr: '',
  });
});

test('waits for a database that comes later', async ({ emptyDb, project }) => {
  const proxy = await startProxy(emptyDb.url);
  proxy.refuse();
  const waiting = startCli(['db', 'wait', '--timeout', '40s'], {
    cwd: project.dir,
    env: { EVDB_URL: proxy.url },
  });
  await waiting.printed('waiting: nothing accepts connections at 127.0.0.1');
  await proxy.accept();
  const { code, stdout } = await waiting.result;
  expect(stdout).toMatch(/accepts connections \(after [\d.]+ (ms|s)\)\n$/);
  expect(code).toBe(0);
  await proxy.close();
});

test('gives up waiting in time, with the reason', async ({ project }) => {
  const env = { EVDB_URL: NOWHERE };
  const args = ['db', 'wait', '--timeout', '0.4'];
  const result = await runCli(args, { cwd: project.dir, env });
  expectError(result, 'CONNECT_TIMEOUT', 4);
  expect(result.stderr).toContain(
    'did not accept a connection within 0.4 s: nothing accepts connections at 127.0.0.1:1',
  );
  expectHint(result);
  expectNoPassword(result);
});

test('gives up waiting on a server that accepts and says nothing', async ({ emptyDb, project }) => {
  const proxy = await startProxy(emptyDb.url);
  proxy.silence();
  const env = { EVDB_URL: proxy.url };
  const args = ['db', 'wait', '--timeout', '500ms'];
  const result = await runCli(args, { cwd: project.dir, env, timeoutMs: 20_000 });
  expectError(result, 'CONNECT_TIMEOUT', 4);
  await proxy.close();
});

test('does not wait where waiting cannot help', async ({ emptyDb, named, role, project }) => {
  const wait = (url: string) =>
    runCli(['db', 'wait', '--timeout', '45s'], { cwd: project.dir, env: { EVDB_URL: url } });
  expectError(await wait(named.url), 'DATABASE_MISSING', 1);
  const wrong = await wait(withLogin(emptyDb.url, role.name, 'wrong'));
  expectError(wrong, 'AUTHENTICATION_FAILED', 1);
});

test.for(['never', '-1', '5m', '1e3', ''])(
  'refuses to wait for "%s"',
  async (text, { project }) => {
    const args = ['db', 'wait', '--timeout', text];
    expectError(await runCli(args, { cwd: project.dir }), 'USAGE', 2);
  },
);

test('creates the database once', async ({ admin, named }) => {
  const created = await named.evdb('db', 'create');
  expect(created).toMatchObject({ code: 0, stdout: `created database "${named.name}"\n` });
  const [found] = await admin`select count(*)::int from pg_database where datname = ${named.name}`;
  expect(found).toEqual({ count: 1 });
  const again = await named.evdb('db', 'create');
  expect(again).toMatchObject({
    code: 0,
    stdout: `database "${named.name}" exists: nothing to do\n`,
  });
  const json = parseJson(await named.evdb('db', 'create', '--json'));
  expect(json).toMatchObject({ command: 'db create', database: named.name, created: false });
});

test('creates the database once when many ask at the same time', async ({ named }) => {
  const results = await Promise.all([1, 2, 3].map(() => named.evdb('db', 'create', '--json')));
  const created = results.map((result) => parseJson(result).created);
  expect(created.filter((one) => one === true)).toHaveLength(1);
});

test('names the privilege that creating a database takes', async ({ named, role, project }) => {
  const env = { EVDB_URL: withLogin(named.url, role.name, PASSWORD) };
  const result = await runCli(['db', 'create'], { cwd: project.dir, env });
  expectError(result, 'PERMISSION_DENIED', 1);
  expect(result.stderr).toContain(`alter role "${role.name}" createdb;`);
  expectNoPassword(result);
});

test('does not drop without --confirm, and asks nobody before', async ({ project }) => {
  const result = await runCli(['db', 'drop'], { cwd: project.dir, env: { EVDB_URL: NOWHERE } });
  expectError(result, 'CONFIRM_REQUIRED', 2);
  expect(result.stderr).toContain(
    'this drops database "app" on 127.0.0.1:1, all its schemas and all its data',
  );
  expectHint(result);
});

test('drops the database, and has nothing to do then', async ({ admin, named }) => {
  await named.evdb('db', 'create');
  const dropped = await named.evdb('db', 'drop', '--confirm');
  expect(dropped).toMatchObject({ code: 0, stdout: `dropped database "${named.name}"\n` });
  expect(await admin`select from pg_database where datname = ${named.name}`).toHaveLength(0);
  const again = await named.evdb('db', 'drop', '--confirm');
  expect(again).toMatchObject({
    code: 0,
    stdout: `database "${named.name}" does not exist: nothing to do\n`,
  });
});

test('names who is connected, and ends their sessions only with --force', async ({
  admin,
  named,
}) => {
  await named.evdb('db', 'create');
  const other = openSql(named.url, 1);
  const [session] = await other`select pg_backend_pid() as pid`;
  const refused = await named.evdb('db', 'drop', '--confirm');
  expectError(refused, 'DATABASE_IN_USE', 1);
  expect(refused.stderr).toContain(`pid ${session?.pid} (`);
  expect(refused.stderr).toContain('evdb-test');
  expect(refused.stderr).toContain('evdb db drop --confirm --force');
  expect(await other`select 1 as alive`).toEqual([{ alive: 1 }]);

  const forced = await named.evdb('db', 'drop', '--confirm', '--force');
  expect(forced).toMatchObject({
    code: 0,
    stdout: `dropped database "${named.name}" and ended 1 session\n`,
  });
  expect(await admin`select from pg_database where datname = ${named.name}`).toHaveLength(0);
  await closeSql(other);
});

test('refuses to drop where the environment is protected, whatever is said', async ({
  emptyDb,
  project,
}) => {
  const config = { environments: { production: { protected: true } } };
  await project.write('evdb.config.json', JSON.stringify(config));
  const args = ['db', 'drop', '--confirm', '--force', '--env', 'production'];
  const result = await runCli(args, { cwd: project.dir, env: { EVDB_URL: emptyDb.url } });
  expectError(result, 'PROTECTED_ENVIRONMENT', 2);
  expect(await emptyDb.sql`select 1 as alive`).toEqual([{ alive: 1 }]);
});

test.for(['postgres', 'template1', 'template0'])(
  "refuses to drop the server's own database %s",
  async (name, { emptyDb, project }) => {
    const env = { EVDB_URL: withDatabase(emptyDb.url, name) };
    const args = ['db', 'drop', '--confirm', '--force'];
    expectError(await runCli(args, { cwd: project.dir, env }), 'USAGE', 2);
  },
);

test("does not drop another role's database", async ({ admin, named, role, project }) => {
  await named.evdb('db', 'create');
  const env = { EVDB_URL: withLogin(named.url, role.name, PASSWORD) };
  const result = await runCli(['db', 'drop', '--confirm'], { cwd: project.dir, env });
  expectError(result, 'PERMISSION_DENIED', 1);
  expectNoPassword(result);
  expect(await admin`select from pg_database where datname = ${named.name}`).toHaveLength(1);
});

test('shows how big the database, its schemas and its biggest tables are', async ({
  emptyDb,
  project,
}) => {
  await emptyDb.sql`create table big as select repeat('x', 1000) as x from generate_series(1, 2000)`;
  await emptyDb.sql`create table "odd | name" (id integer primary key)`;
  const evdb = (...args: string[]) =>
    runCli(['db', 'sizes', ...args], { cwd: project.dir, env: { EVDB_URL: emptyDb.url } });
  const { code, stdout, stderr } = await evdb();
  const tables = stdout.split('\n').filter((line) => line.startsWith('table '));
  expect(tables[0]).toMatch(/^table +public\.big +2\.\d MB /);
  expect(tables[1]).toContain('public.odd | name');
  expect(stdout).toMatch(new RegExp(`^database +${emptyDb.name} .* 100\\.0 %`, 'm'));
  expect(stdout).toMatch(/^schema +pg_catalog /m);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });

  const [size] = await emptyDb.sql`select pg_total_relation_size('big')::int as bytes`;
  const { rows } = parseJson(await evdb('--json', '--limit', '1')) as unknown as {
    rows: { kind: string; name: string; totalBytes: number }[];
  };
  expect(rows.filter(({ kind }) => kind === 'table')).toMatchObject([
    { name: 'big', totalBytes: size?.bytes },
  ]);
  expect((await evdb('--markdown')).stdout).toContain('| table | public.odd \\| name |');

  // What all databases share, such as pg_authid, is a part of none.
  const sum = (kind: string) =>
    rows.filter((row) => row.kind === kind).reduce((total, row) => total + row.totalBytes, 0);
  expect(sum('schema')).toBeGreaterThan(0);
  expect(sum('schema')).toBeLessThanOrEqual(sum('database'));
});

test('does not wait for a table that is held, and says that it estimates', async ({
  emptyDb,
  project,
}) => {
  await emptyDb.sql`create table held as select repeat('x', 1000) as x from generate_series(1, 2000)`;
  await emptyDb.sql`analyze held`;
  const options = { cwd: project.dir, env: { EVDB_URL: emptyDb.url } };
  await emptyDb.sql.begin(async (sql) => {
    await sql`lock table held in access exclusive mode`;
    const { code, stdout } = await runCli(['db', 'sizes'], options);
    expect(stdout).toMatch(/^table +public\.held +2\.\d MB /m);
    expect(stdout).toContain('warning: another session has a table locked');
    expect(code).toBe(0);
  });
  expect((await runCli(['db', 'sizes'], options)).stdout).not.toContain('warning');
});

test('lets up create the database, by the command that its failure names', async ({
  named: { name, evdb },
  project,
}) => {
  await project.migration('001_a', 'create table a (id integer);');
  const failed = await evdb('migrate', 'up', '--verbose');
  expectError(failed, 'DATABASE_MISSING', 1);
  const [, command = ''] = /`evdb (migrate up [^`]*)`/.exec(failed.stderr) ?? [];
  expect(command).toBe('migrate up --verbose --create-database');
  const up = await evdb(...command.split(' '));
  expect(up.stderr).toContain(`created database "${name}"\n`);
  expect(up).toMatchObject({ code: 0, stdout: expect.stringContaining('applied 1 migration') });
  const again = await evdb('migrate', 'up', '--create-database');
  expect(again).toMatchObject({ code: 0, stderr: '' });
});

test('creates no database for a folder without migrations or a dry run', async ({
  named: { evdb },
  project,
}) => {
  await project.write('migrations/README.md', '');
  expectError(await evdb('migrate', 'up', '--create-database'), 'MIGRATIONS_DIR_EMPTY', 2);
  await project.migration('001_a', 'create table a (id integer);');
  expectError(await evdb('migrate', 'up', '--create-database', '--dry-run'), 'USAGE', 2);
  expect((await evdb('db', 'ping')).stderr).toContain('DATABASE_MISSING');
});

test('says that a role may not create the database', async ({ named, role, project }) => {
  await project.migration('001_a', 'create table a (id integer);');
  const env = { EVDB_URL: withDatabase(role.url, named.name) };
  const up = await runCli(['migrate', 'up', '--create-database'], { cwd: project.dir, env });
  expectError(up, 'PERMISSION_DENIED', 1);
  expect(up.stderr).not.toContain(new URL(role.url).password);
});
