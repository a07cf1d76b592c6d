import { advance, isPunctuation, openCursor } from './lexer.ts';
import type { Statement } from './statements.ts';

/** What the runner has to know about a statement before it runs it. */
interface StatementKind {
  /** Whether it begins, ends or prepares a transaction. Savepoints do not count. */
  isTransactionControl: boolean;
  /** Whether PostgreSQL certainly refuses it inside a transaction. */
  needsNoTransaction: boolean;
  /** Whether it says `concurrently`, as `refresh materialized view concurrently` does too. */
  isConcurrently: boolean;
  /** `data` reads or writes rows; `ddl` is everything that may take strong locks on tables. */
  lockClass: 'data' | 'ddl';
  /** The statement in a few words for a message, such as `create index concurrently`. */
  label: string;
}

/**
 * What to do about a statement that cannot run inside a transaction. A down script belongs to its
 * migration, so nothing of it can become one of its own.
 */
export function adviseNoTransaction(direction: 'up' | 'down'): string {
  return direction === 'up'
    ? 'Move it into a migration of its own that starts with the line: -- evdb: no-transaction'
    : 'Start this down script with the line: -- evdb: no-transaction. Its statements then run one by one, each in effect at once.';
}

/**
 * Classifies a statement by its keywords, without a parser and without a database.
 *
 * What depends on the database, such as `drop subscription` or `cluster` of a partitioned table,
 * counts as fit for a transaction: the server refuses it where it is not.
 *
 * @example
 * classifyStatement({ command: 'vacuum', text: 'vacuum' }).needsNoTransaction // true
 */
export function classifyStatement(statement: Pick<Statement, 'command' | 'text'>): StatementKind {
  const { command, text } = statement;
  if (ALWAYS_DATA.has(command)) {
    return {
      isTransactionControl: false,
      needsNoTransaction: false,
      isConcurrently: false,
      lockClass: 'data',
      label: command,
    };
  }
  const words = readDecidingWords(command, text);
  const isConcurrently = saysConcurrently(command, words, text);
  return {
    isTransactionControl: controlsTransaction(command, words),
    needsNoTransaction: needsNoTransaction(command, words, text, isConcurrently),
    isConcurrently,
    lockClass: command === 'do' && !mentionsDdl(text) ? 'data' : 'ddl',
    label: isConcurrently ? `${labelOf(command, words)} concurrently` : labelOf(command, words),
  };
}

const ALWAYS_DATA = new Set([
  'select',
  'insert',
  'update',
  'delete',
  'merge',
  'with',
  'values',
  'table',
  'copy',
  'call',
  'explain',
  'execute',
]);

/** `isTransactionControl` alone, which most commands decide without a look at the text. */
export function isTransactionControl({ command, text }: Pick<Statement, 'command' | 'text'>) {
  return controlsTransaction(command, command === 'rollback' ? readOuterWords(text) : []);
}

// The commands for which the words after the command decide.
const MAY_MATTER =
  /^(?:rollback|cluster|reindex|(?:create|drop) index|refresh|alter (?:table|database|subscription)|create subscription)/;

function readDecidingWords(command: string, text: string): string[] {
  if (!MAY_MATTER.test(command)) return [];
  // `create unique index concurrently` stands at the front, and only `detach` at either end.
  if (command === 'create index' || command === 'drop index') return readOuterWords(text, 4);
  if (command === 'alter table' && !/detach/i.test(text)) return [];
  return readOuterWords(text);
}

// The words outside parentheses, in lower case, up to a bound: options stand near either end.
function readOuterWords(text: string, most = MAX_WORDS): string[] {
  const cursor = openCursor(text);
  const words: string[] = [];
  let depth = 0;
  while (words.length < most && advance(cursor)) {
    if (isPunctuation(cursor, '(')) depth++;
    else if (isPunctuation(cursor, ')')) depth--;
    else if (depth === 0 && cursor.kind === 'word') {
      words.push(text.slice(cursor.start, cursor.end).toLowerCase());
    }
  }
  return words;
}

const MAX_WORDS = 200;

function controlsTransaction(command: string, words: string[]): boolean {
  switch (command) {
    case 'begin':
    case 'start transaction':
    case 'commit':
    case 'commit prepared':
    case 'end':
    case 'abort':
    case 'prepare transaction':
    case 'rollback prepared':
      return true;
    case 'rollback':
      return !words.includes('to');
    default:
      return false;
  }
}

function saysConcurrently(command: string, words: string[], text: string): boolean {
  switch (command) {
    case 'create index': {
      const index = words.indexOf('index');
      return words[index + 1] === 'concurrently';
    }
    case 'drop index':
      return words[2] === 'concurrently';
    case 'refresh materialized view':
      return words[3] === 'concurrently';
    case 'reindex':
      return words[2] === 'concurrently' || REINDEX_OPTION.test(text);
    case 'alter table': {
      const detach = words.lastIndexOf('detach');
      return detach > 0 && words[detach + 1] === 'partition' && words.at(-1) === 'concurrently';
    }
    default:
      return false;
  }
}

const OFF = String.raw`\s*=?\s*'?(?:false|off|0)\b`;
const REINDEX_OPTION = new RegExp(String.raw`^reindex\s*\([^)]*\bconcurrently\b(?!${OFF})`, 'i');

