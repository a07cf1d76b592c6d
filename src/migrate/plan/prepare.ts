import type { Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { maskSecrets } from '../../sql/mask.ts';
import { GRAMMAR_MAJOR, loadSqlParser, type SqlParser } from '../../sql/parser.ts';
import { type Statement, splitStatements } from '../../sql/statements.ts';
import { asKind } from '../../sql/tree.ts';
import { commandLine } from '../../text/command-line.ts';
import type { PreparedBackfill } from '../backfill/prepare.ts';
import { isAcceptedByServer } from '../files/file-errors.ts';
import { ScriptError } from '../files/script-error.ts';
import {
  readScript,
  readScriptInTurns,
  readTextToKeep,
  type Script,
  scriptFromText,
} from '../files/source.ts';
import type { Version } from '../files/version.ts';
import { type LedgerKey, ledgerEntry, readStoredTexts } from '../ledger/ledger.ts';
import type { LedgerEntry } from '../ledger/record.ts';
import { ledgerKey, type MigrateOptions } from '../options.ts';
import type { MigrationDirection, MigrationPlanWarning } from '../progress.ts';
import { checkStatements, type ScriptProblem } from './check.ts';
import type { MigrationStatus } from './compare.ts';
import { fullName, listNames, type Selection, type WaitingMigration } from './plan.ts';
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
  /** Set where its one statement runs in batches. */
  backfill?: PreparedBackfill;
}

interface PrepareOptions {
  storedTextLimitBytes: number;
  key: LedgerKey;
  /** Of the server that the scripts are for; those of another version are asked about their grammar. */
  session: Session;
  /** Where the down scripts come from; default: the files. */
  downScriptOf?: (status: MigrationStatus) => Script;
  signal?: AbortSignal | undefined;
}

/**
 * Reads and checks the scripts of a selection, all of them before any runs.
 *
 * @throws {ScriptError} CHANGED_MIGRATION at a statement that ran before the script stopped half way
 * @throws {ScriptError} SYNTAX_ERROR, PSQL_COMMAND, TRANSACTION_CONTROL, NEEDS_NO_TRANSACTION,
 *   COPY_UNSUPPORTED
 * @throws {EvdbError} EMPTY_FILE, MISSING_DOWN, IRREVERSIBLE, and those of `readScript`
 */
export async function prepareSteps(
  { direction, migrations, isExpandOnly = false }: Selection,
  options: PrepareOptions,
): Promise<{
  steps: MigrationStep[];
  waiting?: WaitingMigration;
  warnings: MigrationPlanWarning[];
}> {
  if (migrations.length === 0) return { steps: [], warnings: [] };
  const parser = await loadSqlParser();
  const warnings: MigrationPlanWarning[] = [];
  const steps: MigrationStep[] = [];
  let waiting: WaitingMigration | undefined;
  for (const status of migrations) {
    const script = await (direction === 'up'
      ? upScript(status, options)
      : downScript(status, options));
    if (isExpandOnly && script.directives.isContract) {
      const { version, label, name } = status;
      const gates = (script.directives.gates ?? []).map(({ text }) => text);
      waiting = { version, label, name, gates };
      break;
    }
    const { statements, problems } = await readStatementsFor(options.session, script, parser);
    if (problems.length > 0) warnings.push(...refuseProblems(script, status, problems));
    const step = { direction, status, script, statements, options };
    steps.push(makeStep(step, await readBackfillOf(step, parser)));
  }
  if (direction === 'up') warnings.push(...warnOfNoWayBack(steps, migrations));
  return { steps, ...(waiting && { waiting }), warnings };
}

