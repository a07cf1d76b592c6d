import { EvdbError } from '../../errors.ts';
import { type DirectiveLine, listDirectiveLines } from '../../sql/comments.ts';
import { locate } from '../../sql/position.ts';
import { VARIABLE_NAME } from '../../text/variable-name.ts';
import {
  type Ensured,
  GATE_DIRECTIVES,
  type Gate,
  type GateProblem,
  parseGate,
  parseQuery,
} from './gates.ts';
import { parseReplaces, type Replaces } from './replaces.ts';

/** What the header comment of a script asks the runner for. */
export interface Directives {
  noTransaction: boolean;
  /** The reason why there is no way back. */
  irreversible?: string;
  lockTimeoutMs?: number;
  statementTimeoutMs?: number;
  /** The one statement of the script runs in batches. */
  backfill?: BackfillDirective;
  /** It takes something away that running builds of the application may still use. */
  isContract?: boolean;
  /** What has to hold before it runs. */
  gates?: Gate[];
  /** What has to hold after its statements. */
  ensures?: Ensured[];
  /** What differs between environments, and gets its value from outside. */
  variables?: VariableDeclaration[];
  /** Migrations that it stands in for; a line more for each baseline among them. */
  replaces?: Replaces[];
  /** It is a seed that is applied one time only. */
  isOnce?: boolean;
  ignoredRules: { rule: string; reason: string; line: number }[];
}

/** A variable, and the line that declares it. */
export interface VariableDeclaration {
  name: string;
  /** From 1. */
  line: number;
}

/** How a script wants its statement to run in batches. */
export interface BackfillDirective {
  /** Whose key is walked, as the line writes it; the schema only where it says one. */
  table: { schema: string | undefined; name: string };
  /** The columns of the key; empty for the primary key. */
  by: string[];
  /** How long a batch is to take, in ms; default 200. */
  batchTimeMs?: number;
  /** How many rows of the table a batch passes at most; default 50000. */
  batchRows?: number;
}

const UNITS: Record<string, number> = { ms: 1, s: 1000, min: 60_000, h: 3_600_000 };
const KNOWN = [
  ...['no-transaction', 'irreversible', 'lock-timeout', 'statement-timeout', 'ignore'],
  ...['backfill', 'batch-time', 'batch-rows'],
  ...['contract', ...GATE_DIRECTIVES, 'ensure', 'variables', 'once'],
  'replaces',
];

/**
 * Reads the `-- evdb:` lines among the comments before the first statement.
 *
 * @throws {EvdbError} DIRECTIVE_INVALID for an unknown directive or a value that does not fit
 */
export function parseDirectives(text: string, path: string): Directives {
  const directives: Directives = { noTransaction: false, ignoredRules: [] };
  const batches: BatchLimits = {};
  let last: Place | undefined;
  for (const found of listDirectiveLines(text)) {
    if (!found.isHeader) break;
    const at = { path, line: locate(text, found.start).line };
    if (!found.isWellFormed) throw malformed(text, found, at);
    if (found.name.startsWith('batch-') || found.name === 'backfill') last = at;
    if (!readBatchLimit(batches, found.name, found.value, at))
      applyDirective(directives, found.name, found.value, at);
  }
  refuseEnsureOutside(directives, path);
  return last === undefined ? directives : withBatches(directives, batches, last);
}

/** What is asked after the statements is asked in their transaction, so that a no rolls them back. */
function refuseEnsureOutside({ ensures, noTransaction, backfill }: Directives, path: string): void {
  const [first] = ensures ?? [];
  if (!first || !(noTransaction || backfill)) return;
  throw invalid(
    { path, line: first.line },
    '"ensure" needs the one transaction of the migration, and this one has none',
    'Move it into a migration after this one, as: -- evdb: require <query>',
  );
}

type BatchLimits = Pick<BackfillDirective, 'batchTimeMs' | 'batchRows'>;

/** @returns false where it is another directive */
function readBatchLimit(into: BatchLimits, name: string, value: string, at: Place): boolean {
  if (name === 'batch-time') {
    into.batchTimeMs = once(into.batchTimeMs, parseTimeout(name, value, at), { name, at });
    return true;
  }
  if (name !== 'batch-rows') return false;
  const rows = /^[\d_]+$/.test(value) ? Number(value.replaceAll('_', '')) : 0;
  if (rows < 1 || rows > MOST_BATCH_ROWS) {
    throw invalid(
      at,
      `"${name}" needs a number of rows from 1 to ${MOST_BATCH_ROWS}, not "${value}"`,
      'Write for example: -- evdb: batch-rows 5000',
    );
  }
  into.batchRows = once(into.batchRows, rows, { name, at });
  return true;
}

const MOST_BATCH_ROWS = 10_000_000;

