import type { Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { GRAMMAR_MAJOR, loadSqlParser, type SqlParser } from '../../sql/parser.ts';
import { type Statement, splitStatements } from '../../sql/statements.ts';
import type { VariableValues } from '../../sql/variables.ts';
import { commandLine } from '../../text/command-line.ts';
import type { Postponed } from '../backfill/overtaking.ts';
import type { PreparedBackfill } from '../backfill/prepare.ts';
import { isAcceptedByServer } from '../files/file-errors.ts';
import { ScriptError } from '../files/script-error.ts';
import {
  type MigrationFile,
  readScriptInTurns,
  readTextToKeep,
  type Script,
  scriptFromText,
} from '../files/source.ts';
import { bindVariables, statementsOf, unsetVariables, variablesUnset } from '../files/variables.ts';
import type { Version } from '../files/version.ts';
import { type LedgerKey, ledgerEntry, readStoredTexts } from '../ledger/ledger.ts';
import type { LedgerEntry } from '../ledger/record.ts';
import { ledgerKey, type MigrateOptions } from '../options.ts';
import type { MigrationDirection, MigrationPlanWarning } from '../progress.ts';
import { checkStatements, type ScriptProblem } from './check.ts';
import { isStandIn, type MigrationStatus } from './compare.ts';
import { listGatesLeft } from './phase.ts';
import {
  fullName,
  listNames,
  type PendingMigration,
  type Selection,
  type WaitingMigration,
} from './plan.ts';
import type { RepeatablePart } from './prepare-repeatables.ts';
import { oldFilesCommand, problemOfBaseline } from './replaced.ts';
import { type ResumePoint, readResumePoint } from './resume-point.ts';

/** One migration, read and checked, ready to run. */
export interface MigrationStep {
  direction: MigrationDirection;
  version: Version;
  label: string;
  name: string;
  script: Script;
  statements: Statement[];
  /** False for `-- evdb: no-transaction`, and for a backfill. */
  isTransactional: boolean;
  /** What the ledger will contain; for steps up. */
  entry?: LedgerEntry;
  /** Set if a no-transaction script that stopped halfway continues. */
  resume?: ResumePoint;
  /** Whether it is no migration: it has no version, and the history alone knows it. */
  isSeed?: boolean;
  /** Set for repeatables, which have no version either: the files of one transaction, in order. */
  repeatables?: RepeatablePart[];
  /** Set where its one statement runs in batches. */
  backfill?: PreparedBackfill;
  /** Whether the backfill is only written down now, and runs later. */
  isPostponed?: boolean;
  /** The rows of the ledger that go with that of a baseline when it is rolled back. */
  replaced?: Version[];
}

interface PrepareOptions {
  storedTextLimitBytes: number;
  /** Of what the scripts declare. */
  variables: VariableValues | undefined;
  key: LedgerKey;
  /** Of the server that the scripts are for; those of another version are asked about their grammar. */
  session: Session;
  /** Where the down scripts come from; default: the files. */
  downScriptOf?: (status: MigrationStatus) => Script;
  /** All of the folder, of which a baseline may replace some; default: only those of the selection. */
  files?: readonly MigrationFile[];
  /** All of the schema, which tell what a migration no longer waits for; default: none. */
  statuses?: readonly MigrationStatus[];
  signal?: AbortSignal | undefined;
}

/**
 * Reads and checks the scripts of a selection, all of them before any runs.
 *
 * @throws {ScriptError} CHANGED_MIGRATION at a statement that ran before the script stopped half way
 * @throws {ScriptError} SYNTAX_ERROR, PSQL_COMMAND, TRANSACTION_CONTROL, NEEDS_NO_TRANSACTION,
 *   COPY_UNSUPPORTED
 * @throws {EvdbError} EMPTY_FILE, MISSING_DOWN, IRREVERSIBLE, REPLACED_MIGRATION, VARIABLE_UNSET, and
 *   those of `readScript`
 */
export async function prepareSteps(
  { direction, migrations, isExpandOnly = false, isWithoutBackfills = false }: Selection,
  options: PrepareOptions,
): Promise<{
  steps: MigrationStep[];
  /** Backfills that are left for later. */
  postponed: PendingMigration[];
  waiting?: WaitingMigration;
  warnings: MigrationPlanWarning[];
}> {
  if (migrations.length === 0) return { steps: [], postponed: [], warnings: [] };
  const parser = await loadSqlParser();
  const warnings: MigrationPlanWarning[] = [];
  const steps: MigrationStep[] = [];
  const unset: { path: string; names: string[] }[] = [];
  const postponed: (PendingMigration & Postponed)[] = [];
  let waiting: WaitingMigration | undefined;
  for (const status of migrations) {
    const { version, label, name, file } = status;
    const read = await (direction === 'up'
      ? upScript(status, options)
      : downScript(status, options));
    if (direction === 'up' && file) refuseReplaced(file, read, options.files ?? []);
    if (isExpandOnly && read.directives.isContract) {
      const gates = listGatesLeft(read, options.statuses, steps);
      waiting = { version, label, name, cause: 'contract', gates };
      break;
    }
    const names = unsetVariables(read, options.variables);
    if (names.length > 0) {
      unset.push({ path: read.path, names });
      continue;
    }
    const script = bindVariables(read, options.variables);
    const { statements, problems } = await readStatementsFor(options.session, script, parser);
    if (problems.length > 0) warnings.push(...refuseProblems(script, status, problems));
    const parts = { direction, status, script, statements, options };
    const backfill = await readBackfillOf(parts, parser);
    const step = makeStep(parts, backfill);
    if (isWithoutBackfills) {
      const needed = await listNeededBy(step, postponed, parser);
      if (needed.length > 0) {
        const gates = needed.map((one) => `after backfill ${one.label}`);
        waiting = { version, label, name, cause: 'backfill', gates };
        break;
      }
      if (backfill) postponed.push({ version, label, name, backfill });
      // It was written down by an earlier run.
      if (backfill && status.row) continue;
      if (backfill) step.isPostponed = true;
    }
    steps.push(step);
  }
  if (unset.length > 0) throw variablesUnset(unset);
  if (direction === 'up') warnings.push(...warnOfNoWayBack(steps, migrations));
  return {
    steps,
    postponed: postponed.map(({ backfill: _, ...one }) => one),
    ...(waiting && { waiting }),
    warnings,
  };
}

function refuseReplaced(
  file: MigrationFile,
  { directives }: Script,
  files: readonly MigrationFile[],
): void {
  const problem = problemOfBaseline(file, directives.replaces, files);
  if (problem) throw problem;
}

/** Loaded late: most runs have no backfill. */
async function listNeededBy(
  step: MigrationStep,
  postponed: (PendingMigration & Postponed)[],
  parser: SqlParser,
) {
  if (postponed.length === 0) return [];
  const { listNeeded } = await import('../backfill/overtaking.ts');
  return listNeeded(step, postponed, parser);
}

/** Better told now than by `down`, when there is no time to write a script. */
function warnOfNoWayBack(
  steps: MigrationStep[],
  migrations: MigrationStatus[],
): MigrationPlanWarning[] {
  const files = new Map(migrations.map(({ version, file }) => [version, file]));
  const without = steps.flatMap((step) => {
    if (step.script.directives.irreversible !== undefined) return [];
    const { version } = step;
    if (files.get(version)?.downPath === undefined)
      return [{ version, name: `${fullName(step)} (no down script)` }];
    const downText = step.entry?.downText ?? null;
    if (downText === null || splitStatements(downText).length > 0) return [];
    return [{ version, name: `${fullName(step)} (empty down script)` }];
  });
  const [first, ...others] = without;
  if (!first) return [];
  return [
    {
      code: 'NO_WAY_BACK',
      ...(others.length === 0 && { version: first.version }),
      message: `${listNames(without.map(({ name }) => name))} cannot be rolled back`,
    },
  ];
}

/** What the parser's grammar refuses may be good for a server of another version: that one decides. */
async function askServer(
  problems: ScriptProblem[],
  statements: Statement[],
  session: Session,
): Promise<ScriptProblem[]> {
  const judged: ScriptProblem[] = [];
  for (const problem of problems) {
    const { text } = statements[problem.statementIndex ?? -1] ?? {};
    const isUnsure = problem.severity === 'warning' && text !== undefined;
    const isWrong = isUnsure && !(await isAcceptedByServer(session, text));
    judged.push(isWrong ? { ...problem, severity: 'error' } : problem);
  }
  return judged;
}

/** Of scripts that are held, as those of a fleet are: what each of many databases would find out again. */
const known = new WeakMap<Script, Map<number | undefined, ReturnType<typeof checkWhole>>>();

/** The statements of a script and all that is wrong with them. */
export function readStatements(script: Script, parser: SqlParser, serverVersion?: number) {
  const byVersion = known.get(script) ?? new Map();
  known.set(script, byVersion);
  const read = byVersion.get(serverVersion) ?? checkWhole(script, parser, serverVersion);
  byVersion.set(serverVersion, read);
  return read;
}

function checkWhole(script: Script, parser: SqlParser, serverVersion: number | undefined) {
  const statements = statementsOf(script);
  return { statements, problems: checkStatements(script, statements, parser, serverVersion) };
}

/** The same for a server, which is asked where its grammar may be another. */
export async function readStatementsFor(session: Session, script: Script, parser: SqlParser) {
  const { statements, problems } = readStatements(script, parser, session.facts.serverVersion);
  const asked = await askServer(problems, statements, session);
  const refused = await checkBatches(script, statements, { parser, problems: asked });
  return { statements, problems: [...asked, ...refused] };
}

/** What keeps the script of a backfill from running in batches; asked where nothing else is wrong. */
export async function checkBatches(
  script: Script,
  statements: Statement[],
  { parser, problems }: { parser: SqlParser; problems: ScriptProblem[] },
): Promise<ScriptProblem[]> {
  if (script.directives.backfill === undefined || problems.length > 0) return [];
  const { checkBackfill } = await import('../backfill/prepare.ts');
  return checkBackfill(script, statements, parser);
}

async function upScript(status: MigrationStatus, { signal }: PrepareOptions): Promise<Script> {
  if (status.file) return readScriptInTurns(status.file.upPath, signal);
  throw new EvdbError('FILE_UNREADABLE', `${fullName(status)} has no file`, {
    hint: 'Restore it.',
  });
}

async function downScript(status: MigrationStatus, options: PrepareOptions): Promise<Script> {
  return options.downScriptOf ? options.downScriptOf(status) : readDownScript(status, options);
}

async function readDownScript(
  status: MigrationStatus,
  { signal }: PrepareOptions,
): Promise<Script> {
  const { file } = status;
  if (file) refuseIrreversible(status, await readScriptInTurns(file.upPath, signal));
  if (file?.downPath) return readScriptInTurns(file.downPath, signal);
  throw new EvdbError(
    'MISSING_DOWN',
    file
      ? `${fullName(status)} has no down script`
      : `the files of ${fullName(status)} are not here`,
    {
      hint: file
        ? `Write ${fullName(status)}.down.sql, or say in the header why there is none: -- evdb: irreversible <reason>`
        : 'Restore them, or use the script that the ledger kept: --from-ledger.',
      details: { version: status.version },
    },
  );
}

function refuseIrreversible(status: MigrationStatus, up: Script): void {
  if (up.directives.irreversible === undefined) return;
  throw new EvdbError(
    'IRREVERSIBLE',
    `${fullName(status)} cannot be rolled back: ${up.directives.irreversible}`,
    {
      hint: 'Write a new migration that goes forward.',
      details: { version: status.version, reason: up.directives.irreversible },
    },
  );
}

/** Throws the first error; what only may be wrong becomes a warning. */
export function refuseProblems(
  script: Script,
  status: Pick<MigrationStatus, 'version'> | undefined,
  problems: ScriptProblem[],
): MigrationPlanWarning[] {
  const [first, ...others] = problems.filter(({ severity }) => severity === 'error');
  if (first) {
    const more =
      others.length > 0 ? ` (and ${others.length} more: ${commandLine('migrate validate')})` : '';
    const { hint = 'Nothing was run. Correct the file and run the command again.' } = first;
    throw new ScriptError(first.code, first.message + more, { script, ...first }, { hint });
  }
  return problems.map((problem) => ({
    code: 'SYNTAX_UNSURE',
    ...(status && { version: status.version }),
    message: `${script.path}:${problem.line}:${problem.column}: ${problem.message}, says PostgreSQL ${GRAMMAR_MAJOR}'s grammar; the server knows it, so it runs without being analyzed`,
  }));
}

interface StepParts {
  direction: MigrationDirection;
  status: MigrationStatus;
  script: Script;
  statements: Statement[];
  options: PrepareOptions;
}

async function readBackfillOf(
  { direction, status, script, statements, options }: StepParts,
  parser: SqlParser,
): Promise<PreparedBackfill | undefined> {
  if (script.directives.backfill === undefined) return undefined;
  const { prepareBackfill } = await import('../backfill/prepare.ts');
  const isHalfWay = status.row?.state === (direction === 'up' ? 'applying' : 'reverting');
  return prepareBackfill(script, statements, {
    ...{ parser, session: options.session, name: fullName(status) },
    place: { key: options.key, version: status.version },
    row: isHalfWay ? status.row : undefined,
  });
}

function makeStep(from: StepParts, backfill: PreparedBackfill | undefined): MigrationStep {
  const { direction, status, script, statements, options } = from;
  const { version, label, name } = status;
  const resume = backfill ? undefined : readResumePoint({ direction, status }, script, statements);
  return {
    direction,
    version,
    label,
    name,
    script,
    statements,
    isTransactional: !script.directives.noTransaction && !backfill,
    ...(backfill && { backfill }),
    ...(direction === 'down' &&
      status.replaced && { replaced: status.replaced.rows.map((row) => row.version) }),
    ...(direction === 'up' && {
      entry: ledgerEntry(status, {
        up: script,
        statements,
        downText: status.file?.downPath ? readTextToKeep(status.file.downPath) : null,
        limitBytes: options.storedTextLimitBytes,
      }),
    }),
    ...(resume && { resume }),
  };
}

/**
 * Reads the down scripts that the ledger kept, so that an older build can roll back what a newer
 * one applied.
 *
 * @throws {EvdbError} MISSING_DOWN, IRREVERSIBLE (while the returned function runs)
 */
export async function readStoredDownScripts(
  session: Session,
  options: MigrateOptions,
  migrations: MigrationStatus[],
): Promise<(status: MigrationStatus) => Script> {
  const versions = migrations.map(({ version }) => version);
  const texts = await readStoredTexts(session, ledgerKey(options), versions);
  return (status) => {
    if (isStandIn(status) && status.file) throw keptOfReplaced(status, status.file);
    const stored = texts.get(status.version);
    const place = `ledger:${fullName(status)}`;
    if (stored?.up) refuseIrreversible(status, scriptFromText(place, stored.up));
    if (stored?.down) return scriptFromText(`${place}.down.sql`, stored.down);
    throw new EvdbError('MISSING_DOWN', `the ledger keeps no down script of ${fullName(status)}`, {
      hint: 'There was none when it was applied, or it was too long to keep. Restore the file and run without --from-ledger.',
      details: { version: status.version },
    });
  };
}

/** What the ledger keeps under its version is of the migration that it replaces. */
function keptOfReplaced(status: MigrationStatus, file: MigrationFile): EvdbError {
  return new EvdbError('MISSING_DOWN', `the ledger keeps no down script of ${fullName(status)}`, {
    hint: `This database ran ${status.replaced?.text}, which it replaces. To roll those back: \`${oldFilesCommand(file, 'down')}\`.`,
    details: { version: status.version },
  });
}