/** Better told now than by `down`, when there is no time to write a script. */
function warnOfNoWayBack(
  steps: MigrationStep[],
  migrations: MigrationStatus[],
): MigrationPlanWarning[] {
  const without = steps.flatMap((step, index) => {
    if (step.script.directives.irreversible !== undefined) return [];
    const { version } = step;
    if (migrations[index]?.file?.downPath === undefined)
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

/** The statements of a script and all that is wrong with them. */
export function readStatements(script: Script, parser: SqlParser, serverVersion?: number) {
  const statements = splitStatements(script.text);
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

function refuseProblems(
  script: Script,
  status: MigrationStatus,
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
    version: status.version,
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

/** How a script wants its transaction, as its first statements say. */
export interface TransactionModes {
  isolation: string | undefined;
  isReadOnly: boolean;
  isDeferrable: boolean;
  /** How many statements say so; they are not sent again. */
  count: number;
}

const ISOLATIONS = ['serializable', 'repeatable read', 'read committed', 'read uncommitted'];

/**
 * What is read only must not keep the ledger from being written: a savepoint that is released gives
 * the right to write back.
 */
export const BEGIN_READ_ONLY = ['savepoint evdb_read_only', 'set transaction read only'];
export const END_READ_ONLY_SQL = 'release savepoint evdb_read_only';

/**
 * Takes `set transaction …` from the beginning of a script. PostgreSQL wants it before any query,
 * and evdb asks some of its own at the beginning of a transaction.
 */
export async function readTransactionModes({
  statements,
}: Pick<MigrationStep, 'statements'>): Promise<TransactionModes> {
  const modes: TransactionModes = {
    isolation: undefined,
    isReadOnly: false,
    isDeferrable: false,
    count: 0,
  };
  for (const statement of statements) {
    if (!SETS_MODES.test(statement.text) || !(await addModes(modes, statement))) break;
    modes.count += 1;
  }
  return modes;
}

const SETS_MODES = /^set\b[^']*\btransaction\b/i;

async function addModes(modes: TransactionModes, { text }: Statement): Promise<boolean> {
  const tree = (await loadSqlParser()).parse(text);
  const { kind, name, args = [] } = asKind(tree ?? undefined, 'VariableSetStmt') ?? {};
  if (kind !== 'VAR_SET_MULTI' || name !== 'TRANSACTION') return false;
  for (const arg of args) {
    const { defname, arg: value } = asKind(arg, 'DefElem') ?? {};
    const constant = asKind(value, 'A_Const');
    if (defname === 'transaction_isolation') {
      modes.isolation = ISOLATIONS.find((one) => one === constant?.sval?.sval);
    }
    const isOn = constant?.ival?.ival === 1;
    if (defname === 'transaction_read_only') modes.isReadOnly = isOn;
    if (defname === 'transaction_deferrable') modes.isDeferrable = isOn;
  }
  return true;
}

/**
 * Compares files that differ from what was applied with the texts that the ledger kept. A version
 * has no diff where the text was too long to keep, or is not ours to read.
 */
export async function readDiffs(
  session: Session,
  options: MigrateOptions,
  statuses: MigrationStatus[],
): Promise<Map<Version, string>> {
  const differing = statuses.filter(({ state }) => state === 'changed' || state === 'reworded');
  const versions = differing.map(({ version }) => version);
  const texts = await readStoredTexts(session, ledgerKey(options), versions).catch((error) => {
    if (error instanceof EvdbError && error.code === 'PERMISSION_DENIED') return new Map();
    throw error;
  });
  if (texts.size === 0) return new Map();
  const { createTwoFilesPatch } = await import('diff');
  const diffs = new Map<Version, string>();
  for (const { version, label, name, file } of differing) {
    const applied: string | null | undefined = texts.get(version)?.up;
    if (!file || applied == null) continue;
    const now = readScript(file.upPath);
    if (now.large) continue;
    const title = `${fullName({ label, name })}, as applied`;
    diffs.set(
      version,
      createTwoFilesPatch(title, now.path, maskSecrets(applied), maskSecrets(now.text), '', '', {
        context: 2,
      }),
    );
  }
  return diffs;
}

/** Gives each warning about a changed file its diff. */
export function withDiffs(
  warnings: MigrationPlanWarning[],
  diffs: Map<Version, string>,
): MigrationPlanWarning[] {
  return warnings.map((warning) => {
    const diff = warning.version === undefined ? undefined : diffs.get(warning.version);
    return diff === undefined ? warning : { ...warning, diff };
  });
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
