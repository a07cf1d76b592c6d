import { isAbsolute } from 'node:path';
import { readTableRows } from '../../catalog/read/sizes.ts';
import { EvdbError } from '../../errors.ts';
import type { Finding, FindingLocation } from '../../finding.ts';
import type { LintReport } from '../../lint/engine.ts';
import type { LintDetails, LintFinding } from '../../lint/finding.ts';
import { GRAMMAR_MAJOR, loadSqlParser, type SqlParser } from '../../sql/parser.ts';
import type { VariableValues } from '../../sql/variables.ts';
import { commandLine } from '../../text/command-line.ts';
import type { RepeatableFile } from '../files/repeatables.ts';
import { ScriptError } from '../files/script-error.ts';
import { type MigrationFile, readScript, type Script } from '../files/source.ts';
import { bindPlaceholders } from '../files/variables.ts';
import { displayPath } from '../files/version.ts';
import type { MigrateOptions } from '../options.ts';
import type { ScriptProblem } from '../plan/check.ts';
import type { MigrationState, MigrationStatus } from '../plan/compare.ts';
import { readDiffs } from '../plan/diffs.ts';
import { fullName, wayBackFromChange } from '../plan/plan.ts';
import { checkBatches, readStatements, readStatementsFor } from '../plan/prepare.ts';
import { readStanding, requireMigrations, withSession } from '../plan/read.ts';
import { partialBaseline, problemOfBaseline } from '../plan/replaced.ts';
import { STATE_SAYS } from '../plan/status.ts';
import { checkBase, type MigrationRename, newAgainst } from './base-branch.ts';
import type { ProveDownsOptions } from './downs.ts';
import type { LintSettingsOptions } from './lint.ts';
import { lintChecked } from './lint-checked.ts';

/** What `validate` adds to a finding; if it has a `group`, a rule of the linter found it. */
export interface ValidationDetails extends LintDetails {
  /** What was applied compared with the file, or what a down script leaves. */
  diff?: string;
  /** The files to rename, if that fixes it. */
  renames?: MigrationRename[];
}

/** Its codes are those of errors, the names of rules, and `REWORDED`, `NO_DOWN` and so on. */
export type ValidationFinding = Finding<ValidationDetails>;

/** What `validateMigrations` found, and what it did not check. */
export interface ValidationResult {
  /** How many migrations were checked. */
  migrations: number;
  /** Their scripts, up and down, as shown to people. */
  files: string[];
  findings: ValidationFinding[];
  /** Findings of the linter that a comment in the script suppresses. */
  suppressed: LintReport['suppressed'];
  /** The checks that could not be made, each with its reason. */
  skipped: { check: string; reason: string }[];
  /** If requested: the migrations that their down scripts undo exactly. */
  proven?: string[];
}

/** What `validateMigrations` checks; without a connection the ledger is left out. */
export interface ValidateOptions extends Omit<MigrateOptions, 'connection'> {
  /** Without one only the files are checked. */
  connection?: MigrateOptions['connection'] | undefined;
  /** Why there is no connection, for the report. */
  noConnectionReason?: string | undefined;
  /** How the scripts are judged; default: every rule as it is. */
  lint?: LintSettingsOptions | undefined;
  /** A branch or commit whose migrations come first, such as `origin/main`. */
  base?: string | undefined;
  /** Prove in a scratch database that the down scripts of pending migrations undo them; default: no. */
  shadow?: Pick<ProveDownsOptions, 'all' | 'embeddedDirectory' | 'onScratch'> | undefined;
}

/**
 * Checks every file, applied or not, and if there is a database, the files against its ledger.
 * Problems become findings; it throws only if it cannot check at all.
 *
 * @throws {EvdbError} MIGRATIONS_DIR_MISSING, MIGRATIONS_DIR_EMPTY, GIT_FAILED, and those of
 *   `pingDatabase`
 * @example
 * const { findings } = await validateMigrations({ directory: 'migrations' });
 * if (findings.some(({ severity }) => severity === 'error')) process.exitCode = 1;
 */
export async function validateMigrations(options: ValidateOptions): Promise<ValidationResult> {
  const result = await validateFiles(options);
  if (options.base !== undefined) {
    const base = await checkBase(options.directory, options.base);
    const whole = result.findings.filter(isOfWhole);
    const ofFiles = result.findings.filter((finding) => !isOfWhole(finding));
    const added = newAgainst(base, ofFiles, options.base);
    result.findings = [...added.findings, ...whole, ...base.findings];
    result.skipped.push(...added.skipped, ...base.skipped);
  }
  if (options.shadow) {
    const { checkDowns } = await import('./downs.ts');
    const { proveRepeatables } = await import('./repeatables.ts');
    const all = { ...options, ...options.shadow };
    const downs = await checkDowns(all, findingOf);
    const { findings, proven, skippedReason } = downs;
    result.findings.push(...findings);
    // What does not run is told once.
    if (!findings.some(({ code }) => code === 'REPLAY_FAILED'))
      result.findings.push(...(await proveRepeatables(all, findingOf)));
    if (skippedReason) result.skipped.push(skippedFor('the down scripts', skippedReason));
    result.proven = proven;
  }
  return result;
}

