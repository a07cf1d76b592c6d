import { type Catalog, type ObjectKey, splitKey } from '../../../src/catalog/catalog.ts';
import { type Impact, isStronger, type LockMode } from '../../../src/impact/impact.ts';
import type { Observation } from './facts.ts';

interface Surroundings {
  catalog: Catalog;
  /** What was there before the transaction: facts tell of nothing else. */
  before: ReadonlySet<ObjectKey>;
  /** Locks that the transaction holds already, of which facts do not tell again. */
  held: ReadonlyMap<ObjectKey, LockMode>;
}

/**
 * Where a static impact says something else than a server did.
 *
 * Locks of indexes count only where the impact tells of them. What it is not certain of may be so or
 * not. The table that a foreign key references is read or looked up by its index, as the planner
 * likes.
 */
export function differencesFrom(
  impact: Impact,
  seen: Observation,
  { catalog, before, held }: Surroundings,
): string[] {
  const kindOf = (key: ObjectKey) => catalog.relations.get(key)?.kind;
  const hasRows = (key: ObjectKey) => /^(table|materialized view)$/.test(kindOf(key) ?? '');
  const certain = <T extends { relation: ObjectKey; isCertain: boolean }>(list: readonly T[]) =>
    list.filter((one) => one.isCertain && before.has(one.relation));
  const keys = (list: readonly { relation: ObjectKey }[]) => list.map(({ relation }) => relation);

  const locks = impact.locks.filter(
    ({ relation, mode }) =>
      mode !== 'AccessShare' && before.has(relation) && isNew(held.get(relation), mode),
  );
  const seenLocks = Object.entries(seen.locks ?? {}).filter(
    ([key]) => before.has(key) && (!catalog.indexes.has(key) || keys(locks).includes(key)),
  );
  const { builds, rewrites, scans } = impact;
  const reads = [...scans, ...builds, ...rewrites.filter(({ reason }) => !EMPTIED.has(reason))];
  const tablesBuiltOn = (seen.builds ?? []).map((one) => one.slice(one.lastIndexOf(' ') + 1));
  return [
    ...compare('lock', {
      said: locks.map(({ relation, mode }) => `${relation} ${mode}`),
      seen: seenLocks.map(([key, mode]) => `${key} ${mode}`),
    }),
    ...compare('rewrite', {
      said: keys(certain(rewrites)),
      seen: (seen.rewrites ?? []).filter(hasRows),
      maybe: keys(rewrites),
    }),
    ...compare('read', {
      said: keys(certain(reads)),
      seen: Object.keys(seen.scans ?? {}).filter((key) => before.has(key)),
      maybe: [
        ...keys(reads),
        // Its indexes are built over nothing.
        ...keys(rewrites.filter(({ reason }) => EMPTIED.has(reason))),
      ],
      optional: referencedIn(scans),
    }),
    ...compare('build', {
      said: keys(certain(builds)).map((key) => splitKey(key).name),
      seen: tablesBuiltOn.filter((name) => [...before].some((key) => splitKey(key).name === name)),
      maybe: keys(builds).map((key) => splitKey(key).name),
    }),
  ];
}

/** These are not read themselves, but indexes are built over what they hold then. */
const EMPTIED = new Set(['truncate', 'refresh']);

function isNew(held: LockMode | undefined, mode: LockMode): boolean {
  return held === undefined || isStronger(mode, held);
}

/** The tables that foreign keys reference, which come after those that have them. */
function referencedIn(scans: Impact['scans']): ObjectKey[] {
  const [first] = scans;
  return scans
    .filter(({ reason, relation }) => KEYS.has(reason) && relation !== first?.relation)
    .map(({ relation }) => relation);
}

const KEYS = new Set(['foreign key', 'validate constraint']);

function compare(
  what: string,
  sets: { said: string[]; seen: string[]; maybe?: string[]; optional?: string[] },
): string[] {
  const { maybe = [], optional = [] } = sets;
  return [
    ...sets.said
      .filter((one) => !sets.seen.includes(one) && !optional.includes(one))
      .map((one) => `${what} is not taken: ${one}`),
    ...sets.seen
      .filter((one) => !sets.said.includes(one) && !maybe.includes(one))
      .map((one) => `${what} is missing: ${one}`),
  ];
}
