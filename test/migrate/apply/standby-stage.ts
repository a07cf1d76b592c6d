import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { vi } from 'vitest';
import { closeSql, openSql } from '../../support/databases.ts';

const run = promisify(execFile);

/** A primary and a standby that streams from it. */
export interface Pair {
  primaryUrl: string;
  standbyUrl: string;
  /** What the primary commits from now on never comes to the standby. */
  stopStreaming(): Promise<void>;
  /** Makes the standby a primary. */
  promote(): Promise<void>;
  remove(): Promise<void>;
}

/** The folder of an installed PostgreSQL that can copy a server; the embedded one cannot. */
export function findServerPrograms(): string | undefined {
  const root = '/usr/lib/postgresql';
  const versions = existsSync(root)
    ? readdirSync(root)
        .map(Number)
        .sort((a, b) => b - a)
    : [];
  const folders = versions.map((version) => join(root, String(version), 'bin'));
  return folders.find((folder) => existsSync(join(folder, 'pg_basebackup')));
}

export async function startPair(programs: string): Promise<Pair> {
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
