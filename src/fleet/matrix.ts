import type { MigrationState } from '../migrate/plan/compare.ts';
import type { MigrationsStatus } from '../migrate/plan/status.ts';
import { describeDifferences, diffStructures } from '../structure/diff.ts';
import { type MemberStructure, OWN_SCHEMA } from './member-structure.ts';
import type { FleetMember } from './members.ts';
import type { MemberOutcome } from './run.ts';

/** Where one member stands. */
export interface MemberStanding {
  member: string;
  /** The newest version that is applied, as its file names it; null if none is. */
  newest: string | null;
  /** Versions that are not plainly applied, by their labels. */
  states: Record<string, MigrationState>;
  /** Over its structure; absent where structures are not compared. */
  fingerprint?: string;
}

/** Members that stand alike. */
export interface FleetGroup extends Omit<MemberStanding, 'member'> {
  members: string[];
  /** Why they could not be asked; absent where they were. */
  error?: MemberOutcome['error'];
  /** How their structure differs from that of most members at the same versions; absent where it does not. */
  differences?: string[];
}

/** Where the members of a fleet stand. */
export interface FleetMatrix {
  /** Labels of the versions in which members differ, or that some have not applied, in their order. */
  versions: string[];
  /** The smallest group first: the outliers. */
  groups: FleetGroup[];
  /** How many different structures there are at the same versions; null where they are not compared. */
  structures: number | null;
  /** Whether all members are alike and have everything applied. */
  isUniform: boolean;
}

/**
 * What is kept of a member's status: only what is not plainly applied. Pure.
 *
 * @param structure default: structures are not compared
 * @example
 * const standing = standingOf(member, await readStatus({ connection, directory: 'migrations' }));
 */
export function standingOf(
  { name }: FleetMember,
  { migrations }: MigrationsStatus,
  structure?: MemberStructure,
): MemberStanding {
  const isApplied = (state: MigrationState) =>
    !['pending', 'outOfOrder', 'incomplete'].includes(state);
  const others = migrations.filter(({ state }) => state !== 'applied');
  return {
    member: name,
    newest: migrations.findLast(({ state }) => isApplied(state))?.label ?? null,
    states: Object.fromEntries(others.map(({ label, state }) => [label, state])),
    ...(structure && { fingerprint: structure.fingerprint }),
  };
}

/**
 * Puts members that stand alike together, outliers first. Pure.
 *
 * @param failed those that could not be asked
 * @param structures one for each fingerprint, to say how they differ
 * @example
 * const standings = [{ member: 'a', newest: '002', states: {} }];
 * const { groups, isUniform } = compareMembers(standings, []);
 */
export function compareMembers(
  standings: readonly MemberStanding[],
  failed: readonly MemberOutcome[],
  structures: ReadonlyMap<string, MemberStructure> = new Map(),
): FleetMatrix {
  const groups = new Map<string, FleetGroup>();
  for (const { member, ...alike } of standings) {
    const key = JSON.stringify(alike);
    const group = groups.get(key);
    if (group) group.members.push(member);
    else groups.set(key, { members: [member], ...alike });
  }
  for (const { member, error } of failed) {
    const key = error?.code ?? 'unknown';
    const group = groups.get(key);
    if (group) group.members.push(member);
    else groups.set(key, { members: [member], newest: null, states: {}, ...(error && { error }) });
  }
  const sorted = [...groups.values()].sort((a, b) => a.members.length - b.members.length);
  const reached = sorted.filter(({ error }) => !error);
  const prints = reached.flatMap(({ fingerprint }) => fingerprint ?? []);
  tellDifferences(reached, structures);
  return {
    versions: versionsOf(reached),
    groups: sorted,
    structures: prints.length === 0 ? null : new Set(prints).size,
    isUniform:
      sorted.length === 1 &&
      reached.length === 1 &&
      Object.keys(reached[0]?.states ?? {}).length === 0,
  };
}

/** By number, as versions are compared. */
function versionsOf(groups: readonly FleetGroup[]): string[] {
  const labels = new Set(groups.flatMap(({ states }) => Object.keys(states)));
  return [...labels].sort((a, b) => (BigInt(a) < BigInt(b) ? -1 : 1));
}

/** Against the biggest group with the same versions: the groups come with the smallest first. */
function tellDifferences(
  groups: FleetGroup[],
  structures: ReadonlyMap<string, MemberStructure>,
): void {
  const alikeOf = ({ newest, states }: FleetGroup) => JSON.stringify([newest, states]);
  for (const group of groups) {
    const most = groups.findLast((one) => alikeOf(one) === alikeOf(group));
    const before = structures.get(most?.fingerprint ?? '');
    const after = structures.get(group.fingerprint ?? '');
    if (!before || !after || most === group || before === after) continue;
    group.differences = describeDifferences(diffStructures(before, after)).map((line) =>
      // The schema of each is another one.
      line.replaceAll(`${OWN_SCHEMA}.`, ''),
    );
  }
}
