import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, vi } from 'vitest';
import { closeSql, openSql } from '../../support/databases.ts';
import { test as base } from '../../support/fixture.ts';
import { startHoldingProxy } from '../../support/proxy.ts';
import { startCli } from '../../support/run-cli.ts';

const run = promisify(execFile);

/** A primary and a standby that streams from it. */
interface Pair {
  primaryUrl: string;
  standbyUrl: string;
  /** What the primary commits from now on never comes to the standby. */
  stopStreaming(): Promise<void>;
  /** Makes the standby a primary. */
  promote(): Promise<void>;
  remove(): Promise<void>;
}

/** The folder of an installed PostgreSQL that can copy a server; the embedded one cannot. */
function findServerPrograms(): string | undefined {
  const root = '/usr/lib/postgresql';
  const versions = existsSync(root)
    ? readdirSync(root)
        .map(Number)
        .sort((a, b) => b - a)
    : [];
  const folders = versions.map((version) => join(root, String(version), 'bin'));
  return folders.find((folder) => existsSync(join(folder, 'pg_basebackup')));
}

async function startPair(programs: string): Promise<Pair> {
  const directory = await mkdtemp(join(tmpdir(), 'evdb-test-pair-'));
  // PostgreSQL refuses root
  const nobody = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
  if (nobody.uid !== undefined) await chown(directory, nobody.uid, nobody.gid);
  const program = (name: string, ...args: string[]) =>
    run(join(programs, name), args, { ...nobody, cwd: directory });
  const [primaryPort, standbyPort] = [await freePort(), await freePort()];
  const start = (name: string, port: number) =>
    program(
      ...(['pg_ctl', '-D', name, '-l', `${name}.log`, '-w', '-o'] as const),
      `-p ${port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off`,
      'start',
    );
  const urlOf = (port: number) => `postgres://evdb@127.0.0.1:${port}/postgres?sslmode=disable`;
  await program(
    'initdb',
    '-D',
    'primary',
    '-A',
    'trust',
    '-U',
    'evdb',
    '-E',
    'UTF8',
    '--locale=C',
    '-N',
  );
  await start('primary', primaryPort);
  const from = ['-h', '127.0.0.1', '-p', String(primaryPort), '-U', 'evdb'];
  await program(
    'pg_basebackup',
    ...from,
    '-D',
    'standby',
    '-R',
    '-X',
    'stream',
    '-c',
    'fast',
    '-N',
  );
  await start('standby', standbyPort);
  const onStandby = async (text: string) => {
    const sql = openSql(urlOf(standbyPort).split('?')[0] ?? '', 1);
    return sql.unsafe(text).finally(() => closeSql(sql));
  };
  return {
    primaryUrl: urlOf(primaryPort),
    standbyUrl: urlOf(standbyPort),
    stopStreaming: async () => {
      await onStandby("alter system set primary_conninfo = ''");
      await onStandby('select pg_reload_conf()');
      await vi.waitUntil(
        async () => (await onStandby('select from pg_stat_wal_receiver')).length === 0,
        { timeout: 30_000 },
      );
    },
    promote: async () => void (await program('pg_ctl', '-D', 'standby', '-w', 'promote')),
    remove: async () => {
      for (const name of ['standby', 'primary']) {
        await program('pg_ctl', '-D', name, '-m', 'immediate', '-w', 'stop').catch(() => undefined);
      }
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

const test = base.extend<{ pair: Pair }>({
  pair: async ({ skip }, use) => {
    const programs = findServerPrograms();
    skip(programs === undefined, 'no installed PostgreSQL has pg_basebackup');
    const pair = await startPair(programs ?? '');
    await use(pair);
    await pair.remove();
  },
});

async function query(url: string, text: string) {
  const sql = openSql(url.split('?')[0] ?? '', 1);
  return sql.unsafe(text).finally(() => closeSql(sql));
}

for (const hasIt of [false, true]) {
  test(`says that it was ${hasIt ? '' : 'not '}applied where a standby that ${hasIt ? 'has' : 'lacks'} the commit was promoted`, async ({
    pair,
    project,
    onTestFinished,
  }) => {
    await project.migration('001_a', 'create table a ();', 'drop table a;');
    const first = startCli(['migrate', 'up'], {
      cwd: project.dir,
      env: { EVDB_URL: pair.primaryUrl },
    });
    expect(await first.result).toMatchObject({ code: 0 });
    await project.migration('002_b', 'create table b ();', 'drop table b;');
    await expect
      .poll(() => query(pair.standbyUrl, "select to_regclass('a') as a"), { timeout: 30_000 })
      .toEqual([{ a: 'a' }]);
    if (!hasIt) await pair.stopStreaming();

    const proxy = await startHoldingProxy(pair.primaryUrl);
    onTestFinished(proxy.close);
    const up = startCli(['migrate', 'up'], { cwd: project.dir, env: { EVDB_URL: proxy.url } });
    await proxy.held;
    const [committed] = await query(
      pair.primaryUrl,
      'select transaction_id::text as id from evdb.migration where version = 2',
    );
    if (hasIt) {
      await expect
        .poll(() => query(pair.standbyUrl, "select to_regclass('b') as b"), { timeout: 30_000 })
        .toEqual([{ b: 'b' }]);
    }
    await pair.promote();
    // the number of our transaction becomes that of somebody else's, which commits
    for (let round = 0; round < 20; round++) {
      await query(pair.standbyUrl, 'select pg_current_xact_id()');
    }
    const status = `select pg_xact_status('${committed?.id}') as status`;
    expect(await query(pair.standbyUrl, status)).toEqual([{ status: 'committed' }]);
    proxy.switchTo(pair.standbyUrl);

    const { code, stderr } = await up.result;
    expect(stderr).toContain(
      hasIt
        ? 'the connection was lost while 002_b committed; the server says that the commit succeeded: it is applied'
        : 'the server that answers now was promoted since, and there it is not applied',
    );
    expect(code).toBe(4);
    const again = startCli(['migrate', 'up'], {
      cwd: project.dir,
      env: { EVDB_URL: pair.standbyUrl },
    });
    expect(await again.result).toMatchObject({ code: 0 });
    const rows = await query(pair.standbyUrl, 'select label from evdb.migration order by label');
    expect(rows.map(({ label }) => label)).toEqual(['001', '002']);
  });
}
