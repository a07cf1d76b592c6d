import { advance, isPunctuation, openCursor } from '../sql/lexer.ts';

const MAX_SHOWN = 60;

/**
 * The expression behind `default`, as it is written, on one line and not too long.
 *
 * @param at where the word `default` starts, in UTF-16 units
 */
export function sourceOfDefault(text: string, at: number): string {
  const cursor = openCursor(text);
  cursor.end = at;
  advance(cursor);
  const start = cursor.end;
  let end = start;
  let depth = 0;
  while (advance(cursor)) {
    if (isPunctuation(cursor, '(') || isPunctuation(cursor, '[')) depth++;
    else if (isPunctuation(cursor, ')') || isPunctuation(cursor, ']')) depth--;
    const word = text.slice(cursor.start, cursor.end).toLowerCase();
    const isEnd = cursor.kind === 'word' ? ENDS.has(word) : word === ',' || word === ';';
    if (depth < 0 || (depth === 0 && isEnd && end > start)) break;
    end = cursor.end;
  }
  const source = text.slice(start, end).replace(/\s+/g, ' ').trim();
  return source.length > MAX_SHOWN ? `${source.slice(0, MAX_SHOWN)}…` : source;
}

/** What can follow a default beside a column. */
const ENDS = new Set([
  'not',
  'null',
  'check',
  'references',
  'unique',
  'primary',
  'constraint',
  'generated',
  'collate',
  'deferrable',
  'initially',
]);
