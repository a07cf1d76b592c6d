/** What the pool knows of a statement's text. */
export interface StatementFacts {
  /** How often it was asked for. */
  uses: number;
  /** Whether it begins or ends a transaction. */
  isTransactionControl: boolean;
  /** Whether it would turn the connection over to a stream of rows. */
  isCopy: boolean;
  /** Whether it can change its session although it only reads: a setting, a lock, a temporary table. */
  leavesTraces: boolean;
}

/** Longer texts are rarely the same twice, and are looked at each time. */
const MAX_TEXT_LENGTH = 20_000;

const TRANSACTION_CONTROL =
  /^(?:begin|start\s+transaction|commit|end|rollback|abort|savepoint|release|prepare\s+transaction)\b/i;
const COPY = /^copy\b[\s\S]*\b(?:stdin|stdout)\b/i;
// What `set_config` sets for its transaction alone is gone with it.
const TRACES = /set_config(?!\s*\([^()]*,\s*true\s*\))|advisory|temp/i;

/**
 * Remembers texts, so that each is looked at once, and so that only what comes again is prepared:
 * a text that is made anew for each call would fill the server's memory. Bounded: the oldest goes.
 */
export function createStatementBook(limit = 2_000): (text: string) => StatementFacts {
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
  };
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
