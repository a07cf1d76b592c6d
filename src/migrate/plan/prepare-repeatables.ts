import type { Session } from '../../connection/session.ts';
import { tokenChecksum } from '../../sql/lexical.ts';
import { loadSqlParser, type SqlParser } from '../../sql/parser.ts';
import type { Statement } from '../../sql/statements.ts';
import type { VariableValues } from '../../sql/variables.ts';
import { commandLine } from '../../text/command-line.ts';
import { listRepeatables, readRepeatable } from '../files/repeatables.ts';
import { ScriptError } from '../files/script-error.ts';
import type { Script } from '../files/source.ts';
import {
  bindPlaceholders,
  statementsOf,
  unsetVariables,
  variablesUnset,
} from '../files/variables.ts';
import { REPEATABLE_LABEL } from '../files/version.ts';
import type { RepeatableChange } from '../ledger/repeatable-texts.ts';
import { DEFAULT_STORED_TEXT_LIMIT_BYTES, ledgerKey, type MigrateOptions } from '../options.ts';
import type { MigrationPlanWarning } from '../progress.ts';
import type { MadeObject, NeededObject } from '../repeatable/objects.ts';
import { groupRepeatables, type NamePath } from '../repeatable/order.ts';
import { readRepeatableContents } from '../repeatable/statements.ts';
import { listNames } from './plan.ts';
import { type MigrationStep, readStatementsFor, refuseProblems } from './prepare.ts';
import type { Standing } from './read.ts';
import { isToApply, type RepeatableStatus, type RepeatablesHeld } from './repeatables.ts';

/** One file of a transaction of repeatables. */
export interface RepeatablePart {
  name: string;
  script: Script;
  statements: Statement[];
  makes: readonly MadeObject[];
  drops: readonly MadeObject[];
  change: RepeatableChange;
}

/** Repeatables that are applied in one transaction. */
export interface RepeatableStep extends MigrationStep {
  repeatables: RepeatablePart[];
}

/** What preparing repeatables needs. */
export interface PrepareRepeatablesOptions extends NamePath {
  session: Session;
  variables: VariableValues | undefined;
  storedTextLimitBytes: number;
}

/** Repeatables that have changed and are left for a later run. */
export interface HeldRepeatables {
  names: string[];
  cause: RepeatablesHeld;
}

/** What an `up` does about repeatables. */
export interface RepeatablesPlan {
  steps: RepeatableStep[];
  held?: HeldRepeatables;
  warnings: MigrationPlanWarning[];
}

/**
 * Decides which repeatables follow the migrations of an `up`, and prepares them.
 *
 * @param isPartial whether migrations that they may need are left out
 * @throws {EvdbError} those of `prepareRepeatables`
 */
export async function planRepeatables(
  session: Session,
  options: MigrateOptions,
  { standing, isPartial }: { standing: Standing; isPartial: boolean },
): Promise<RepeatablesPlan> {
  const { statuses, repeatables } = standing;
  const warnings = repeatables.filter(({ state }) => state === 'missing').map(warnOfMissing);
  const names = repeatables.filter(isToApply).map(({ name }) => name);
  const isAhead = statuses.some(({ state }) => state === 'ahead');
  if (names.length === 0) return { steps: [], warnings };
  if (isAhead) return { steps: [], held: { names, cause: 'ahead' }, warnings };
  if (isPartial) return { steps: [], held: { names, cause: 'pending' }, warnings };
  return {
    steps: await prepareRepeatables(repeatables, prepareOptionsOf(session, options)),
    warnings,
  };
}

/** What preparing takes of the options of a command. */
export function prepareOptionsOf(
  session: Session,
  options: MigrateOptions,
): PrepareRepeatablesOptions {
  return {
    ...{ session, variables: options.variables, ...namePathOf(options) },
    storedTextLimitBytes: options.storedTextLimitBytes ?? DEFAULT_STORED_TEXT_LIMIT_BYTES,
  };
}

/** Whoever finds it says the same. */
export function warnOfMissing({ name }: Pick<RepeatableStatus, 'name'>): MigrationPlanWarning {
  return {
    code: 'REPEATABLE_MISSING',
    message: `repeatable/${name} is applied, but its file is gone; what it made stays, until \`${commandLine('migrate down', { repeatable: name })}\` drops it`,
  };
}

/**
 * Reads and checks all repeatables, and puts those that have changed into steps. Those that have not are read
 * too: they tell who needs whom.
 *
 * @throws {ScriptError} REPEATABLE_REFUSED, SYNTAX_ERROR and so on at a place of a script
 * @throws {EvdbError} DUPLICATE_REPEATABLE, REPEATABLE_CYCLE, VARIABLE_UNSET, and those of `readRepeatable`
 */
