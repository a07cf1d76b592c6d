import type { Session } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import { GRAMMAR_MAJOR, loadParser, type SqlParser } from '../sql/parser.ts';
import { type Statement, splitStatements } from '../sql/statements.ts';
import { commandLine } from '../text/command-line.ts';
import { checkStatements, type ScriptProblem } from './check.ts';
import type { MigrationStatus } from './compare.ts';
import { ledgerEntry } from './entry.ts';
import { type Direction, fullName, type PlanWarning, type Selection } from './plan.ts';
import type { LedgerEntry } from './record.ts';
import { ScriptError } from './script-error.ts';
import { readScriptInTurns, readTextToKeep, type Script } from './source.ts';
import { type ResumePoint, readResumePoint } from './stepwise/resume-point.ts';
import { isAcceptedByServer } from './syntax.ts';
import type { Version } from './version.ts';

/** One migration, read and checked, ready to run. */
export interface Step {
  direction: Direction;
  version: Version;
  label: string;
  name: string;
  script: Script;
  statements: Statement[];
  /** False for `-- evdb: no-transaction`. */
  isTransactional: boolean;
  /** What the ledger will hold; for steps up. */
  entry?: LedgerEntry;
  /** Set where a no-transaction script that stopped half way goes on. */
  resume?: ResumePoint;
}

export interface PrepareOptions {
  storedTextLimitBytes: number;
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
  { direction, migrations }: Selection,
  options: PrepareOptions,
): Promise<{ steps: Step[]; warnings: PlanWarning[] }> {
  if (migrations.length === 0) return { steps: [], warnings: [] };
  const parser = await loadParser();
  const warnings: PlanWarning[] = [];
  const steps: Step[] = [];
  for (const status of migrations) {
    const script = await (direction === 'up'
      ? upScript(status, options)
      : downScript(status, options));
    const { statements, problems } = await readStatementsFor(options.session, script, parser);
    if (problems.length > 0) warnings.push(...refuseProblems(script, status, problems));
    steps.push(makeStep({ direction, status, script, statements, options }));
  }
  if (direction === 'up') warnings.push(...warnOfNoWayBack(steps, migrations));
  return { steps, warnings };
}

/** Better told now than by `down`, when there is no time to write a script. */
function warnOfNoWayBack(steps: Step[], migrations: MigrationStatus[]): PlanWarning[] {
  const without = steps.filter(({ script, entry }, index) => {
    if (script.directives.irreversible !== undefined) return false;
    if (migrations[index]?.file?.downPath === undefined) return true;
    const downText = entry?.downText ?? null;
    return downText !== null && splitStatements(downText).length === 0;
  });
  const [first, ...others] = without;
  if (!first) return [];
  const more = others.length === 0 ? '' : ` and ${others.length} more`;
  return [
    {
      code: 'NO_WAY_BACK',
      ...(others.length === 0 && { version: first.version }),
      message: `${fullName(first)}${more} cannot be taken back: ${others.length === 0 ? 'its down script is' : 'their down scripts are'} missing or empty`,
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
  return { statements, problems: await askServer(problems, statements, session) };
}

async function upScript(status: MigrationStatus, { signal }: PrepareOptions): Promise<Script> {
  if (status.file) return readScriptInTurns(status.file.upPath, signal);
  throw new EvdbError('FILE_UNREADABLE', `${fullName(status)} has no file`, {
    hint: 'Bring it back.',
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
        : 'Bring them back, or use the script that the ledger kept: --from-ledger.',
      details: { version: status.version },
    },
  );
}

export function refuseIrreversible(status: MigrationStatus, up: Script): void {
  if (up.directives.irreversible === undefined) return;
  throw new EvdbError(
    'IRREVERSIBLE',
    `${fullName(status)} cannot be taken back: ${up.directives.irreversible}`,
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
): PlanWarning[] {
  const [first, ...others] = problems.filter(({ severity }) => severity === 'error');
  if (first) {
    const more =
      others.length > 0 ? ` (and ${others.length} more: ${commandLine('migrate validate')})` : '';
    const { hint = 'Nothing was run. Mend the file and run the command again.' } = first;
    throw new ScriptError(first.code, first.message + more, { script, ...first }, { hint });
  }
  return problems.map((problem) => ({
    code: 'SYNTAX_UNSURE',
    version: status.version,
    message: `${script.path}:${problem.line}:${problem.column}: ${problem.message}, says PostgreSQL ${GRAMMAR_MAJOR}'s grammar; the server knows it, so it runs without being looked into`,
  }));
}

function makeStep(from: {
  direction: Direction;
  status: MigrationStatus;
  script: Script;
  statements: Statement[];
  options: PrepareOptions;
}): Step {
  const { direction, status, script, statements, options } = from;
  const { version, label, name } = status;
  const resume = readResumePoint({ direction, status }, script, statements);
  return {
    direction,
    version,
    label,
    name,
    script,
    statements,
    isTransactional: !script.directives.noTransaction,
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
