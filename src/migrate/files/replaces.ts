import { compareVersions, isVersion, parseVersion, type Version } from './version.ts';

/** What a line `-- evdb: replaces 001-016` says. */
export interface Replaces {
  /** As the header writes it, such as `001-016`. */
  text: string;
  /** From 1. */
  line: number;
  /** In version order; the last one is the highest. */
  versions: Version[];
}

/** A range is of numbers without a gap, so a long one is a mistake. */
const MOST_VERSIONS = 10_000;

/** Reads versions and ranges of them; undefined where it is neither. */
export function parseReplaces(value: string, line: number): Replaces | undefined {
  const versions = new Set<Version>();
  for (const part of value.split(',')) {
    const [, from = '', to = from] = /^\s*(\d+)(?:\s*-\s*(\d+))?\s*$/.exec(part) ?? [];
    if (!isVersion(from) || !isVersion(to)) return undefined;
    const [first, last] = [BigInt(from), BigInt(to)];
    if (last < first || last - first >= MOST_VERSIONS) return undefined;
    for (let at = first; at <= last; at++) versions.add(parseVersion(String(at)));
  }
  return { text: value, line, versions: [...versions].sort(compareVersions) };
}

/** Versions as a header writes them: numbers without a gap as a range. */
export function renderReplaces(migrations: readonly { version: Version; label: string }[]): string {
  const runs: { first: string; last: string; end: bigint }[] = [];
  for (const { version, label } of migrations) {
    const run = runs.at(-1);
    if (run && BigInt(version) === run.end + 1n) {
      run.last = label;
      run.end += 1n;
    } else runs.push({ first: label, last: label, end: BigInt(version) });
  }
  return runs.map(({ first, last }) => (first === last ? first : `${first}-${last}`)).join(', ');
}
