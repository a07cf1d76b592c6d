import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { withScratch } from '../../scratch/scratch.ts';
import { describeDifferences, diffStructures } from '../../structure/diff.ts';
import { readStructure } from '../../structure/read/structure.ts';
import { migrateDown } from '../apply/commands.ts';
import { parseThrottle } from '../backfill/throttle.ts';
import { migrateUp } from '../checks/up.ts';
import { writeNew } from '../files/create.ts';
import { ledgerKey, type MigrateOptions } from '../options.ts';
import { withSession } from '../plan/read.ts';
import type { Recipe } from './draft.ts';

/** A file that is to be written. */
export interface NewFile {
  /** Without a folder. */
  name: string;
  text: string;
}

export interface ProveOptions extends Omit<MigrateOptions, 'directory'> {
  embeddedDirectory?: string | undefined;
  /** Called with a sentence about the scratch database; default none. */
  onScratch?: ((message: string) => void) | undefined;
}

/**
 * Runs the files up, down and up again in a scratch database with the structure of the target, by the
 * runner that will run them, and compares the structure before with that after.
 *
 * @throws {EvdbError} EXPAND_UNPROVEN, and those of `withScratch`
 */
export async function proveFiles(
  files: readonly NewFile[],
  { sync }: Recipe,
  options: ProveOptions,
): Promise<void> {
  const { ledgerSchema } = ledgerKey(options);
  const directory = mkdtempSync(join(tmpdir(), 'evdb-expand-'));
  try {
    for (const { name, text } of files) writeNew(join(directory, name), text);
    await withSession({ ...options, directory }, (target) =>
      withScratch(
        { ...options, beside: options.connection, copyOf: { target, ledgerSchema } },
        async ({ session, database }) => {
          // nobody else uses it, and the server's figures are not its own
          const backfill = { throttle: parseThrottle('off') };
          const run = { ...options, connection: database.connection, directory, backfill };
          const read = () => readStructure(session, { exceptSchemas: [ledgerSchema] });
          const before = await read();
          await attempt('up', () => migrateUp({ ...run, steps: 1, onProgress: undefined }));
          if (sync) await attempt('trigger', () => trySync(session, sync, options.schema));
          await attempt('up', () => migrateUp({ ...run, onProgress: undefined }));
          const after = await read();
          await attempt('down', () => migrateDown({ ...run, to: '0', onProgress: undefined }));
          refuseDifferences(diffStructures(before, await read()), 'down');
          await attempt('up again', () => migrateUp({ ...run, onProgress: undefined }));
          refuseDifferences(diffStructures(after, await read()), 'up again');
        },
      ),
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

type Stage = 'up' | 'trigger' | 'down' | 'up again';

const STAGES: Record<Stage, string> = {
  up: 'do not run',
  trigger: 'have a trigger that fails',
  down: 'cannot be rolled back',
  'up again': 'cannot be applied again after they were rolled back',
};

async function attempt(stage: Stage, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause;
    throw unproven(stage, cause.message, cause);
  }
}

function unproven(stage: Stage, found: string, cause?: unknown): EvdbError {
  return new EvdbError(
    'EXPAND_UNPROVEN',
    `the migrations ${STAGES[stage]} in a scratch database: ${found}`,
    {
      hint: 'Nothing was written. Expressions that were given may not fit the columns; --dry-run prints the migrations.',
      cause,
    },
  );
}

/** A new column is the last one of its table, also where it comes back. */
function refuseDifferences(all: ReturnType<typeof diffStructures>, stage: Stage): void {
  const differences = all.filter(
    ({ change, parts }) =>
      change !== 'changed' || !parts.every(({ part }) => part === 'order of columns'),
  );
  if (differences.length === 0) return;
  throw unproven(stage, `something differs:\n${describeDifferences(differences).join('\n')}`);
}

/**
 * Fires the trigger on a table with the same columns and nothing else, because PostgreSQL looks at the
 * text of a function only when it runs.
 */
async function trySync(
  session: Session,
  { function: name, table, columns }: NonNullable<Recipe['sync']>,
  schema = 'public',
): Promise<void> {
  await session.run(`begin; set local search_path = ${schema}, pg_temp`);
  try {
    await session.run(`create temporary table evdb_probe as select * from ${table} with no data`);
    await session.run(
      `create trigger probe before insert or update on evdb_probe for each row execute function ${name}()`,
    );
    await session.run('insert into evdb_probe default values');
    const same = columns.map((column) => `${column} = ${column}`).join(', ');
    await session.run(`update evdb_probe set ${same}`);
  } finally {
    await session.run('rollback');
  }
}
