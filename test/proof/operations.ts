import type postgres from 'postgres';
import {
  baselineMigrations,
  type MigrateOptions,
  migrateDown,
  migrateUp,
  repairMigrations,
  resetSchema,
} from '../../src/index.ts';
import type { Random } from '../support/random.ts';
import { type ProofMigration, writeFolder } from './folders.ts';
import type { Expected } from './judge.ts';
import { adopt, askedBackfill, fleetUp, runBackfill } from './more-operations.ts';

/** What a run is given: its folder, a schema of its own, and options for the undisturbed server. */
export interface Stage {
  sql: postgres.Sql;
  schema: string;
  folder: ProofMigration[];
  directory: string;
  options: MigrateOptions;
}

/** One command as it is disturbed, and what it must have led to once it was run again. */
export interface Operation {
  name: string;
  /** Brings the database to where the command begins. */
  prepare(stage: Stage): Promise<void>;
  run(options: MigrateOptions): Promise<unknown>;
  /** The same command for a shell. */
  args: string[];
  /** Whether only the command line has it; then that is what is disturbed and run again. */
  isOfProcess?: boolean;
  /** Where more than running the command again is needed. */
  afterwards?(options: MigrateOptions): Promise<unknown>;
  expected: Pick<Expected, 'applied' | 'baselined'>;
  /** Schemas that must hold the same, beside the one of the stage. */
  others?(schema: string): string[];
}

/** Chooses a command that fits a folder. */
export function chooseOperation(random: Random, folder: readonly ProofMigration[]): Operation {
  return random.pick(MAKERS)(random, folder);
}

export type Maker = (random: Random, folder: readonly ProofMigration[]) => Operation;

export const versionsOf = (folder: readonly ProofMigration[]) =>
  folder.map(({ version }) => version);

const upTo = (options: MigrateOptions, version: number) =>
  migrateUp({ ...options, to: String(version) });

function up(random: Random, folder: readonly ProofMigration[]): Operation {
  const already = random.below(folder.length);
  return {
    name: 'up',
    prepare: async ({ options }) => void (already > 0 && (await upTo(options, already))),
    run: migrateUp,
    args: ['migrate', 'up'],
    expected: { applied: versionsOf(folder) },
  };
}

function down(random: Random, folder: readonly ProofMigration[]): Operation {
  const left = random.below(folder.length);
  return {
    name: 'down',
    prepare: async ({ options }) => void (await migrateUp(options)),
    run: (options) => migrateDown({ ...options, to: String(left) }),
    args: ['migrate', 'down', '--to', String(left)],
    expected: { applied: versionsOf(folder).filter((version) => version <= left) },
  };
}

function reset(_random: Random, folder: readonly ProofMigration[]): Operation {
  return {
    name: 'reset',
    prepare: async ({ options }) => void (await migrateUp(options)),
    run: (options) => resetSchema({ ...options, confirm: true }),
    args: ['migrate', 'reset', '--confirm'],
    expected: { applied: versionsOf(folder) },
  };
}

function baseline(random: Random, folder: readonly ProofMigration[]): Operation {
  const last = 1 + random.below(folder.length);
  return {
    name: 'baseline',
    // As somebody did by hand before evdb came.
    prepare: async ({ sql, schema }) => {
      await sql.unsafe(`create schema ${schema}`);
      for (const { up: text } of folder.slice(0, last)) await runByHand(sql, schema, text);
      await sql`delete from proof.ran where schema = ${schema}`;
    },
    run: (options) => baselineMigrations({ ...options, version: String(last), confirm: true }),
    args: ['migrate', 'baseline', String(last), '--confirm'],
    afterwards: migrateUp,
    expected: {
      applied: versionsOf(folder),
      baselined: versionsOf(folder).filter((version) => version <= last),
    },
  };
}

export async function runByHand(sql: postgres.Sql, schema: string, text: string): Promise<void> {
  const path = `set search_path = ${schema};`;
  const withoutCopy = text
    .replace(
      /copy (\w+) \(id\) from stdin;[\s\S]*?\\\./,
      'insert into $1 select generate_series(1, 60);',
    )
    .replace('concurrently', '');
  await sql.unsafe(`${path}\n${withoutCopy}\n;reset search_path`).simple();
}

function repair(random: Random, folder: readonly ProofMigration[]): Operation {
  const reworded = random.pick(folder).version;
  return {
    name: 'repair',
    prepare: async ({ options, directory }) => {
      await migrateUp(options);
      const changed = folder.map((one) => ({
        ...one,
        up: one.version === reworded ? `${one.up}\n-- said better` : one.up,
      }));
      await writeFolder(directory, changed);
    },
    run: (options) => repairMigrations(options),
    args: ['migrate', 'repair'],
    afterwards: (options) => migrateUp({ ...options, strict: true }),
    expected: { applied: versionsOf(folder) },
  };
}

// What changes most comes up most.
const MAKERS: readonly Maker[] = [
  ...[up, up, up, up, down, down, down, reset, baseline, repair],
  ...[adopt, askedBackfill, runBackfill, fleetUp],
];
