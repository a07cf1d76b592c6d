import type { FailedStatement } from '../../connection/driver-query.ts';
import type { Row, Session } from '../../connection/session.ts';
import type { Statement } from '../../sql/statements.ts';
import { lackingCharacter } from '../files/file-errors.ts';

/*
 * What a transaction sends, in as few messages as can be: each costs the server as much as a small
 * statement. A message is read whole before it runs, and told of when it has run, so only statements
 * share one that are quick and change nothing of the session.
 */

/** A statement on its way: one of the script, or of evdb itself. */
export interface Part {
  text: string;
  statement?: Statement | undefined;
}

/** How the parts of a message are told of. */
interface Outcome {
  onDone(statement: Statement): void;
  /** Gives what to throw. */
  onError(error: Error, part: Part | undefined): unknown;
}

/** Gathers the parts of the next message. */
export interface Outbox {
  add(...parts: Part[]): void;
  /** Sends what was gathered; the rows are those of the last statement that gave any. */
  send(): Promise<Row[]>[];
}

export function createOutbox(worker: Session, { onDone, onError }: Outcome): Outbox {
  let parts: Part[] = [];
  const deliver = async (message: Part[]) => {
    try {
      return await worker.runEach(
        message.map(({ text }) => text),
        (index) => {
          const { statement } = message[index] ?? {};
          if (statement) onDone(statement);
        },
      );
    } catch (error) {
      throw onError(error as Error, message[failedPart(error, message)]);
    }
  };
  return {
    add: (...more) => void parts.push(...more),
    send: () => {
      if (parts.length === 0) return [];
      const message = parts;
      parts = [];
      return [deliver(message)];
    },
  };
}

/** A message whose text cannot be converted fails as a whole, so the server names no statement of it. */
function failedPart(error: unknown, message: readonly Part[]): number {
  const { failedAt } = error as FailedStatement;
  const character = failedAt === 0 ? lackingCharacter(error) : undefined;
  const at = character ? message.findIndex(({ text }) => text.includes(character)) : -1;
  return at < 0 ? failedAt : at;
}

/**
 * Tells the statements of one script that may share a message: they run no code of anybody, look at no
 * rows, and leave nothing in the session. What is not surely so is not.
 */
export function createQuickCheck(): (statement: Statement) => boolean {
  const made = new Set<string>();
  return ({ command, text }) => {
    if (text.length > MAX_QUICK_LENGTH) return false;
    if (command === 'create table') {
      const [, ifNotExists, name] = TABLE.exec(text) ?? [];
      if (name === undefined || SLOW.test(text.replaceAll(IDENTITY, ''))) return false;
      if (ifNotExists === undefined) made.add(name.toLowerCase());
      return true;
    }
    if (command === 'create index') return made.has(INDEX.exec(text)?.[1]?.toLowerCase() ?? '');
    return ALWAYS_QUICK.has(command);
  };
}

const MAX_QUICK_LENGTH = 10_000;
const ALWAYS_QUICK = new Set(['comment', 'grant', 'revoke']);

const TABLE = /^create\s+(?:unlogged\s+)?table\s+(if\s+not\s+exists\s+)?([a-z_][\w.]*)\s*\(/i;
// Plain columns alone: the planner may call functions of an expression.
const INDEX =
  /^create\s+(?:unique\s+)?index\s+(?:if\s+not\s+exists\s+)?\w*\s*\bon\s+([a-z_][\w.]*)\s*(?:using\s+\w+\s*)?\([\w\s,]+\)$/i;
const IDENTITY = /\bas\s+identity\b/gi;
// A table of the session, one that is filled, one whose parent's rows are looked at, and expressions.
const SLOW = /\btemp|pg_temp|\bas\b|\bpartition\b|\bexclude\b/i;
