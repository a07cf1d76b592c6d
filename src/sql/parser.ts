import type { Node } from '@pgsql/types';
import { blankComments } from './lexical.ts';
import { offsetOfCodePoint } from './position.ts';

/** Why the grammar refuses a statement. */
export interface SqlParseFailure {
  /**
   * PostgreSQL's words, such as `syntax error at or near "tabel"`, shortened if a token is long.
   */
  message: string;
  /** Its place in the statement, in UTF-16 units from 0. */
  offsetUtf16: number;
}

/** The major version of PostgreSQL whose grammar this is. */
export const GRAMMAR_MAJOR = 18;

/** Whether a server surely has this grammar; what it refuses there, that server may take otherwise. */
export function hasGrammarOf(serverVersion: number): boolean {
  return Math.floor(serverVersion / 10_000) === GRAMMAR_MAJOR;
}

/** What to do where no server was there to decide. */
export const UNKNOWN_TO_GRAMMAR = `It is unknown to PostgreSQL ${GRAMMAR_MAJOR}'s grammar. Correct it; where the server is of another version, check it with a connection to that server.`;

/** The grammar of PostgreSQL 18. */
export interface SqlParser {
  /**
   * Checks the syntax of one statement; knows no tables and no names. The text must not contain a
   * NUL, at which the grammar would stop silently.
   *
   * @returns null for a good statement, and for one the grammar cannot judge: one longer than
   *   MAX_CHECKED_LENGTH, or nested too deep
   */
  check(statementText: string): SqlParseFailure | null;
  /**
   * The syntax tree of one statement. Its locations count UTF-8 bytes from the start of the text.
   *
   * @returns null if `check` refuses or cannot judge it
   */
  parse(statementText: string): Node | null;
  /**
   * The PL/pgSQL in a `do` block or a `create function`, as the tree of PostgreSQL's own compiler.
   *
   * @returns null if it is in another language, or cannot be compiled without a database
   */
  parseRoutine(statementText: string): unknown;
  /**
   * The error of the PL/pgSQL compiler if it finds a syntax error in such a statement.
   *
   * @returns null for a good one, and for one that it cannot judge without a database
   */
  checkRoutine(statementText: string): string | null;
}

/** In UTF-16 units. Longer statements are not checked: the grammar takes half a second and 80 MB for each million. */
export const MAX_CHECKED_LENGTH = 1_000_000;

let loaded: Promise<SqlParser> | undefined;

/**
 * Loads the grammar, once: it costs about 80 ms, so load it only where you need it.
 *
 * @throws {Error} if the WebAssembly of the grammar cannot be loaded
 * @example
 * const parser = await loadSqlParser();
 * console.log(parser.check('create tabel users ()')?.message);
 */
export function loadSqlParser(): Promise<SqlParser> {
  loaded ??= makeParser();
  return loaded;
}

async function makeParser(): Promise<SqlParser> {
  const { loadModule, fingerprintSync, parseSync, parsePlPgSQLSync, hasSqlDetails } = await import(
    'libpg-query'
  );
  await loadModule();

  // The fingerprint parses too but hands over no tree, which halves the time.
  function isKnownGood(text: string): boolean {
    try {
      return FINGERPRINT.test(fingerprintSync(text));
    } catch {
      return false;
    }
  }

  // `parsed` has as many code points as `text`, to which the offset belongs.
  function findFailure(text: string, parsed = text): SqlParseFailure | null {
    try {
      parseSync(parsed);
      return null;
    } catch (error) {
      // Anything else is a limit of the build, such as a stack that is too small: no verdict.
      if (!hasSqlDetails(error) || error.sqlDetails === undefined) return null;
      const { message, cursorPosition } = error.sqlDetails;
      return { message: shorten(message), offsetUtf16: offsetOfCodePoint(text, cursorPosition) };
    }
  }

  function parseTree(text: string): Node | null {
    try {
      return parseSync(text).stmts?.[0]?.stmt ?? null;
    } catch {
      return null;
    }
  }

  const parseRoutine = rememberLast(parsePlPgSQLSync);

  return {
    parse(text) {
      if (text.length > MAX_CHECKED_LENGTH || text === '') return null;
      return parseTree(text) ?? (COMMENT.test(text) ? parseTree(blankComments(text)) : null);
    },
    parseRoutine(text) {
      if (text.length > MAX_CHECKED_LENGTH) return null;
      try {
        return parseRoutine(text);
      } catch {
        return null;
      }
    },
    checkRoutine(text) {
      if (text.length > MAX_CHECKED_LENGTH) return null;
      try {
        parseRoutine(text);
        return null;
      } catch (error) {
        // This build hands over no code: what else it says is about names and types that it lacks.
        const said = error instanceof Error ? error.message : '';
        return said.startsWith('syntax error') ? shorten(said) : null;
      }
    },
    check(text) {
      if (text.length > MAX_CHECKED_LENGTH || text === '' || isKnownGood(text)) return null;
      const failure = findFailure(text);
      if (failure === null || !COMMENT.test(text)) return failure;
      // This build refuses what the server accepts where a comment stands between two words that
      // belong together (`nulls /* … */ first`) or between the parts of a string.
      return findFailure(text, blankComments(text));
    },
  };
}

/** What a function gave for the last text, which is asked for again: a routine is read, and then checked. */
function rememberLast<T>(make: (text: string) => T): (text: string) => T {
  let last: { text: string; made: T } | undefined;
  return (text) => {
    if (last?.text !== text) last = { text, made: make(text) };
    return last.made;
  };
}

const COMMENT = /--|\/\*/;
const FINGERPRINT = /^[0-9a-f]{16}$/;
const MAX_MESSAGE_LENGTH = 160;

// The token in the message can be a string of any length.
function shorten(message: string): string {
  return message.length <= MAX_MESSAGE_LENGTH
    ? message
    : `${message.slice(0, MAX_MESSAGE_LENGTH)}…"`;
}
