import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  adoptMigrations,
  EvdbError,
  type MigrateOptions,
  migrateUp,
  requestBackfill,
  runBackfills,
} from '../../src/index.ts';
import type { ProofMigration } from './folders.ts';
import { type Maker, type Operation, runByHand, versionsOf } from './operations.ts';

// Commands that need more around them than a folder: another tool's files, a backfill to ask, a fleet.

/** Another tool applied some of the folder; evdb writes files and ledger, and goes on from there. */
export const adopt: Maker = (random, folder) => {
  const last = 1 + random.below(folder.length);
  const theirs = (directory: string) => join(directory, 'theirs');
  const table = (schema = '') => `${schema}.schema_migrations`;
  return {
    name: 'adopt',
    prepare: async ({ sql, schema, directory }) => {
      await sql.unsafe(`create schema ${schema}`);
      for (const { up } of folder.slice(0, last)) await runByHand(sql, schema, up);
      await sql`delete from proof.ran where schema = ${schema}`;
      await sql.unsafe(`
        create table ${table(schema)} (version bigint primary key, dirty boolean not null);
        insert into ${table(schema)} values (${last}, false)`);
      await handOver(directory, theirs(directory), folder);
    },
    run: (options) =>
      adoptMigrations({
        ...options,
        from: 'golang-migrate',
        fromDirectory: theirs(options.directory),
        table: table(options.schema),
        root: options.directory,
      }),
    args: ['migrate', 'adopt', '--from', 'golang-migrate', '--from-dir', 'theirs'],
    afterwards: migrateUp,
    expected: {
      applied: versionsOf(folder),
      baselined: versionsOf(folder).filter((version) => version <= last),
    },
  };
};

/** Writes a folder as the other tool has it, in place of evdb's. */
async function handOver(
  directory: string,
  theirs: string,
  folder: readonly ProofMigration[],
): Promise<void> {
  const names = await readdir(directory);
  for (const name of names.filter((one) => one.endsWith('.sql'))) await rm(join(directory, name));
  await mkdir(theirs);
  for (const { version, kind, up, down } of folder) {
    const name = `${version}_${kind}`;
    await writeFile(join(theirs, `${name}.up.sql`), `${up}\n`);
    await writeFile(join(theirs, `${name}.down.sql`), `${down}\n`);
  }
}

/** A backfill that is asked to pause, to go on and to end while `up` runs it. */
export const askedBackfill: Maker = (random, folder) => {
  const cancelAt = random.below(6);
  return {
    name: 'backfill asked',
    prepare: async () => undefined,
    run: (options) => upWhileAsked(options, cancelAt),
    args: ['migrate', 'up'],
    afterwards: migrateUp,
    expected: { applied: versionsOf(folder) },
  };
};

async function upWhileAsked(options: MigrateOptions, cancelAt: number): Promise<void> {
  let isOver = false;
  const up = migrateUp(options).finally(() => {
    isOver = true;
  });
  up.catch(() => undefined);
  // Whoever paused it also resumes it, so that it never rests for good.
  for (let round = 0; !isOver; round++) {
    for (const wanted of ['pause', round === cancelAt ? 'cancel' : 'run', 'run'] as const) {
      await requestBackfill({ ...options, wanted }).catch(unlessTold);
    }
  }
  await up.catch((error) => {
    if (!(error instanceof EvdbError) || error.code !== 'BACKFILL_CANCELLED') throw error;
  });
}

/** There may be none to ask, and asking is disturbed as well; but it is always told with a code. */
function unlessTold(error: unknown): void {
  if (!(error instanceof EvdbError) || error.code === 'INTERNAL') throw error;
}

/** Backfills that `up` left for later. */
export const runBackfill: Maker = (_random, folder) => ({
  name: 'backfill run',
  prepare: async ({ options }) => void (await migrateUp({ ...options, wait: false })),
  run: runBackfills,
  args: ['backfill', 'run'],
  afterwards: migrateUp,
  expected: { applied: versionsOf(folder) },
});

/** Two schemas that are migrated as a fleet. */
export const fleetUp: Maker = (_random, folder): Operation => {
  const others = (schema: string) => [`${schema}_other`];
  return {
    name: 'fleet up',
    isOfProcess: true,
    prepare: async ({ schema, directory }) => {
      const members = [schema, ...others(schema)].map((name) => ({ name, schema: name }));
      const config = JSON.stringify({ fleets: { both: { members } } });
      await writeFile(join(directory, 'evdb.config.json'), config);
    },
    run: migrateUp,
    args: ['migrate', 'up', '--fleet', 'both', '--keep-going'],
    expected: { applied: versionsOf(folder) },
    others,
  };
};
