import type { TextMemory } from '../connection/statement-session.ts';

/** What the pool knows of a statement's text. */
export interface StatementFacts extends TextMemory {
  /** How often it was asked for. */
  uses: number;
  /** Whether it begins or ends a transaction. */
  isTransactionControl: boolean;
  /** Whether it would turn the connection over to a stream of rows. */
  isCopy: boolean;
  /** Whether it can change its session although it only reads: a setting, a lock, a temporary table. */
  leavesTraces: boolean;
  /** Whether it may stay prepared, see `isKeepable`; found out at its second use. */
  isKeepable: boolean | undefined;
}

/** Longer texts are rarely the same twice, and are looked at each time. */
const MAX_TEXT_LENGTH = 20_000;

// What was prepared before, for two phases, is committed outside of any transaction.
const TRANSACTION_CONTROL =
  /^(?:begin|start\s+transaction|(?:commit|rollback)(?!\s+prepared\b)|end|abort|savepoint|release|prepare\s+transaction)\b/i;
const COPY = /^copy\b[\s\S]*\b(?:stdin|stdout)\b/i;
// What `set_config` sets for its transaction alone is gone with it.
const TRACES =
  /set_config(?!\s*\([^()]*,\s*true\s*\))|advisory|(?<!\w)(?:pg_temp(?:_\d+)?|temp(?:orary)?)(?!\w)/i;

/**
 * Remembers texts, so that each is looked at once, and so that only what comes again is prepared:
 * a text that is made anew for each call would fill the server's memory. Bounded: the oldest goes.
 */
export function createStatementCache(limit = 2_000): (text: string) => StatementFacts {
  const known = new Map<string, StatementFacts>();
  return (text) => {
    const found = known.get(text);
    if (found) {
      found.uses += 1;
      return found;
    }
    const facts = examine(text);
    if (text.length > MAX_TEXT_LENGTH) return facts;
    if (known.size >= limit) {
      for (const oldest of known.keys()) {
        known.delete(oldest);
        break;
      }
    }
    known.set(text, facts);
    return facts;
  };
}

function examine(text: string): StatementFacts {
  const statement = text.slice(findStart(text));
  return {
    uses: 1,
    isTransactionControl: TRANSACTION_CONTROL.test(statement),
    isCopy: COPY.test(statement),
    leavesTraces: TRACES.test(text),
    isKeepable: undefined,
    shape: undefined,
  };
}

/** Statements that are one piece of work: run again after an error, they were not begun before. */
const IS_ONE_PIECE = /^(?:select|insert|update|delete|merge|with|values|table)\b/i;

/** PostgreSQL's own types as a cast names them, and where the name ends. */
const CAST =
  /^\s*::\s*(?:pg_catalog\.)?(?:smallint|integer|bigint|int|int2|int4|int8|numeric|decimal|real|double\s+precision|float4|float8|boolean|bool|text|varchar|uuid|json|jsonb|bytea|date|time|timetz|timestamp|timestamptz|(?:time|timestamp)\s+with(?:out)?\s+time\s+zone|interval|inet|cidr)(?![\w$."\u0080-\uffff])(?!\s*\.)/i;

/**
 * Whether a statement may stay prepared on a connection. The server finds out the types of parameters
 * when it prepares, and holds on to them whatever becomes of the schema: text for a column that was a
 * `timestamp` and is a `timestamptz` now would be read as the old type, and lose its offset without a
 * word. So only those are kept whose text alone says each type, `$1::int`, or that have no parameters.
 * A `$1` inside a text or a comment may count as well: that costs speed and nothing else.
 */
export function isKeepable(text: string): boolean {
  if (!IS_ONE_PIECE.test(text.slice(findStart(text)))) return false;
  for (const { index, 0: name } of text.matchAll(/\$\d+/g)) {
    if (!CAST.test(text.slice(index + name.length, index + name.length + 60))) return false;
  }
  return true;
}

/** Where the first statement begins: behind white space, empty statements and comments, which nest. */
function findStart(text: string): number {
  let at = 0;
  let depth = 0;
  while (at < text.length) {
    if (text.startsWith('/*', at)) {
      depth += 1;
      at += 2;
    } else if (depth > 0) {
      if (text.startsWith('*/', at)) {
        depth -= 1;
        at += 1;
      }
      at += 1;
    } else if (text.startsWith('--', at)) {
      const end = /[\r\n]/.exec(text.slice(at));
      if (!end) return text.length;
      at += end.index;
    } else if (/[\s;]/.test(text.charAt(at))) {
      at += 1;
    } else {
      return at;
    }
  }
  return at;
}

/** Commands that leave nothing in their session; whatever else ran, the session is reset. */
export const TRACELESS = new Set(['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'MERGE', 'SHOW']);

/** Tags of commands that begin or end a transaction. */
export const CONTROL_TAGS = new Set([
  'BEGIN',
  'START TRANSACTION',
  'COMMIT',
  'ROLLBACK',
  'SAVEPOINT',
  'RELEASE',
  'PREPARE TRANSACTION',
]);
