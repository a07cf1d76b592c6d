import { hash } from 'node:crypto';
import { normaliseTokens } from '../sql/lexical.ts';
import type { Statement } from '../sql/statements.ts';

/** sha-256 over the text without comments and white space. */
export function tokenChecksum(text: string, statements?: Statement[]): string {
  return hash('sha256', normaliseTokens(text, statements), 'hex');
}