async function validateFiles(options: ValidateOptions): Promise<ValidationResult> {
  const listed = listOrFind(options);
  if ('finding' in listed) {
    return {
      migrations: 0,
      files: [],
      findings: [listed.finding],
      suppressed: [],
      skipped: [skippedFor("the files' contents", 'their names have to be right first')],
    };
  }
  const parser = await loadSqlParser();
  const { connection, variables } = options;
  const ledger =
    connection && (await checkOnServer({ ...options, connection }, listed.files, parser));
  const target = options.lint?.settings?.serverVersion;
  const { checked, again } =
    ledger ??
    (await checkAll(options, listed.files, parser, async (script) => {
      // A version that is newer than the grammar is one that somebody asked for.
      const isNewer = target !== undefined && target >= (GRAMMAR_MAJOR + 1) * 10_000;
      const read = readStatements(script, parser, isNewer ? target : undefined);
      const { statements, problems } = read;
      return [...problems, ...(await checkBatches(script, statements, { parser, problems }))];
    }));
  const files = listed.files
    .flatMap(({ upPath, downPath }) => [upPath, downPath ?? []].flat())
    .concat(again.map(({ path }) => path))
    .map(displayPath);
  const linted = await lintChecked(listed.files, again, {
    ...{ ...options.lint, directory: options.directory, variables, parser },
    ...{ rows: ledger?.rows, applied: ledger?.applied },
  });
  const reason = options.noConnectionReason ?? 'no database is configured';
  return {
    migrations: listed.files.length,
    files,
    findings: [...mergeFindings(files, checked, linted.findings), ...(ledger?.findings ?? [])],
    suppressed: linted.suppressed,
    skipped: ledger ? [] : [skippedFor('applied migrations against their files', reason)],
  };
}

function skippedFor(check: string, reason: string) {
  return { check, reason };
}

function listOrFind(options: {
  directory: string;
}): { files: MigrationFile[] } | { finding: ValidationFinding } {
  try {
    return { files: requireMigrations(options) };
  } catch (error) {
    if (!(error instanceof EvdbError) || error.code.startsWith('MIGRATIONS_DIR')) throw error;
    return { finding: findingOf(error) };
  }
}

/** Migrations and repeatables. */
async function checkAll(
  options: Omit<ValidateOptions, 'connection'>,
  files: readonly MigrationFile[],
  parser: SqlParser,
  problemsOf: FindProblems,
): Promise<{ checked: ValidationFinding[]; again: RepeatableFile[] }> {
  const checked = await checkFiles(files, problemsOf, options.variables);
  const { checkRepeatables } = await import('./repeatables.ts');
  const making = { ofError: findingOf, ofProblem: problemFinding, problemsOf };
  const again = await checkRepeatables(options, parser, making);
  return { checked: [...checked, ...again.findings], again: again.files };
}

type FindProblems = (script: Script) => Promise<ScriptProblem[]>;

/** What is wrong with each script, whatever is wrong with the others. */
async function checkFiles(
  files: readonly MigrationFile[],
  problemsOf: FindProblems,
  values: VariableValues | undefined,
): Promise<ValidationFinding[]> {
  const findings: ValidationFinding[] = [];
  for (const file of files) {
    const read = [file.upPath, file.downPath].map((path) => path && readOrFind(path, values));
    for (const one of read) {
      if (one === undefined || one === '') continue;
      if ('finding' in one) findings.push(one.finding);
      else findings.push(...(await problemsOf(one)).map((problem) => problemFinding(one, problem)));
    }
    const [up] = read;
    const problem =
      up && 'directives' in up && problemOfBaseline(file, up.directives.replaces, files);
    if (problem) findings.push(findingOf(problem));
    const isMissing = file.downPath === undefined && up && 'directives' in up;
    if (isMissing && up.directives.irreversible === undefined) findings.push(noDown(file, up));
  }
  return findings;
}

function readOrFind(
  path: string,
  values: VariableValues | undefined,
): Script | { finding: ValidationFinding } {
  try {
    return bindPlaceholders(readScript(path), values);
  } catch (error) {
    if (error instanceof EvdbError) return { finding: findingOf(error) };
    throw error;
  }
}

function problemFinding(script: Script, problem: ScriptProblem): ValidationFinding {
  const error = new ScriptError(problem.code, problem.message, { script, ...problem }, problem);
  return { ...findingOf(error), severity: problem.severity };
}

function noDown(file: MigrationFile, up: Script): ValidationFinding {
  return {
    code: 'NO_DOWN',
    severity: 'warning',
    message: `${fullName(file)} has no down script`,
    hint: `Write ${fullName(file)}.down.sql, or say why there is none: -- evdb: irreversible <reason>`,
    location: { file: up.path, line: 1, column: 1 },
    objects: [],
  };
}

