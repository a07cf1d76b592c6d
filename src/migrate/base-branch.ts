import { compareVersions, parseVersion, type Version } from './version.ts';

/** The up script of a migration, by its name alone. */
export interface ScriptName {
  version: Version;
  /** The digits as the file name has them. */
  label: string;
  /** What follows the digits, such as `add_venues`. */
  name: string;
  /** `012_add_venues.sql` */
  fileName: string;
}

/** A migration of this branch that does not fit behind those of the base branch. */
export interface Misplaced {
  script: ScriptName;
  /**
   * - `collision`: the base branch uses its version for `other`
   * - `behind`: `other` of the base branch is newer
   * - `overtaken`: `other` of this branch moves behind it, and stood before it
   */
  reason: 'collision' | 'behind' | 'overtaken';
  other: ScriptName;
  /** `014_add_venues.sql` */
  newFileName: string;
}

const TIMESTAMP_DIGITS = 14;

/**
 * Finds the migrations that only this branch has and that would not run behind those of the base
 * branch, and the versions that put them there in the order they have among themselves. Pure.
 *
 * @param now numbers the renamed ones where the base branch uses timestamps
 */
export function planRenames(
  here: readonly ScriptName[],
  base: readonly ScriptName[],
  now: Date,
): Misplaced[] {
  const known = new Set(base.map(({ fileName }) => fileName));
  const byVersion = new Map(base.map((script) => [script.version, script]));
  const own = here
    .filter(({ fileName }) => !known.has(fileName))
    .sort((a, b) => compareVersions(a.version, b.version) || (a.name < b.name ? -1 : 1));
  const newest = base.reduce<ScriptName | undefined>(
    (last, script) => (last && compareVersions(last.version, script.version) > 0 ? last : script),
    undefined,
  );
  const misplaced: Misplaced[] = [];
  let last = newest;
  for (const script of own) {
    if (
      last === undefined ||
      newest === undefined ||
      compareVersions(script.version, last.version) > 0
    ) {
      last = script;
      continue;
    }
    const label = nextLabel(last, now);
    const newFileName = `${label}_${script.name}.sql`;
    const twin = byVersion.get(script.version);
    const isBehind = compareVersions(script.version, newest.version) < 0;
    const reason = twin ? 'collision' : isBehind ? 'behind' : 'overtaken';
    const other = twin ?? (isBehind ? newest : last);
    misplaced.push({ script, reason, other, newFileName });
    last = { ...script, version: parseVersion(label), label, fileName: newFileName };
  }
  return misplaced;
}

function nextLabel({ version, label }: ScriptName, now: Date): string {
  const after = String(BigInt(version) + 1n);
  if (version.length < TIMESTAMP_DIGITS) return after.padStart(label.length, '0');
  const time = now.toISOString().replace(/\D/g, '').slice(0, TIMESTAMP_DIGITS);
  return compareVersions(time, after) < 0 ? after : time;
}
