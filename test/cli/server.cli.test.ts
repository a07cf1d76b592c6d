import { chmod, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { closeSql, openSql } from '../support/databases.ts';
import { test as base } from '../support/fixture.ts';
import { type CliResult, runCli } from '../support/run-cli.ts';
import { expectError, expectHint, parseJson } from './cli-kit.ts';

interface Embedded {
  dir: string;
  evdb(args: string[], env?: Record<string, string>): Promise<CliResult>;
}

/** `embedded`: a project with two migrations, whose server is stopped at the end. */
const test = base.extend<{ embedded: Embedded }>({
  embedded: async ({ project }, use) => {
    // As root the server runs as another user, who has to enter the folder.
    await chmod(project.dir, 0o755);
    await project.migration('001_users', 'create table users (id integer);', 'drop table users;');
    await project.migration(
      '002_events',
      'create table events (id integer);',
      'drop table events;',
    );
    const evdb: Embedded['evdb'] = (args, env = {}) => runCli(args, { cwd: project.dir, env });
    await use({ dir: project.dir, evdb });
    expect(await evdb(['server', 'stop'])).toMatchObject({ code: 0 });
  },
});

test('is there for whoever asks, and goes when it is told', async ({ embedded: { evdb } }) => {
  const none = await evdb(['server', 'status']);
  expect(none.stdout).toMatch(/^state +stopped$/m);
  expectError(await evdb(['server', 'url']), 'CONNECTION_REFUSED', 4);

  const start = parseJson(await evdb(['server', 'start', '--json']));
  expect(start).toMatchObject({ command: 'server start', running: true, started: true });
  const again = await evdb(['server', 'start']);
  expect(again.stdout).toContain(`already running: PostgreSQL ${start.version}`);
  const status = await evdb(['server', 'status']);
  expect(status.stdout).toMatch(/^state +running$/m);
  expect(status.stdout).toMatch(new RegExp(`^pid +${start.pid}$`, 'm'));
  expect(status.stdout).toMatch(new RegExp(`^port +${start.port}$`, 'm'));

  const { stdout: url } = await evdb(['server', 'url']);
  const sql = openSql(url.trim(), 1);
  const [row] = await sql`select current_database() as name, pg_backend_pid() > 0 as alive`;
  expect(row).toEqual({ name: 'evdb', alive: true });
  await closeSql(sql);

  const stop = await evdb(['server', 'stop']);
  expect(stop.stdout).toContain(`stopped PostgreSQL (pid ${start.pid}); its data stays`);
  const nothing = await evdb(['server', 'stop']);
  expect(nothing).toMatchObject({ code: 0, stdout: 'not running: nothing to stop\n' });
});

test('prints its password for no command but url', async ({ embedded: { evdb } }) => {
  const outputs = [
    await evdb(['migrate', 'up', '--embedded', '--verbose']),
    await evdb(['server', 'start', '--json']),
    await evdb(['server', 'status', '--json']),
    await evdb(['server', 'status']),
    await evdb(['config', '--embedded', '--json']),
    await evdb(['migrate', 'status', '--embedded', '--json']),
  ];
  const { stdout: url } = await evdb(['server', 'url']);
  const { password } = new URL(url.trim());
  expect(password.length).toBeGreaterThan(20);
  for (const { stdout, stderr } of outputs) expect(stdout + stderr).not.toContain(password);
});

test('keeps what was migrated from one start to the next', async ({ embedded: { evdb } }) => {
  const up = await evdb(['migrate', 'up', '--embedded']);
  expect(up.stderr).toContain('`evdb server stop` ends it');
  expect(up.code).toBe(0);
  await evdb(['server', 'stop']);
  const status = await evdb(['migrate', 'status', '--check'], { EVDB_URL: 'embedded:' });
  expect(status.stdout).toContain('2 applied');
  expect(status.code).toBe(0);
});

test('says on stderr that it is used where nothing is configured', async ({
  embedded: { evdb },
}) => {
  const result = await evdb(['migrate', 'up', '--json']);
  expect(parseJson(result)).toMatchObject({ ok: true });
  expect(result.stderr).toContain('no database is configured: using the embedded PostgreSQL');
  const asked = await evdb(['migrate', 'up', '--embedded']);
  expect(asked.stderr).toBe('');
});

test.for([{ CI: 'true' }, { CI: '1' }, { NODE_ENV: 'production' }])(
  'refuses to be used unasked with %o',
  async (env, { embedded: { evdb, dir } }) => {
    for (const args of [
      ['up'],
      ['status'],
      ['down'],
      ['up', '--dry-run'],
      ['reset', '--confirm'],
    ]) {
      const result = await evdb(['migrate', ...args], env as Record<string, string>);
      expectError(result, 'NOT_CONFIGURED', 2);
      expectHint(result);
    }
    expect(await readdir(dir)).not.toContain('.evdb');
  },
);

/** Every kind of command that would look at an empty database, or change something there. */
const ON_NOTHING = [
  ['migrate', 'status', '--check'],
  ['migrate', 'plan'],
  ['migrate', 'up', '--dry-run'],
  ['migrate', 'down'],
  ['migrate', 'redo'],
  ['migrate', 'reset', '--confirm'],
  ['migrate', 'baseline', '001'],
  ['migrate', 'repair'],
  ['migrate', 'adopt', '--from', 'dbmate'],
  ['schema', 'dump'],
  ['schema', 'diff'],
  ['stats', 'tables'],
  ['doctor'],
  ['rules', 'check'],
  ['audit', 'log'],
  ['events', 'list'],
  ['db', 'ping'],
  ['db', 'wait'],
  ['db', 'create'],
  ['db', 'drop', '--confirm'],
];

test('is made by no command that would find nothing in it', async ({ embedded: { evdb, dir } }) => {
  for (const args of ON_NOTHING) {
    for (const how of [[], ['--embedded']]) {
      const result = await evdb([...args, ...how]);
      expectError(result, 'NOT_CONFIGURED', 2);
      expectHint(result);
      expect(result.stderr).toContain('there is no embedded PostgreSQL in');
    }
  }
  expect(await readdir(dir)).not.toContain('.evdb');
});

test('is made by no command that finds no migrations', async ({ project }) => {
  for (const command of ['up', 'status', 'plan']) {
    for (const how of [['--embedded'], []]) {
      const result = await runCli(['migrate', command, ...how], { cwd: project.dir });
      expectError(result, 'MIGRATIONS_DIR_MISSING', 2);
    }
  }
  await project.migration('001_users', 'create table users (id integer);');
  await writeFile(join(project.dir, 'evdb.config.ts'), 'export default { url: process.env.X };');
  const result = await runCli(['migrate', 'up'], { cwd: project.dir });
  expectError(result, 'CONFIG_INVALID', 2);
  expect(result.stderr).toContain('evdb.config.ts');
  expect(await readdir(project.dir)).not.toContain('.evdb');
});

test('is used by every command once it was made', async ({ embedded: { evdb } }) => {
  await evdb(['migrate', 'up']);
  const status = await evdb(['migrate', 'status', '--check']);
  expect(status.stderr).toContain('no database is configured: using the embedded PostgreSQL');
  expect(status.code).toBe(0);
  await evdb(['server', 'stop']);
  expect(await evdb(['db', 'ping'])).toMatchObject({ code: 0 });
});

test('is used in a pipeline that asks for it', async ({ embedded: { evdb } }) => {
  const result = await evdb(['migrate', 'up', '--embedded'], { CI: 'true' });
  expect(result.stdout).toContain('applied 2 migrations');
  expect(result.code).toBe(0);
});

test('is shared by two commands that start at the same moment', async ({ embedded: { evdb } }) => {
  const both = await Promise.all([
    evdb(['migrate', 'up', '--embedded', '--json']),
    evdb(['migrate', 'up', '--embedded', '--json']),
  ]);
  for (const { code, stderr } of both) expect({ code, stderr }).toMatchObject({ code: 0 });
  const applied = both.flatMap((result) => parseJson(result).steps as { label: string }[]);
  expect(applied.map(({ label }) => label).sort()).toEqual(['001', '002']);
  const starts = both.filter(({ stderr }) => stderr.includes('stays up on port'));
  expect(starts).toHaveLength(1);
});

test('refuses a port that is taken, and names it', async ({
  embedded: { evdb },
  emptyDb,
  skip,
}) => {
  const { hostname, port } = new URL(emptyDb.url);
  skip(hostname !== '127.0.0.1', 'the server of the tests is not on this machine');
  const result = await evdb(['server', 'start', '--port', port]);
  expectError(result, 'PORT_TAKEN', 1);
  expect(result.stderr).toContain(port);
});

test('lists the servers of all projects from anywhere, and stops them', async ({
  embedded: { dir, evdb },
  project,
}) => {
  const state = { XDG_STATE_HOME: join(dir, 'state') };
  const elsewhere = await project.write('elsewhere/README', '').then(() => join(dir, 'elsewhere'));
  const away = (args: string[]) => runCli(args, { cwd: elsewhere, env: state });
  expect((await away(['server', 'list'])).stdout).toMatch(/^no embedded server was started/);
  expect((await away(['server', 'stop', '--all'])).stdout).toBe(
    'none is running: nothing to stop\n',
  );

  const { pid, port } = parseJson(await evdb(['server', 'start', '--json'], state));
  const directory = join(await realpath(dir), '.evdb');
  const listed = await away(['server', 'list', '--json']);
  expect(parseJson(listed)).toMatchObject({
    servers: [{ directory, hasDirectory: true, running: true, pid, port }],
  });
  expect(listed.stdout).not.toContain('password');
  expect((await away(['server', 'list'])).stdout).toContain(` running  ${port}  ${pid} `);

  const stopped = await away(['server', 'stop', '--all']);
  expect(stopped.stdout).toBe(
    `stopped PostgreSQL (pid ${pid}) of ${directory}\ntheir data stays\n`,
  );
  expect((await evdb(['server', 'status'])).stdout).toMatch(/^state +stopped$/m);
  expect(parseJson(await away(['server', 'list', '--json']))).toMatchObject({
    servers: [{ directory, running: false }],
  });
});

test('finds a server whose folder is gone, and forgets one that left nothing', async ({
  embedded: { dir, evdb },
}) => {
  const state = { XDG_STATE_HOME: join(dir, 'state') };
  const { pid } = parseJson(await evdb(['server', 'start', '--json'], state));
  await rm(join(dir, '.evdb'), { recursive: true, force: true });
  expect(parseJson(await evdb(['server', 'list', '--json'], state))).toMatchObject({
    servers: [{ hasDirectory: false, running: true, pid }],
  });
  expect((await evdb(['server', 'list'], state)).stdout).toContain('the folder is gone');
  expect(await evdb(['server', 'stop', '--all'], state)).toMatchObject({ code: 0, stderr: '' });
  expect(parseJson(await evdb(['server', 'list', '--json'], state))).toMatchObject({ servers: [] });
});

test('leaves a process alone that has the pid of a server that ended', async ({
  embedded: { dir, evdb },
}) => {
  const state = { XDG_STATE_HOME: join(dir, 'state') };
  await evdb(['server', 'start'], state);
  await evdb(['server', 'stop'], state);
  const folder = join(dir, 'state/evdb/servers');
  const [name = ''] = await readdir(folder);
  const entry = JSON.parse(await readFile(join(folder, name), 'utf8'));
  await writeFile(join(folder, name), JSON.stringify({ ...entry, pid: process.pid }));
  expect(parseJson(await evdb(['server', 'list', '--json'], state))).toMatchObject({
    servers: [{ running: false }],
  });
  await writeFile(join(folder, name), '{"directory": 1');
  expect(parseJson(await evdb(['server', 'list', '--json'], state))).toMatchObject({ servers: [] });
});

test('starts where nothing can be remembered', async ({ embedded: { dir, evdb } }) => {
  await writeFile(join(dir, 'state'), '');
  const started = await evdb(['server', 'start'], { XDG_STATE_HOME: join(dir, 'state') });
  expect(started).toMatchObject({ code: 0, stderr: expect.not.stringContaining('error') });
});