/** A finding in place of an error, so that the others are told too. */
function findingOf(error: EvdbError): ValidationFinding {
  const { code, hint } = error;
  const location = locationOf(error);
  const place = `${location?.file} `;
  // The place is shown in front of the message.
  const message = error.message.startsWith(place)
    ? error.message.slice(place.length)
    : error.message;
  return {
    ...{ code, severity: 'error', message },
    ...(hint !== undefined && { hint }),
    ...(location && { location }),
    objects: [],
  };
}

function locationOf(error: EvdbError): FindingLocation | undefined {
  if (error instanceof ScriptError) return { ...error.location, excerpt: error.excerpt };
  const { file, line } = error.details;
  if (typeof file !== 'string') return undefined;
  return {
    file: isAbsolute(file) ? displayPath(file) : file,
    ...(typeof line === 'number' && { line, column: 1 }),
  };
}

const LEDGER_FINDINGS: Partial<
  Record<MigrationState, [severity: Finding['severity'], code: string]>
> = {
  changed: ['error', 'CHANGED_MIGRATION'],
  reworded: ['warning', 'REWORDED'],
  missing: ['error', 'MISSING_MIGRATION'],
  ahead: ['warning', 'LEDGER_AHEAD'],
  outOfOrder: ['error', 'OUT_OF_ORDER'],
  incomplete: ['error', 'INCOMPLETE_MIGRATION'],
  partial: ['error', 'PARTIAL_BASELINE'],
};

/**
 * Whether a finding may be new although its file is the same on the base: a database may hold
 * another text, and the up script of a down script may be gone.
 */
function isOfWhole({ code }: ValidationFinding): boolean {
  const ofLedger = Object.values(LEDGER_FINDINGS).map(([, known]) => known);
  return code === 'DOWN_WITHOUT_UP' || ofLedger.includes(code);
}

/** The files against the server's grammar and ledger. */
async function checkOnServer(options: MigrateOptions, files: MigrationFile[], parser: SqlParser) {
  return withSession(options, async (session) => {
    const { checked, again } = await checkAll(
      options,
      files,
      parser,
      async (script) => (await readStatementsFor(session, script, parser)).problems,
    );
    // Their names are wrong, which was told.
    const canCompare = !checked.some(({ code }) => code === 'INVALID_NAME');
    const { statuses, repeatables } = canCompare
      ? await readStanding(session, options, files)
      : { statuses: [], repeatables: [] };
    const diffs = await readDiffs(session, options, statuses);
    const { findMissing } = await import('./repeatables.ts');
    const findings = [
      ...statuses.flatMap((status) => ledgerFinding(status, diffs.get(status.version))),
      ...findMissing(repeatables),
    ];
    const isThere = ({ state }: MigrationStatus) => state !== 'pending' && state !== 'outOfOrder';
    const applied = new Set(statuses.filter(isThere).map(({ version }) => version));
    return { checked, again, findings, applied, rows: await readTableRows(session) };
  });
}

function ledgerFinding(status: MigrationStatus, diff: string | undefined): ValidationFinding[] {
  const known = LEDGER_FINDINGS[status.state];
  if (!known) return [];
  const [severity, code] = known;
  const hint =
    status.state === 'changed'
      ? wayBackFromChange([status])
      : status.state === 'partial'
        ? partialBaseline(status).hint
        : undefined;
  const wayOn =
    status.state === 'incomplete'
      ? `: \`${commandLine('migrate up')}\` continues it, \`${commandLine('migrate down')}\` rolls it back`
      : '';
  return [
    {
      ...{ code, severity, objects: [] },
      message: `${fullName(status)} ${STATE_SAYS[status.state]}${wayOn}`,
      ...(hint !== undefined && { hint }),
      ...(status.file && {
        location: { file: displayPath(status.file.upPath), line: 1, column: 1 },
      }),
      ...(diff !== undefined && { details: { diff } }),
    },
  ];
}

/**
 * What both found, by file and place. What the checks refuse is left out of what lint says of the
 * same statement.
 *
 * @param files in the order to tell them
 */
function mergeFindings(
  files: readonly string[],
  checked: readonly ValidationFinding[],
  linted: readonly LintFinding[],
): ValidationFinding[] {
  const refused = new Set(checked.map((finding) => placeOf(finding)));
  const more = linted.filter((finding) => !isTold(finding, refused));
  const order = new Map(files.map((file, index) => [file, index]));
  const placed = [...checked, ...more].map((finding) => {
    const { file = '', line = 0, column = 0 } = finding.location ?? {};
    return { finding, rank: order.get(file) ?? -1, line, column };
  });
  placed.sort((a, b) => a.rank - b.rank || a.line - b.line || a.column - b.column);
  return placed.map(({ finding }) => finding);
}

const TOLD_BY_CHECKS = new Set([
  ...['syntax-error', 'empty-file', 'transaction-control', 'concurrently-in-tx'],
]);

function isTold(finding: LintFinding, refused: ReadonlySet<string>): boolean {
  return TOLD_BY_CHECKS.has(finding.code) && refused.has(placeOf(finding));
}

function placeOf({ location: { file, line, column } = { file: '' } }: ValidationFinding): string {
  return [file, line, column].join(':');
}
