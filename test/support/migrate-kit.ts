import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type postgres from 'postgres';
import { vi } from 'vitest';
import {
  type MigrateOptions,
  type MigrationProgress,
  migrateUp,
  ScriptError,
} from '../../src/index.ts';
import { runnerLock } from '../../src/migrate/ledger/lock.ts';
import { closeSql, createRole, openSql, type TestRole } from './databases.ts';
import { test as base, type TestDatabase } from './fixture.ts';
import type { TestProject } from './project.ts';
import { connectionTo } from './sessions.ts';
import { failureOf } from './waiting.ts';

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
    createRole: async (attributes) => {
      const role = await createRole({ url, sql }, attributes);
      cleanUps.push(role.remove);
      return role;
    },
  };
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

/** Takes the lock of the target's runner in another session, as a runner does that hangs. */
export async function holdRunnerLock(
  stage: Pick<MigrateStage, 'openOther'>,
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

/** Writes three migrations, each of which needs the one before. */
export async function writeThree(stage: MigrateStage): Promise<void> {
  await stage.migration('001_one', 'create table one (id int);', 'drop table one;');
  await stage.migration(
    '2_two',
    'alter table one rename to two;',
    'alter table two rename to one;',
  );
  await stage.migration(
    '10_ten',
    'alter table two rename to ten;',
    'alter table ten rename to two;',
  );
}

/** The error of a script with which `up` ends. */
export async function failUp(options: MigrateOptions): Promise<ScriptError> {
  const failure = await failureOf<Error>(migrateUp(options));
  if (failure instanceof ScriptError) return failure;
  throw failure;
}
