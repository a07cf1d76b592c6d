import { randomBytes } from 'node:crypto';
import { chmod, cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type postgres from 'postgres';
import { withInspection } from '../../src/connection/inspection.ts';
import type { Session } from '../../src/connection/session.ts';
import { ensureEmbeddedServer } from '../../src/embedded/server.ts';
import { stopEmbeddedServer } from '../../src/embedded/stop.ts';
import { resolveConfig } from '../../src/index.ts';
import { closeSql, openSql } from './databases.ts';
import { test as base } from './fixture.ts';

/** Runs a report as the commands do: read only, and without waiting for locks. */
export async function inspect<T>(url: string, work: (session: Session) => Promise<T>): Promise<T> {
  const { connection } = await resolveConfig({ flags: { url }, env: {}, cwd: tmpdir() });
  if (connection.kind !== 'server') throw new Error('not a server');
  return withInspection(connection.options, work);
}

/** The same URL with another user. */
export function asUser(url: string, user: string, password = 'secret'): string {
  const changed = new URL(url);
  changed.username = user;
  changed.password = password;
  return changed.href;
}

export interface LiveStage {
  /** A role that is a member of pg_monitor, as a URL of the server's database. */
  monitorUrl: string;
  /** A role without any privilege. */
  plainUrl: string;
  plainName: string;
}

interface Sessions {
  /** One more session, ended with the test; its statements are seen under `name`. */
  open(url: string, name?: string): postgres.Sql;
}

/** Roles that see all and nothing, and sessions that are there while a report is made. */
export const test = base.extend<{ live: LiveStage; sessions: Sessions }>({
  live: async ({ admin, emptyDb }, use) => {
    const suffix = randomBytes(6).toString('hex');
    const [monitor, plain] = [`evdb_test_monitor_${suffix}`, `evdb_test_plain_${suffix}`];
    await admin.unsafe(`create role ${monitor} login password 'secret' in role pg_monitor`);
    await admin.unsafe(`create role ${plain} login password 'secret'`);
    await use({
      monitorUrl: asUser(emptyDb.url, monitor),
      plainUrl: asUser(emptyDb.url, plain),
      plainName: plain,
    });
    await emptyDb.sql.unsafe(`drop owned by ${monitor}, ${plain}`);
    await admin.unsafe(`drop role ${monitor}`);
    await admin.unsafe(`drop role ${plain}`);
  },
  sessions: async ({}, use) => {
    const opened: postgres.Sql[] = [];
    await use({
      open: (url, name = 'evdb-test') => {
        const named = new URL(url);
        named.searchParams.set('application_name', name);
        const sql = openSql(named.href, 1);
        opened.push(sql);
        return sql;
      },
    });
    // What waits for a lock would keep the others from ending.
    await Promise.all(opened.map(closeSql));
  },
});

/** Looks until `look` finds something, for at most 20 seconds. */
export async function eventually<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('it never happened');
}

/** A server with settings of its own. */
export interface SpecialServer {
  url: string;
  directory: string;
}

/** Starts a server for one file of tests; `remove` ends it and its standbys. */
export function specialServers() {
  const directories: string[] = [];
  const begin = async (
    settings: Record<string, string>,
    prepare?: (directory: string) => Promise<void>,
  ): Promise<SpecialServer> => {
    const directory = await mkdtemp(join(tmpdir(), 'evdb-test-special-server-'));
    directories.push(directory);
    // As root the server runs as another user, who has to enter the folder.
    await chmod(directory, 0o755);
    await prepare?.(directory);
    const { url } = await ensureEmbeddedServer({
      directory,
      binariesDir: process.env.EVDB_TEST_PG_BINARIES,
      settings: { fsync: 'off', ...settings },
    });
    return { url, directory };
  };
  return {
    start: (settings: Record<string, string>) => begin(settings),
    /** Stops a primary, copies it, starts it again, and the copy as its standby. */
    addStandby: async (primary: SpecialServer, settings: Record<string, string>) => {
      await stopEmbeddedServer({ directory: primary.directory });
      const { hostname, port, username, password } = new URL(primary.url);
      const info = `host=${hostname} port=${port} user=${username} password=${password} application_name=follower`;
      const standby = await begin({ ...settings, primary_conninfo: info }, async (directory) => {
        await cp(primary.directory, directory, { recursive: true, preserveTimestamps: true });
        await takeOwnersOver(primary.directory, directory);
        await rm(join(directory, 'server.json'));
        const signal = join(directory, 'postgres/data/standby.signal');
        await writeFile(signal, '');
        await chmod(signal, 0o644);
      });
      await ensureEmbeddedServer({
        directory: primary.directory,
        binariesDir: process.env.EVDB_TEST_PG_BINARIES,
        settings: { fsync: 'off', ...settings },
      });
      return standby;
    },
    remove: async () => {
      for (const directory of directories) {
        await stopEmbeddedServer({ directory });
        await rm(directory, { recursive: true, force: true });
      }
    },
  };
}

/** As root the copy belongs to root, and the server runs as somebody else. */
async function takeOwnersOver(from: string, to: string): Promise<void> {
  const { chown, lchown, readdir, stat } = await import('node:fs/promises');
  const { uid, gid } = await stat(join(from, 'postgres/data'));
  if (process.getuid?.() === uid) return;
  const folder = join(to, 'postgres');
  await chown(folder, uid, gid);
  for (const name of await readdir(folder, { recursive: true })) {
    await lchown(join(folder, name), uid, gid);
  }
}
