import { codeOf } from '../../connection/connection-error.ts';
import type { Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { withScratch } from '../../scratch/scratch.ts';
import type { SqlParser } from '../../sql/parser.ts';
import { listRepeatables, type RepeatableFile, readRepeatable } from '../files/repeatables.ts';
import { ScriptError } from '../files/script-error.ts';
import { listMigrations, type MigrationFile, readScript, type Script } from '../files/source.ts';
import { bindPlaceholders, statementsOf } from '../files/variables.ts';
import { displayPath } from '../files/version.ts';
import { ledgerKey } from '../options.ts';
import type { ScriptProblem } from '../plan/check.ts';
import { fullName } from '../plan/plan.ts';
import { namePathOf, readRepeatablesInOrder, warnOfMissing } from '../plan/prepare-repeatables.ts';
import { readStanding, withSession } from '../plan/read.ts';
import type { RepeatableStatus } from '../plan/repeatables.ts';
import { groupRepeatables, type RepeatableUnit } from '../repeatable/order.ts';
import { readRepeatableContents } from '../repeatable/statements.ts';
import type { ProveDownsOptions } from './downs.ts';
import { runScript } from './replay.ts';
import type { ValidateOptions, ValidationFinding } from './validate.ts';

/** How errors and problems become findings. */
interface ToFinding {
  ofError(error: EvdbError): ValidationFinding;
  ofProblem(script: Script, problem: ScriptProblem): ValidationFinding;
  /** What is wrong with a script as with every other one. */
  problemsOf(script: Script): Promise<ScriptProblem[]>;
}

/** What was found in the files of repeatables. */
export interface RepeatableChecks {
  files: RepeatableFile[];
  findings: ValidationFinding[];
}

/** Checks each repeatable, and then whether they fit together. */
export async function checkRepeatables(
  options: Pick<
    ValidateOptions,
    'directory' | 'variables' | 'schema' | 'ledgerSchema' | 'searchPath'
  >,
  parser: SqlParser,
  { ofError, ofProblem, problemsOf }: ToFinding,
): Promise<RepeatableChecks> {
  const listed = orFinding(() => listRepeatables(options.directory), ofError);
  if (!Array.isArray(listed)) return { files: [], findings: [listed] };
  const findings: ValidationFinding[] = [];
  const units: RepeatableUnit[] = [];
  const path = namePathOf(options);
  for (const file of listed) {
    const script = orFinding(
      () => bindPlaceholders(readRepeatable(file), options.variables),
      ofError,
    );
    if ('severity' in script) {
      findings.push(script);
      continue;
    }
    const problems = await problemsOf(script);
    findings.push(...problems.map((problem) => ofProblem(script, problem)));
    const contents = readRepeatableContents(statementsOf(script), parser, path.targetSchema);
    units.push({ name: file.name, file: script.path, ...contents });
    if (problems.length > 0) continue;
    for (const { statement, message, hint } of contents.refusals) {
      const { line, column } = statement;
      findings.push(
        ofError(new ScriptError('REPEATABLE_REFUSED', message, { script, line, column }, { hint })),
      );
    }
  }
  const order = orFinding(() => groupRepeatables(units, new Set(), path), ofError);
  if (!Array.isArray(order)) findings.push(order);
  return { files: listed, findings };
}

function orFinding<T>(read: () => T, ofError: ToFinding['ofError']): T | ValidationFinding {
  try {
    return read();
  } catch (error) {
    if (error instanceof EvdbError) return ofError(error);
    throw error;
  }
}

/** What the ledger says of repeatables that the files do not. */
export function findMissing(repeatables: readonly RepeatableStatus[]): ValidationFinding[] {
  return repeatables
    .filter(({ state }) => state === 'missing')
    .map((one) => ({ ...warnOfMissing(one), severity: 'warning', objects: [] }));
}

/** For these the objects that are there have to be taken down first, which is left to `up`. */
const NOT_IN_PLACE: ReadonlySet<string> = new Set(['42P16', '42P13', '2BP01']);

/**
 * Runs all repeatables twice in a scratch database, behind the migrations that the down scripts were proven
 * of: so they run, in this order, and run again.
 *
 * @returns the first that does not, as a finding
 */
export async function proveRepeatables(
  options: ProveDownsOptions,
  findingOf: (error: EvdbError) => ValidationFinding,
): Promise<ValidationFinding[]> {
  const scripts = await readRepeatablesInOrder(options);
  if (scripts.length === 0) return [];
  const { connection } = options;
  const files = listMigrations(options.directory);
  const making = { ...options, beside: connection };
  if (!connection || options.all) {
    return withScratch(making, ({ session }) =>
      runAll(session, files, scripts, { options, findingOf }),
    );
  }
  const { ledgerSchema } = ledgerKey(options);
  return withSession({ ...options, connection }, async (target) => {
    const { statuses } = await readStanding(target, { ...options, connection }, files);
    const pending = statuses.flatMap(({ state, file }) =>
      file && (state === 'pending' || state === 'outOfOrder') ? [file] : [],
    );
    const copying = { ...making, copyOf: { target, ledgerSchema } };
    return withScratch(copying, ({ session }) =>
      runAll(session, pending, scripts, { options, findingOf }),
    );
  });
}

async function runAll(
  scratch: Session,
  files: readonly MigrationFile[],
  scripts: readonly Script[],
  about: {
    options: ProveDownsOptions;
    findingOf: (error: EvdbError) => ValidationFinding;
  },
): Promise<ValidationFinding[]> {
  const { options, findingOf } = about;
  let name = '';
  try {
    for (const file of files) {
      name = fullName(file);
      await runScript(scratch, readScript(file.upPath), { options, createTarget: true });
    }
    for (const script of [...scripts, ...scripts]) {
      name = displayPath(script.path);
      await runScript(scratch, script, { options, createTarget: true }).catch((error: unknown) =>
        passOver(error, scratch),
      );
    }
    return [];
  } catch (error) {
    if (options.signal?.aborted) throw options.signal.reason;
    if (!(error instanceof EvdbError)) throw error;
    const finding = findingOf(error);
    return [
      {
        ...finding,
        code: 'REPLAY_FAILED',
        message: `${name} does not run in a scratch database: ${finding.message}`,
      },
    ];
  }
}

async function passOver(error: unknown, scratch: Session): Promise<void> {
  const { sqlstate = codeOf(error) } = error instanceof ScriptError ? (error.server ?? {}) : {};
  if (!NOT_IN_PLACE.has(sqlstate ?? '')) throw error;
  await scratch.run('rollback');
}
