import { MAX_VERSION_DIGITS, parseVersion } from '../migrate/files/version.ts';

/** `1_2`, `1.2` and `01.2.0` are the same version. */
export function normaliseDotted(version: string): string {
  const parts = version.replaceAll('_', '.').split('.').map(parseVersion);
  while (parts.length > 1 && parts.at(-1) === '0') parts.pop();
  return parts.join('.');
}

/** Sorts part by part, as numbers. */
export function compareDotted(a: string, b: string): number {
  const [left, right] = [a.split('.'), b.split('.')];
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    const difference = BigInt(left[index] ?? '0') - BigInt(right[index] ?? '0');
    if (difference !== 0n) return difference < 0n ? -1 : 1;
  }
  return 0;
}

const NARROWEST_PART = 3;

/**
 * Makes whole numbers of dotted versions, in the same order. Where none has a dot they stay as
 * they are written; else every part behind the first takes the same number of digits, three at
 * least, and all have as many parts as the longest.
 *
 * @param versions as the files write them, with `.` or `_`
 * @returns digits by normalised version; null where they would be too many
 * @example
 * numberDotted(['1', '1.2']) // Map { '1' => '1000', '1.2' => '1002' }
 */
export function numberDotted(versions: string[]): Map<string, string | null> {
  const split = versions.map((version) => ({
    written: version,
    key: normaliseDotted(version),
    parts: normaliseDotted(version).split('.'),
  }));
  const count = Math.max(1, ...split.map(({ parts }) => parts.length));
  const behind = split.flatMap(({ parts }) => parts.slice(1));
  const width = Math.max(NARROWEST_PART, ...behind.map((part) => part.length));
  return new Map(
    split.map(({ written, key, parts }) => {
      if (count === 1) return [key, written.replace(/[._].*$/, '')];
      const padded = Array.from({ length: count - 1 }, (_, index) =>
        (parts[index + 1] ?? '0').padStart(width, '0'),
      );
      const digits = (parts[0] ?? '') + padded.join('');
      return [key, parseVersion(digits).length <= MAX_VERSION_DIGITS ? digits : null];
    }),
  );
}
