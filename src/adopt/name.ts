import { MAX_VERSION_DIGITS, parseVersion } from '../migrate/version.ts';
import type { ForeignMigration } from './foreign.ts';

const LONGEST_NAME = 100;

/** Words of another tool's file name as evdb's file names can hold them. */
export function fileNameOf(words: string, fallback: string): string {
  const name = words
    .replaceAll(/[^A-Za-z0-9_.-]+/g, '_')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, LONGEST_NAME)
    .replace(/[_.-]+$/, '')
    // evdb would take it for a down script
    .replace(/\.down$/, '_down');
  return name === '' ? fallback : name;
}

/** evdb's versions begin at 1, so a 0 becomes 1 where that is free; null where it is not. */
export function labelOf(migration: ForeignMigration, taken: Set<string>): string | null {
  const { label } = migration;
  const version = parseVersion(label);
  if (version === '' || version.length > MAX_VERSION_DIGITS) return null;
  if (version !== '0') return label;
  return taken.has('1') ? null : `${label.slice(0, -1)}1`;
}