export async function prepareRepeatables(
  statuses: readonly RepeatableStatus[],
  options: PrepareRepeatablesOptions,
): Promise<RepeatableStep[]> {
  const wanted = new Set(statuses.filter(isToApply).map(({ name }) => name));
  if (wanted.size === 0) return [];
  const parser = await loadSqlParser();
  const units: RepeatableUnitRead[] = [];
  const unset: { path: string; names: string[] }[] = [];
  for (const { name, file } of statuses) {
    if (file === undefined) continue;
    const read = readRepeatable(file);
    const names = wanted.has(name) ? unsetVariables(read, options.variables) : [];
    if (names.length > 0) unset.push({ path: read.path, names });
    const script = bindPlaceholders(read, options.variables);
    units.push(await readUnit(name, script, parser, options));
  }
  if (unset.length > 0) throw variablesUnset(unset);
  return groupRepeatables(units, wanted, options).map((group) =>
    makeStep(group.map((unit) => makePart(unit, options))),
  );
}

/** A file with what it makes and needs. */
interface RepeatableUnitRead {
  name: string;
  file: string;
  script: Script;
  statements: Statement[];
  makes: MadeObject[];
  drops: MadeObject[];
  needs: NeededObject[];
}

async function readUnit(
  name: string,
  script: Script,
  parser: SqlParser,
  { session, targetSchema }: PrepareRepeatablesOptions,
): Promise<RepeatableUnitRead> {
  const { statements, problems } = await readStatementsFor(session, script, parser);
  refuseProblems(script, undefined, problems);
  const { refusals, ...contents } = readRepeatableContents(statements, parser, targetSchema);
  const [first] = refusals;
  if (first) {
    const { line, column } = first.statement;
    const hint = `Nothing was run. ${first.hint}`;
    throw new ScriptError('REPEATABLE_REFUSED', first.message, { script, line, column }, { hint });
  }
  return { name, file: script.path, script, statements, ...contents };
}

function makePart(
  { name, script, statements, makes, drops }: RepeatableUnitRead,
  { storedTextLimitBytes }: PrepareRepeatablesOptions,
): RepeatablePart {
  const { text, checksum } = script;
  const isKept = Buffer.byteLength(text) <= storedTextLimitBytes;
  const sums = { checksum, tokenChecksum: tokenChecksum(text) };
  const change = { kind: 'apply' as const, ...sums, text: isKept ? text : null };
  return { name, script, statements, makes, drops, change };
}

/**
 * The scripts of repeatables in an order in which each finds what it needs, whatever their grammar says else.
 *
 * @throws {EvdbError} DUPLICATE_REPEATABLE, REPEATABLE_CYCLE
 */
export async function orderRepeatables(
  scripts: readonly { name: string; script: Script }[],
  path: NamePath,
): Promise<Script[]> {
  if (scripts.length === 0) return [];
  const parser = await loadSqlParser();
  const units = scripts.map(({ name, script }) => {
    const statements = statementsOf(bindPlaceholders(script, undefined));
    const contents = readRepeatableContents(statements, parser, path.targetSchema);
    return { name, file: script.path, script, ...contents };
  });
  const all = new Set(units.map(({ name }) => name));
  return groupRepeatables(units, all, path).flatMap((group) => group.map(({ script }) => script));
}

/** All repeatables of a folder of migrations, in an order in which each finds what it needs. */
export function readRepeatablesInOrder(
  options: Pick<MigrateOptions, 'directory' | 'schema' | 'ledgerSchema' | 'searchPath'>,
): Promise<Script[]> {
  const files = listRepeatables(options.directory);
  return orderRepeatables(
    files.map((file) => ({ name: file.name, script: readRepeatable(file) })),
    namePathOf(options),
  );
}

/** Where names without a schema are looked up. */
export function namePathOf(
  options: Pick<MigrateOptions, 'schema' | 'ledgerSchema' | 'searchPath'>,
): NamePath {
  return {
    targetSchema: ledgerKey(options).targetSchema,
    searchPath: options.searchPath ?? [],
  };
}

/** The parts of one transaction as a step; the longest timeouts that they ask for hold for all. */
export function makeStep(
  repeatables: RepeatablePart[],
  direction: MigrationStep['direction'] = 'up',
): RepeatableStep {
  const [first] = repeatables as [RepeatablePart];
  const longest = (name: 'lockTimeoutMs' | 'statementTimeoutMs') => {
    const asked = repeatables.flatMap(({ script }) => script.directives[name] ?? []);
    return asked.length === 0 ? {} : { [name]: Math.max(...asked) };
  };
  const { lockTimeoutMs: _, statementTimeoutMs: __, ...directives } = first.script.directives;
  const timeouts = { ...longest('lockTimeoutMs'), ...longest('statementTimeoutMs') };
  return {
    ...{ direction, version: '', label: REPEATABLE_LABEL, repeatables, isTransactional: true },
    name: listNames(repeatables.map(({ name }) => name)),
    script: { ...first.script, directives: { ...directives, ...timeouts } },
    statements: repeatables.flatMap(({ statements }) => statements),
  };
}