function withBatches(directives: Directives, batches: BatchLimits, at: Place): Directives {
  const { backfill, noTransaction } = directives;
  if (!backfill) {
    throw invalid(
      at,
      '"batch-time" and "batch-rows" have no effect without "backfill"',
      `Add the line: ${BACKFILL_EXAMPLE}, or remove this one.`,
    );
  }
  if (noTransaction) {
    throw invalid(
      at,
      '"backfill" and "no-transaction" cannot be used together',
      'Remove "no-transaction": each batch of a backfill is a transaction of its own.',
    );
  }
  return { ...directives, backfill: { ...backfill, ...batches } };
}

const BACKFILL_EXAMPLE = '-- evdb: backfill events by id';

const NAME = '(?:"(?:[^"]|"")+"|[\\p{L}_][\\p{L}\\p{N}_$]*)';
const BACKFILL = new RegExp(
  `^(?:(${NAME})\\s*\\.\\s*)?(${NAME})(?:\\s+by\\s+(${NAME}(?:\\s*,\\s*${NAME})*))?$`,
  'iu',
);

function parseBackfill(value: string, at: Place): BackfillDirective {
  const [, schema, name, by] = BACKFILL.exec(value) ?? [];
  if (name === undefined) {
    throw invalid(
      at,
      '"backfill" needs a table, and may name the columns of its key',
      `Write for example: ${BACKFILL_EXAMPLE}`,
    );
  }
  const columns = by?.match(new RegExp(NAME, 'gu')) ?? [];
  return {
    table: { schema: schema && unquoted(schema), name: unquoted(name) },
    by: columns.map(unquoted),
  };
}

/** As PostgreSQL reads a name. */
function unquoted(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name.toLowerCase();
}

/**
 * Refuses what looks like a directive where none is read: without a word, it would be a script that
 * runs otherwise than its author asked for. `ignore` may stand anywhere: lint reads it.
 *
 * @param part of a script that is read piece by piece: the line that `text` begins in, and whether
 *   there is a statement before it
 * @throws {EvdbError} DIRECTIVE_INVALID
 */
export function refuseMisplacedDirectives(
  text: string,
  path: string,
  part: { firstLine: number; isBehind: boolean } = { firstLine: 1, isBehind: false },
): void {
  for (const found of listDirectiveLines(text)) {
    if (found.isHeader && !part.isBehind) continue;
    const at = { path, line: locate(text, found.start).line + part.firstLine - 1 };
    if (!found.isWellFormed) throw malformed(text, found, at);
    if (found.name === 'ignore') parseIgnore(found.value, at);
    else if (KNOWN.includes(found.name)) throw misplaced(found.name, at);
    else throw unknown(found.name, at);
  }
}

function misplaced(name: string, at: Place): EvdbError {
  return invalid(
    at,
    `"${name}" has no effect here: evdb reads it before the first statement`,
    'Move the line to the top of the file, or remove it.',
  );
}

function unknown(name: string, at: Place): EvdbError {
  return invalid(at, `"${name}" is not a directive`, `Known are: ${KNOWN.join(', ')}.`);
}

function malformed(text: string, { start, end }: DirectiveLine, at: Place): EvdbError {
  return invalid(
    at,
    `${JSON.stringify(text.slice(start, Math.min(end, start + 80)))} looks like a directive, but is not written as one`,
    'Write it as a line of its own, such as: -- evdb: no-transaction. Remove the line if it is not meant.',
  );
}

interface Place {
  path: string;
  line: number;
}

/** Those that stand alone. */
const SWITCHES = new Map<string, 'noTransaction' | 'isContract' | 'isOnce'>([
  ['no-transaction', 'noTransaction'],
  ['contract', 'isContract'],
  ['once', 'isOnce'],
]);

function applyDirective(into: Directives, name: string, value: string, at: Place): void {
  const flag = SWITCHES.get(name);
  if (flag !== undefined) {
    if (value) throw invalid(at, `"${name}" takes no value`, `Write: -- evdb: ${name}`);
    into[flag] = true;
    return;
  }
  switch (name) {
    case 'irreversible':
      if (!value)
        throw invalid(at, `"${name}" needs a reason`, 'Write: -- evdb: irreversible <why>');
      into.irreversible = value;
      return;
    case 'lock-timeout':
      into.lockTimeoutMs = once(into.lockTimeoutMs, parseTimeout(name, value, at), { name, at });
      return;
    case 'statement-timeout':
      into.statementTimeoutMs = once(into.statementTimeoutMs, parseTimeout(name, value, at), {
        ...{ name, at },
      });
      return;
    case 'backfill': {
      const before = into.backfill;
      const now = parseBackfill(value, at);
      if (before && JSON.stringify(before) !== JSON.stringify(now)) once(1, 2, { name, at });
      into.backfill = now;
      return;
    }
    case 'after':
    case 'require':
    case 'require-build':
      into.gates = [...(into.gates ?? []), wellWritten(parseGate(name, value, at.line), at)];
      return;
    case 'ensure':
      into.ensures = [
        ...(into.ensures ?? []),
        { query: wellWritten(parseQuery(name, value), at), line: at.line },
      ];
      return;
    case 'variables':
      into.variables = [...(into.variables ?? []), ...parseVariables(value, into.variables, at)];
      return;
    case 'replaces':
      into.replaces = [...(into.replaces ?? []), readReplaces(value, at)];
      return;
    case 'ignore':
      into.ignoredRules.push(...parseIgnore(value, at));
      return;
    default:
      throw unknown(name, at);
  }
}

