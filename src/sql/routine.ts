import { type Cursor, isPunctuation, isWord } from './lexer.ts';

/** Watches the tokens of one statement for a `begin atomic … end` body. */
export interface RoutineTracker {
  /** Shows it the next token outside parentheses. */
  see(cursor: Cursor): void;
  /** Whether the tokens shown so far end inside a body, where a semicolon ends no statement. */
  isInside(): boolean;
  /** Forgets everything: the next token starts a statement. */
  reset(): void;
}

// How much of `create [or replace] function|procedure` was seen.
type Head = 'nothing' | 'create' | 'or' | 'create or replace' | 'routine' | 'another statement';

/**
 * Makes a tracker at the start of a statement.
 *
 * `end` closes a body only where a statement could start, so neither `case … end` nor a column
 * called `end` is mistaken for it.
 */
export function createRoutineTracker(): RoutineTracker {
  let head: Head = 'nothing';
  let depth = 0;
  let afterBegin = false;
  let atStatementStart = false;
  return {
    see(cursor) {
      if (head === 'another statement') return;
      if (head !== 'routine') {
        head = nextHead(head, cursor);
        return;
      }
      if (afterBegin && isWord(cursor, 'atomic')) {
        depth++;
        atStatementStart = true;
      } else if (depth > 0) {
        if (atStatementStart && isWord(cursor, 'end')) depth--;
        atStatementStart = isPunctuation(cursor, ';');
      }
      afterBegin = isWord(cursor, 'begin');
    },
    isInside: () => depth > 0,
    reset() {
      head = 'nothing';
      depth = 0;
      afterBegin = false;
      atStatementStart = false;
    },
  };
}

function nextHead(head: Head, cursor: Cursor): Head {
  if (head === 'nothing' && isWord(cursor, 'create')) return 'create';
  if (head === 'create' && isWord(cursor, 'or')) return 'or';
  if (head === 'or' && isWord(cursor, 'replace')) return 'create or replace';
  if (head === 'create' || head === 'create or replace') {
    if (isWord(cursor, 'function') || isWord(cursor, 'procedure')) return 'routine';
  }
  return 'another statement';
}
