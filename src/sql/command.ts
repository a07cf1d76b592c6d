import { advance, isPunctuation, openCursor } from './lexer.ts';

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
