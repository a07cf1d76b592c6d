import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type postgres from 'postgres';
import { openSession } from '../../src/connection/session.ts';
import { type ReadStructureOptions, readStructure } from '../../src/structure/read/structure.ts';
import type { Structure } from '../../src/structure/structure.ts';
import { withEmptyDatabase } from '../support/databases.ts';
import { test as base } from '../support/fixture.ts';
import { connectionTo } from '../support/sessions.ts';

/** What tests of structures do with databases. */
export interface StructureStage {
  sql: postgres.Sql;
  read(options?: ReadStructureOptions): Promise<Structure>;
  /** Loads a text into an empty database of its own and gives what is read there. */
  reload(
    text: string,
    options?: ReadStructureOptions,
    look?: (url: string) => Promise<void>,
  ): Promise<Structure>;
  /** Makes the roles evdb_reader and evdb_writer, which stay. */
  ensureRoles(): Promise<void>;
  /** Makes one of every kind of object that the server knows. */
  makeEveryKind(): Promise<void>;
  /** Makes what only one order can make. */
  makeEntangled(): Promise<void>;
}

/** `test` with an empty database. */
export const test = base.extend<{ $test: { stage: StructureStage } }>({
  stage: async ({ emptyDb }, use) => {
    const { sql, url } = emptyDb;
    await use({
      sql,
      read: (options) => readAt(url, options),
      reload: (text, options, look) =>
        withEmptyDatabase(url, async (other, copy) => {
          await other.unsafe(text).simple();
          await look?.(copy);
          return readAt(copy, options);
        }),
      ensureRoles: () => ensureRoles(sql),
      makeEveryKind: () => makeEveryKind(sql),
      makeEntangled: () => runFile(sql, 'entangled.sql'),
    });
  },
});

async function readAt(url: string, options?: ReadStructureOptions): Promise<Structure> {
  const session = await openSession(await connectionTo(url));
  try {
    return await readStructure(session, options);
  } finally {
    await session.close();
  }
}

/** Roles belong to the server; these stay, because other tests may use them at the same time. */
async function ensureRoles(sql: postgres.Sql): Promise<void> {
  for (const role of ['evdb_reader', 'evdb_writer']) {
    await sql.unsafe(
      `do $$ begin create role ${role}; exception when duplicate_object or unique_violation then null; end $$`,
    );
  }
}

async function makeEveryKind(sql: postgres.Sql): Promise<void> {
  await ensureRoles(sql);
  const [row] = await sql`select current_setting('server_version_num')::integer as version`;
  for (const [since, name] of [
    [140000, 'every-kind.sql'],
    [150000, 'every-kind-15.sql'],
    [180000, 'every-kind-18.sql'],
  ] as const) {
    if (row?.version < since) continue;
    await runFile(sql, name);
  }
}

async function runFile(sql: postgres.Sql, name: string): Promise<void> {
  const path = fileURLToPath(new URL(`../support/structure/${name}`, import.meta.url));
  await sql.unsafe(await readFile(path, 'utf8')).simple();
}