function needsNoTransaction(
  command: string,
  words: string[],
  text: string,
  isConcurrently: boolean,
): boolean {
  switch (command) {
    case 'vacuum':
    case 'alter system':
    case 'create database':
    case 'drop database':
    case 'create tablespace':
    case 'drop tablespace':
      return true;
    case 'create index':
    case 'drop index':
    case 'alter table':
      return isConcurrently;
    case 'reindex':
      return isConcurrently || REINDEX_WHOLE.has(words[1] ?? '');
    case 'cluster':
      return words.every((word) => word === 'cluster' || word === 'verbose') && !QUOTED.test(text);
    case 'discard all':
      return true;
    case 'alter database':
      return words.includes('tablespace') && words[words.indexOf('tablespace') - 1] === 'set';
    case 'create subscription':
      return !WITHOUT_SLOT.test(text);
    case 'alter subscription':
      return refreshesSubscription(words, text);
    default:
      return false;
  }
}

const REINDEX_WHOLE = new Set(['database', 'system', 'schema']);
const QUOTED = /"/;
const WITHOUT_SLOT = new RegExp(String.raw`\b(?:create_slot|connect)${OFF}`, 'i');
const WITHOUT_REFRESH = new RegExp(String.raw`\brefresh${OFF}`, 'i');

function refreshesSubscription(words: string[], text: string): boolean {
  const publication = words.indexOf('publication');
  const verb = words[publication - 1] ?? '';
  if (verb === 'refresh') return true;
  return ['set', 'add', 'drop'].includes(verb) && !WITHOUT_REFRESH.test(text);
}

function labelOf(command: string, words: string[]): string {
  switch (command) {
    case 'reindex':
      return REINDEX_WHOLE.has(words[1] ?? '') ? `reindex ${words[1]}` : 'reindex';
    case 'alter table':
      return words.includes('detach') ? 'alter table … detach partition' : command;
    case 'alter database':
      return words.includes('tablespace') ? 'alter database … set tablespace' : command;
    default:
      return command;
  }
}

const DDL_WORD =
  /\b(?:alter|create|drop|truncate|lock|execute|reindex|refresh|cluster|vacuum|comment|grant|revoke)\b/i;

// A block in another language keeps its SQL in strings of that language.
const OTHER_LANGUAGE = /\blanguage\s+(?!plpgsql\b|'plpgsql'|"plpgsql")/i;

function mentionsDdl(text: string): boolean {
  if (OTHER_LANGUAGE.test(text)) return true;
  const cursor = openCursor(text);
  while (advance(cursor)) {
    if (cursor.kind !== 'dollar' && cursor.kind !== 'string') continue;
    if (DDL_WORD.test(text.slice(cursor.start, cursor.end))) return true;
  }
  return false;
}

/**
 * The leading keywords that say what a statement does, in lower case and without the words that
 * only modify it: `create or replace function` and `create function` are the same command.
 *
 * @returns '' for a statement that starts with no keyword
 * @example readCommand('CREATE UNIQUE INDEX i ON t (a)') // 'create index'
 */
export function readCommand(statementText: string): string {
  const cursor = openCursor(statementText);
  const next = (): string => {
    if (!advance(cursor) || cursor.kind !== 'word') return '';
    return statementText.slice(cursor.start, cursor.end).toLowerCase();
  };
  let first = next();
  // `(select 1) union …`
  while (first === '' && isPunctuation(cursor, '(') && cursor.end < statementText.length) {
    first = next();
  }
  const seconds = SECOND_WORDS.get(first);
  if (seconds === undefined) return intern(first);
  let second = next();
  if (MODIFIED.has(first)) while (MODIFIERS.has(second)) second = next();
  if (second === '' || (seconds !== 'any' && !seconds.includes(second))) return first;
  const rests = REST.get(second);
  if (rests === undefined) return `${first} ${second}`;
  const third = next();
  const rest = rests.find((words) => words === third) ?? `${third} ${next()}`;
  return rests.includes(rest) ? `${first} ${second} ${rest}` : `${first} ${second}`;
}

// Without it every `insert` of a large script would keep a string of its own.
function intern(word: string): string {
  return COMMON.get(word) ?? word;
}

const COMMON = new Map(
  ['insert', 'update', 'delete', 'select', 'with', 'copy', 'do', 'comment', 'grant'].map((word) => [
    word,
    word,
  ]),
);

// The first words that a second one completes.
const SECOND_WORDS = new Map<string, 'any' | string[]>([
  ['create', 'any'],
  ['alter', 'any'],
  ['drop', 'any'],
  ['start', ['transaction']],
  ['prepare', ['transaction']],
  ['commit', ['prepared']],
  ['rollback', ['prepared']],
  ['refresh', 'any'],
  ['import', 'any'],
  ['security', 'any'],
  ['reassign', 'any'],
  ['discard', 'any'],
]);

const MODIFIED = new Set(['create', 'alter', 'drop']);

const MODIFIERS = new Set([
  'or',
  'replace',
  'unique',
  'global',
  'local',
  'temp',
  'temporary',
  'unlogged',
  'recursive',
  'constraint',
  'trusted',
  'procedural',
]);

// What may follow the second word and belongs to the name of the kind of object.
const REST = new Map<string, string[]>([
  ['access', ['method']],
  ['default', ['privileges']],
  ['event', ['trigger']],
  ['foreign', ['table', 'data wrapper']],
  ['large', ['object']],
  ['materialized', ['view']],
  ['operator', ['class', 'family']],
  ['text', ['search configuration', 'search dictionary', 'search parser', 'search template']],
  ['user', ['mapping']],
]);

/** Whether a statement says that it is about roles, or something else that all databases share. */
export function changesServer({ command, text }: Pick<Statement, 'command' | 'text'>): boolean {
  if (command === 'grant' || command === 'revoke') return !/\bon\b/i.test(text);
  return SHARED.test(command);
}

const SHARED =
  /^(?:(?:create|alter|drop) (?:role|user|group|database|tablespace|system|subscription)|(?:drop|reassign) owned)$/;
