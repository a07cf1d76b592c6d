import { relative, sep } from 'node:path';

/** A version compares as a number and may be longer than one holds exactly, so it stays text. */
export type Version = string;

/** The longest that fits the ledger's bigint. */
export const MAX_VERSION_DIGITS = 18;

/** The canonical form: `001` and `1` are the same version. */
export function parseVersion(digits: string): Version {
  return digits.replace(/^0+(?=\d)/, '');
}

/** Sorts as numbers do; takes canonical versions. */
export function compareVersions(a: Version, b: Version): number {
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}

export function isVersion(text: string): boolean {
  return /^\d+$/.test(text) && parseVersion(text).length <= MAX_VERSION_DIGITS;
}

/**
 * A path as people want to see it. `path.relative` for each of a thousand files would take longer
 * than reading them.
 */
export function displayPath(path: string): string {
  const here = process.cwd() + sep;
  if (path.startsWith(here)) return path.slice(here.length);
  const fromHere = relative(here, path);
  return fromHere !== '' && fromHere.length < path.length ? fromHere : path;
}

/** What a seed has in place of the digits of a version. */
export const SEED_LABEL = 'seed';

/** The same for repeatables. */
export const REPEATABLE_LABEL = 'repeatable';
