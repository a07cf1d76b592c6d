import { hash } from 'node:crypto';
import { normaliseTokens } from '../sql/lexical.ts';

/** sha-256 over the text without comments and white space. */
export function tokenChecksum(text: string): string {
  return hash('sha256', normaliseTokens(text), 'hex');
}
