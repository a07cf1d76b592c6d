import type { Session } from '../../connection/session.ts';
import { loadSqlParser } from '../../sql/parser.ts';
import { applySteps } from '../apply/migrator.ts';
import { withRunner } from '../apply/runner.ts';
import { listSeeds, readSeed, type SeedFile } from '../files/seeds.ts';
import type { Script } from '../files/source.ts';
import { bindVariables, unsetVariables, variablesUnset } from '../files/variables.ts';
import { SEED_LABEL } from '../files/version.ts';
import { readAppliedSeeds } from '../ledger/seeds.ts';
import { ledgerKey, type MigrateOptions } from '../options.ts';
import { type MigrationStep, readStatementsFor, refuseProblems } from '../plan/prepare.ts';
import { withSession } from '../plan/read.ts';
import type { MigrationNotice } from '../progress.ts';

/** Which seeds are applied, and to what. */
export interface SeedOptions extends Omit<MigrateOptions, 'directory'> {
  /** The folder with the seeds. */
  directory: string;
  /** Whose own folder of seeds is applied too; default none. */
  environment?: string | undefined;
}

/** A seed, and whether it runs. */
export interface PlannedSeed {
  /** Its place in the folder, such as `production/010_plans.sql`. */
  name: string;
  /** As shown to people. */
  file: string;
  /** Whether it is applied one time only (`-- evdb: once`). */
  isOnce: boolean;
  /**
   * - `run`: it is applied
   * - `skip`: it was applied before, and is applied once
   * - `changed`: the same, and its file has changed since
   */
  decision: 'run' | 'skip' | 'changed';
  statements: number;
}

/** What applying seeds does. */
export interface SeedPlan {
  schema: string;
  /** In the order in which they are applied. */
  seeds: PlannedSeed[];
}

/** What applying seeds did. */
export interface SeedResult extends SeedPlan {
  /** What the server said meanwhile. */
  notices: MigrationNotice[];
  /** How many more there were. */
  noticesLeftOut: number;
  durationMs: number;
}

/**
 * Says which seeds `applySeeds` would apply. Writes nothing.
 *
 * @throws {EvdbError} SEEDS_MISSING, VARIABLE_UNSET, DIRECTIVE_INVALID
 * @throws {ScriptError} SYNTAX_ERROR, NEEDS_NO_TRANSACTION and so on
 * @example
 * const { seeds } = await planSeeds({ connection, directory: 'seeds' });
 */
export function planSeeds(options: SeedOptions): Promise<SeedPlan> {
  return withSession(options, async (session) =>
    planOf(await prepareSeeds(session, options), options),
  );
}

/**
 * Applies the seeds of a folder, each in one transaction with its entry in the history. Under the lock, and
 * with the search_path, the timeouts and the retries of a migration.
 *
 * @throws {EvdbError} those of `planSeeds` and `migrateUp`
 * @example
 * await applySeeds({ connection, directory: 'seeds', environment: 'staging' });
 */
export function applySeeds(options: SeedOptions): Promise<SeedResult> {
  const startedAt = performance.now();
  return withSession(options, async (worker) => {
    const first = await prepareSeeds(worker, options);
    const isDone = first.every(({ decision }) => decision !== 'run');
    const nothing = { notices: [], noticesLeftOut: 0 };
    const { seeds, ...ran } = isDone
      ? { seeds: first, ...nothing }
      : await withRunner(worker, options, async (context) => {
          // Another runner may have applied what is applied once.
          const prepared = await prepareSeeds(worker, options);
          const steps = prepared.filter(({ decision }) => decision === 'run');
          const { notices, noticesLeftOut } = await applySteps(
            steps.map(({ step }) => step),
            context,
          );
          return { seeds: prepared, notices, noticesLeftOut };
        });
    return { ...planOf(seeds, options), ...ran, durationMs: performance.now() - startedAt };
  });
}

interface PreparedSeed extends Omit<PlannedSeed, 'statements'> {
  step: MigrationStep;
}

/** Reads and checks all of them before one runs. */
async function prepareSeeds(session: Session, options: SeedOptions): Promise<PreparedSeed[]> {
  const seeds = listSeeds(options.directory, options.environment).map((file) => ({
    file,
    ...readSeed(file),
  }));
  const unset = seeds
    .map(({ script }) => ({ path: script.path, names: unsetVariables(script, options.variables) }))
    .filter(({ names }) => names.length > 0);
  if (unset.length > 0) throw variablesUnset(unset);
  const applied = await readAppliedSeeds(session, ledgerKey(options));
  const prepared: PreparedSeed[] = [];
  for (const { file, script, isOnce } of seeds) {
    const before = isOnce ? applied.get(file.name) : undefined;
    const isSame = before === script.checksum;
    prepared.push({
      ...{ name: file.name, file: script.path, isOnce },
      decision: before === undefined ? 'run' : isSame ? 'skip' : 'changed',
      step: await makeStep(file, bindVariables(script, options.variables), session),
    });
  }
  return prepared;
}

async function makeStep(
  { name }: SeedFile,
  script: Script,
  session: Session,
): Promise<MigrationStep> {
  const parser = await loadSqlParser();
  const { statements, problems } = await readStatementsFor(session, script, parser);
  refuseProblems(script, undefined, problems);
  return {
    ...{ direction: 'up', label: SEED_LABEL, name, script, statements },
    ...{ isTransactional: true, version: '', isSeed: true },
  };
}

function planOf(seeds: PreparedSeed[], options: SeedOptions): SeedPlan {
  return {
    schema: ledgerKey(options).targetSchema,
    seeds: seeds.map(({ step, ...seed }) => ({ ...seed, statements: step.statements.length })),
  };
}