function wellWritten<T extends Gate | string>(read: T | GateProblem, at: Place): T {
  if (typeof read === 'object' && 'hint' in read) throw invalid(at, read.message, read.hint);
  return read;
}

/** Of two that differ one was meant, and nobody knows which. */
function once(before: number | undefined, now: number, { name, at }: { name: string; at: Place }) {
  if (before === undefined || before === now) return now;
  throw invalid(at, `"${name}" is given a second time with another value`, 'Remove one of them.');
}

function parseTimeout(name: string, value: string, at: Place): number {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|min|h)$/i.exec(value);
  const durationMs = match ? Number(match[1]) * (UNITS[match[2]?.toLowerCase() ?? ''] ?? 0) : 0;
  if (durationMs >= 1) return Math.round(durationMs);
  // Zero would switch the guard off, which is the one thing a migration may never do.
  throw invalid(
    at,
    `"${name}" needs a duration above zero, not "${value}"`,
    `Write for example: -- evdb: ${name} 2s (ms, s, min, h).`,
  );
}

function parseVariables(
  value: string,
  before: VariableDeclaration[] = [],
  at: Place,
): VariableDeclaration[] {
  const names = value.split(',').map((name) => name.trim());
  const wrong = names.find((name) => !VARIABLE_NAME.test(name));
  if (wrong !== undefined) {
    throw invalid(
      at,
      wrong === ''
        ? '"variables" needs one or more names, with commas between'
        : `"${wrong}" cannot be the name of a variable`,
      'Write lower case letters, digits and "_", for example: -- evdb: variables app_role, owner_role',
    );
  }
  const known = before.map(({ name }) => name);
  const again = names.find((name, index) => known.includes(name) || names.indexOf(name) < index);
  if (again === undefined) return names.map((name) => ({ name, line: at.line }));
  throw invalid(at, `"${again}" is declared a second time`, 'Remove one of them.');
}

function readReplaces(value: string, at: Place): Replaces {
  const read = parseReplaces(value, at.line);
  if (read) return read;
  throw invalid(
    at,
    `"replaces" needs versions, or ranges of them, not "${value}"`,
    'Write for example: -- evdb: replaces 001-016',
  );
}

/** One or more rules and a reason; lint reads them in the rest of the file as well. */
function parseIgnore(value: string, at: Place): Directives['ignoredRules'] {
  const match = /^([a-z0-9-]+(?:\s*,\s*[a-z0-9-]+)*)\s*:\s*(\S.*)$/i.exec(value);
  const rules = match?.[1]?.toLowerCase().split(',') ?? [];
  if (rules.length > 0) {
    return rules.map((rule) => ({ rule: rule.trim(), reason: match?.[2] ?? '', line: at.line }));
  }
  throw invalid(
    at,
    '"ignore" needs a rule and a reason',
    'Write: -- evdb: ignore <rule>[, <rule>]: <reason>',
  );
}

function invalid(at: Place, message: string, hint: string): EvdbError {
  return new EvdbError('DIRECTIVE_INVALID', `${at.path}:${at.line}: ${message}`, {
    hint,
    details: { file: at.path, line: at.line },
  });
}

/**
 * Refuses in another kind of file what is for migrations alone.
 *
 * @throws {EvdbError} DIRECTIVE_INVALID
 */
export function refuseMigrationDirectives(
  { path, directives }: { path: string; directives: Directives },
  { hint, ensure = false }: { hint: string; ensure?: boolean },
): void {
  const forMigrations = {
    'no-transaction': directives.noTransaction,
    irreversible: directives.irreversible !== undefined,
    backfill: directives.backfill !== undefined,
    contract: directives.isContract === true,
    'require" and "after': directives.gates !== undefined,
    ensure,
  };
  const [refused] = Object.entries(forMigrations).find(([, isGiven]) => isGiven) ?? [];
  if (refused === undefined) return;
  throw new EvdbError('DIRECTIVE_INVALID', `${path}: "${refused}" is for migrations`, {
    hint,
    details: { file: path },
  });
}
