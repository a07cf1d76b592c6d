import { tmpdir } from 'node:os';
import type postgres from 'postgres';
import { withInspection, withWriting } from '../../src/connection/inspection.ts';
import type { ConnectionOptions } from '../../src/connection/options.ts';
import type { Session } from '../../src/connection/session.ts';
import { resolveConfig } from '../../src/index.ts';
import { closeSql, createRole, openSql } from './databases.ts';
import { test as base } from './fixture.ts';

/** What a command makes of the URL. */
export async function connectionTo(url: string): Promise<ConnectionOptions> {
  const { connection } = await resolveConfig({ flags: { url }, env: {}, cwd: tmpdir() });
  if (connection.kind !== 'server') throw new Error('the URL names no server');
  return connection.options;
}

/** Runs work as a command that only looks does: read only, and without waiting for locks. */
export async function inspect<T>(url: string, work: (session: Session) => Promise<T>): Promise<T> {
  return withInspection(await connectionTo(url), work);
}

/** Runs work as a command that changes something does. */
export async function write<T>(
  url: string,
  work: (session: Session) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  return withWriting(await connectionTo(url), work, { signal });
}

/** Roles of the test's empty database. */
export interface Roles {
  /** A member of pg_monitor, as a URL of the test's empty database. */
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
export const test = base.extend<{ live: Roles; sessions: Sessions }>({
  live: async ({ emptyDb }, use) => {
    const monitor = await createRole(emptyDb, 'in role pg_monitor');
    const plain = await createRole(emptyDb);
    await use({ monitorUrl: monitor.url, plainUrl: plain.url, plainName: plain.name });
    await monitor.remove();
    await plain.remove();
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
