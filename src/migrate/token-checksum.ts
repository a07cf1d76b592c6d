import { hash } from 'node:crypto';
import { normaliseTokens } from '../sql/lexical.ts';
import { type Statement, splitStatements } from '../sql/statements.ts';

/**
 * sha-256 over the text without comments and white space, and without `begin` and `commit`: evdb
 * refuses to run these, so they can stand only in what another tool ran, and mending means removing them.
 */
export function tokenChecksum(text: string, statements = splitStatements(text)): string {
  return hash('sha256', normaliseTokens(text, statements.filter(countsForTokens)), 'hex');
}

/** Whether a statement is part of the sum: all but a `begin` or `commit` that says no more. */
export function countsForTokens({ command, text }: Pick<Statement, 'command' | 'text'>): boolean {
  return !(CONTROLS.has(command) && PLAIN.test(text));
}

const CONTROLS = new Set(['begin', 'start transaction', 'commit', 'end']);
const PLAIN = /^(?:(?:begin|commit|end)(?:\s+(?:work|transaction))?|start\s+transaction)$/i;
