import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type postgres from 'postgres';
import { vi } from 'vitest';
import { type MigrateOptions, type MigrationProgress, resolveConfig } from '../../src/index.ts';
import { runnerLock } from '../../src/migrate/ledger/lock.ts';
import { closeSql, openSql } from './databases.ts';
import { test as base, type TestDatabase } from './fixture.ts';
import type { TestProject } from './project.ts';

/** A role of one test. */
export interface TestRole {
  name: string;
  /** URL of the test's database with this role. */
  url: string;
}

/** An empty database beside an empty project, and what tests of migrations do with the two. */
export interface MigrateStage {
  url: string;
  /** A driver instance of a role that may do everything. */
  sql: postgres.Sql;
  /** For every function of the library that migrates; the folder is there once a file is. */
  options: MigrateOptions;
  /** What `options.onProgress` heard so far. */
  heard: MigrationProgress[];
  /** Writes `migrations/<name>.sql` and, where given, its down script. */
  migration(name: string, up: string | Uint8Array, down?: string): Promise<void>;
  /** Removes `migrations/<name>.sql` and its down script. */
  remove(name: string): Promise<void>;
  /** Labels of the ledger's rows with their state, such as `001 applied`. */
  ledger(schema?: string): Promise<string[]>;
  /** Actions of the history with the label, such as `up 001`. */
  history(schema?: string): Promise<string[]>;
  /** Names of the relations in a schema. */
  relations(schema?: string): Promise<string[]>;
  /** One more session, ended with the test. */
  openOther(url?: string): postgres.Sql;
  createRole(attributes?: string): Promise<TestRole>;
  /** The options for another URL. */
  optionsFor(url: string): Promise<MigrateOptions>;
}

/** `test` with a stage. */
export const test = base.extend<{ $test: { stage: MigrateStage } }>({
  stage: async ({ emptyDb, project }, use) => {
    const cleanUps: (() => Promise<void>)[] = [];
    await use(await makeStage(emptyDb, project, cleanUps));
    for (const cleanUp of cleanUps.reverse()) await cleanUp();
  },
});

async function makeStage(
  { url, sql }: TestDatabase,
  project: TestProject,
  cleanUps: (() => Promise<void>)[],
): Promise<MigrateStage> {
  const heard: MigrationProgress[] = [];
  const optionsFor: MigrateStage['optionsFor'] = async (wanted) => ({
    connection: await connectionTo(wanted),
    directory: join(project.dir, 'migrations'),
    env: {},
    onProgress: (progress) => heard.push(progress),
  });
  const openOther = (wanted = url) => {
    const other = openSql(wanted, 1);
    cleanUps.push(() => closeSql(other));
    return other;
  };
  return {
    url,
    sql,
    heard,
    options: await optionsFor(url),
    optionsFor,
    openOther,
    migration: async (name, up, down) => {
      await project.write(`migrations/${name}.sql`, up);
      if (down !== undefined) await project.write(`migrations/${name}.down.sql`, down);
    },
    remove: async (name) => {
      await rm(join(project.dir, `migrations/${name}.sql`));
      await rm(join(project.dir, `migrations/${name}.down.sql`), { force: true });
    },
    ledger: (schema = 'public') => listLedger(sql, schema),
    history: (schema = 'public') => listHistory(sql, schema),
    relations: (schema = 'public') => listRelations(sql, schema),
    createRole: (attributes = '') => createRole(url, sql, attributes, cleanUps),
  };
}

async function connectionTo(url: string): Promise<MigrateOptions['connection']> {
  const { connection } = await resolveConfig({ flags: { url }, env: {}, cwd: '/' });
  if (connection.kind !== 'server') throw new Error('a URL names a server');
  return connection.options;
}

async function listLedger(sql: postgres.Sql, schema: string): Promise<string[]> {
  const rows = await sql`
    select label || ' ' || state as row from evdb.migration
    where target_schema = ${schema} order by version`;
  return rows.map(({ row }) => row);
}

async function listHistory(sql: postgres.Sql, schema: string): Promise<string[]> {
  const rows = await sql`
    select concat_ws(' ', action, label) as row from evdb.history
    where target_schema = ${schema} order by id`;
  return rows.map(({ row }) => row);
}

async function listRelations(sql: postgres.Sql, schema: string): Promise<string[]> {
  const rows = await sql`
    select relname from pg_class
    where relnamespace = ${schema}::regnamespace and relkind in ('r', 'p', 'v', 'm', 'S', 'i')
    order by relname`;
  return rows.map(({ relname }) => relname);
}

/** Roles belong to the server, so each has a name of its own and goes with its test. */
async function createRole(
  url: string,
  sql: postgres.Sql,
  attributes: string,
  cleanUps: (() => Promise<void>)[],
): Promise<TestRole> {
  const name = `evdb_test_${randomBytes(6).toString('hex')}`;
  const password = randomBytes(12).toString('hex');
  await sql.unsafe(`create role ${name} login password '${password}' ${attributes}`);
  cleanUps.push(async () => {
    await sql.unsafe(`drop owned by ${name} cascade; drop role ${name}`).simple();
  });
  const roleUrl = new URL(url);
  roleUrl.username = name;
  roleUrl.password = password;
  return { name, url: roleUrl.href };
}

/** Takes the lock of the target's runner in another session, as a runner does that hangs. */
export async function holdRunnerLock(
  stage: MigrateStage,
  schema = 'public',
): Promise<postgres.Sql> {
  const [classId, objectId] = runnerLock({ ledgerSchema: 'evdb', targetSchema: schema });
  const holder = stage.openOther();
  await holder`select pg_advisory_lock(${classId}::int, ${objectId}::int)`;
  return holder;
}

/** Waits until a runner has told of something, and gives what it told. */
export function untilHeard<Kind extends MigrationProgress['kind']>(
  heard: MigrationProgress[],
  kind: Kind,
): Promise<Extract<MigrationProgress, { kind: Kind }>> {
  return vi.waitUntil(
    () =>
      heard.find((progress) => progress.kind === kind) as Extract<
        MigrationProgress,
        { kind: Kind }
      >,
    { timeout: 30_000 },
  );
}

/** Whether the run's role may do what only superusers may. */
export async function isSuperuser(sql: postgres.Sql): Promise<boolean> {
  const [row] = await sql`select rolsuper from pg_roles where rolname = current_user`;
  return row?.rolsuper === true;
}
