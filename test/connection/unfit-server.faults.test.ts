import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { closeSql, openSql } from '../support/databases.ts';
import { test as base } from '../support/fixture.ts';
import { type OwnServer, startOwnServer, whyNoOwnServer } from '../support/own-server.ts';
import { startPgBouncer, whyNoPgBouncer } from '../support/pgbouncer.ts';
import { type CliResult, runCli, startCli } from '../support/run-cli.ts';

interface Servers {
  startServer(settings?: Record<string, string>): Promise<OwnServer>;
}

/** `servers`: starts servers of the test's own; two migrations are in the project. */
const test = base.extend<{ servers: Servers }>({
  servers: async ({ project, skip }, use) => {
    const reason = whyNoOwnServer();
    skip(reason !== undefined, reason);
    await project.migration('001_users', 'create table users (id integer);', 'drop table users;');
    await project.migration(
      '002_events',
      'select pg_advisory_xact_lock_shared(1);\ncreate table events (id integer);\n',
      'drop table events;',
    );
    const started: OwnServer[] = [];
    await use({
      startServer: async (settings) => {
        const server = await startOwnServer(settings);
        started.push(server);
        return server;
      },
    });
    for (const server of started) await server.remove();
  },
});

function expectError({ code, stderr, stdout }: CliResult, errorCode: string, exitCode: number) {
  expect(stderr).toMatch(new RegExp(`^error ${errorCode}  \\S`, 'm'));
  expect(stderr).toMatch(/^ {2}hint: \S/m);
  expect(stderr).not.toMatch(/^\s+at .+[:(]/m);
  expect({ code, stdout }).toEqual({ code: exitCode, stdout: '' });
}

test('refuses a standby, which still shows its status', async ({ servers, project }) => {
  const server = await servers.startServer();
  const options = { cwd: project.dir, env: { EVDB_URL: server.url } };
  expect(await runCli(['migrate', 'up', '--steps', '1'], options)).toMatchObject({ code: 0 });
  await server.stop();
  await writeFile(join(server.dataDirectory, 'standby.signal'), '');
  await chmod(join(server.dataDirectory, 'standby.signal'), 0o644);
  await server.start();

  for (const args of [['up'], ['down'], ['reset', '--confirm']]) {
    const result = await runCli(['migrate', ...args], options);
    expectError(result, 'READ_ONLY', 1);
    expect(result.stderr).toContain('the server is a standby');
    expect(result.stderr).toContain('target_session_attrs=read-write');
  }
  const status = await runCli(['migrate', 'status'], options);
  expect(status.stdout).toContain('1 applied, 1 pending');
  expect(status.code).toBe(0);
});

test('says that the server has no connection left', async ({ servers, project }) => {
  const server = await servers.startServer({
    max_connections: '6',
    superuser_reserved_connections: '0',
    max_wal_senders: '0',
  });
  const holders = Array.from({ length: 6 }, () => openSql(server.url, 1));
  await Promise.all(holders.map((sql) => sql`select 1`));
  const options = { cwd: project.dir, env: { EVDB_URL: server.url } };
  expectError(await runCli(['migrate', 'up'], options), 'TOO_MANY_CONNECTIONS', 4);

  // evdb needs a second session, to look on.
  const [first, ...others] = holders;
  if (first) await closeSql(first);
  expectError(await runCli(['migrate', 'up'], options), 'TOO_MANY_CONNECTIONS', 4);
  await Promise.all(others.map(closeSql));
  expect(await runCli(['migrate', 'up'], options)).toMatchObject({ code: 0 });
});

test('keeps what was applied where the server is restarted amid a run', async ({
  servers,
  project,
}) => {
  const server = await servers.startServer();
  const options = { cwd: project.dir, env: { EVDB_URL: server.url } };
  const sql = openSql(server.url, 1);
  await sql`select pg_advisory_lock(1)`;
  const running = startCli(['migrate', 'up'], options);
  await running.printed('applied      001_users');
  await server.stop();
  await closeSql(sql);
  const { code, stderr } = await running.result;
  expect(stderr).toContain('error CONNECTION_LOST  ');
  expect(code).toBe(4);

  expect((await runCli(['migrate', 'status'], options)).stderr).toContain('CONNECTION_REFUSED');
  await server.start();
  const status = await runCli(['migrate', 'status'], options);
  expect(status.stdout).toContain('1 applied, 1 pending');
  const next = await runCli(['migrate', 'up'], options);
  expect(next.stdout).toContain('applied 1 migration');
  expect(next.code).toBe(0);
});

test('refuses a pooler in transaction mode, and works past it', async ({
  servers,
  project,
  skip,
  onTestFinished,
}) => {
  const reason = whyNoPgBouncer();
  skip(reason !== undefined, reason);
  const server = await servers.startServer();
  const pooled = await startPgBouncer(server.url, { poolMode: 'transaction' });
  onTestFinished(pooled.stop);
  const env = { EVDB_URL: pooled.url };
  const refused = await runCli(['migrate', 'up'], { cwd: project.dir, env });
  expectError(refused, 'POOLER_DETECTED', 1);
  expect(refused.stderr).toContain('EVDB_MIGRATION_URL');
  const status = await runCli(['migrate', 'status'], { cwd: project.dir, env });
  expect(status.stdout).toContain('2 pending');

  const direct = { ...env, EVDB_MIGRATION_URL: server.url };
  const up = await runCli(['migrate', 'up'], { cwd: project.dir, env: direct });
  expect(up).toMatchObject({ code: 0 });
});

test('works through a pooler in session mode', async ({
  servers,
  project,
  skip,
  onTestFinished,
}) => {
  const reason = whyNoPgBouncer();
  skip(reason !== undefined, reason);
  const server = await servers.startServer();
  const pooled = await startPgBouncer(server.url, { poolMode: 'session' });
  onTestFinished(pooled.stop);
  const options = { cwd: project.dir, env: { EVDB_URL: pooled.url } };
  const { code, stdout } = await runCli(['migrate', 'up'], options);
  expect(stdout).toContain('applied 2 migrations');
  expect(code).toBe(0);
});
