import { diffStructures, type StructureDifference } from '../structure/diff.ts';
import type { Structure } from '../structure/structure.ts';
import { readAdoptedTables, withoutTables } from './adopted-tables.ts';
import { withSession } from './read.ts';
import {
  readStructureOf,
  type StructureSource,
  type StructureSourceOptions,
} from './structure-source.ts';

/** How one structure differs from another. */
export interface StructureComparison {
  /** Of the first towards the second, in the order of a structure. */
  differences: StructureDifference[];
  /** Partitions that only one side has, where they are not compared. */
  partitions: number;
  /** Tables of tools that were adopted, which no migration makes; they are not compared. */
  adoptedTables: string[];
  /** Majors of the servers where they differ: some texts do too then. */
  serverVersions: { from: number; to: number };
}

export interface CompareOptions extends StructureSourceOptions {
  from: StructureSource;
  to: StructureSource;
  /**
   * Whether partitions that only one side has are differences. Default false: they come and go with
   * time, and the same migrations make others in another month.
   */
  partitions?: boolean | undefined;
}

/**
 * Compares two structures: the database, its migrations, a dump.
 *
 * @throws {EvdbError} those of `readStructureOf`
 * @example
 * const { differences } = await compareStructures({
 *   ...options, from: { kind: 'migrations' }, to: { kind: 'live' },
 * });
 */
export async function compareStructures(options: CompareOptions): Promise<StructureComparison> {
  // one after the other: a failure must not leave the other at work
  const from = await readStructureOf(options.from, options);
  const found = await readStructureOf(options.to, options);
  const isReplayed = options.from.kind === 'applied' || options.from.kind === 'migrations';
  const adopted =
    isReplayed && options.to.kind === 'live'
      ? await withSession(options, (session) => readAdoptedTables(session, options))
      : [];
  const { structure: to, left } = withoutTables(found, from, adopted);
  const isSame = options.partitions === true;
  const [before, after] = isSame ? [from, to] : [withoutStrays(from, to), withoutStrays(to, from)];
  return {
    differences: diffStructures(before, after),
    partitions: countTables(from, before) + countTables(to, after),
    adoptedTables: left,
    serverVersions: { from: from.serverVersion, to: to.serverVersion },
  };
}

/**
 * What was changed by hand: how the database differs from what its applied migrations make.
 *
 * @throws {EvdbError} those of `compareStructures`
 * @example
 * const { differences } = await readDrift({ connection, directory: 'migrations' });
 */
export function readDrift(
  options: Omit<CompareOptions, 'from' | 'to'>,
): Promise<StructureComparison> {
  return compareStructures({ ...options, from: { kind: 'applied' }, to: { kind: 'live' } });
}

/** Leaves out partitions that the other does not have, where it has their table, with all that is theirs. */
function withoutStrays(structure: Structure, other: Structure): Structure {
  const others = new Set(other.objects.map(({ kind, name }) => `${kind} ${name}`));
  const strays = new Set<string>();
  for (const { kind, name, parts } of structure.objects) {
    const parent = parts['partition of'];
    const key = `${kind} ${name}`;
    if (parent === undefined || others.has(key)) continue;
    if (others.has(`table ${parent}`)) strays.add(key);
  }
  if (strays.size === 0) return structure;
  const isStray = (of: string | undefined): boolean => of !== undefined && strays.has(of);
  return {
    ...structure,
    objects: structure.objects.filter(
      (object) => !strays.has(`${object.kind} ${object.name}`) && !isStray(object.of),
    ),
  };
}

function countTables(all: Structure, kept: Structure): number {
  const count = ({ objects }: Structure) =>
    objects.filter(({ kind }) => kind === 'table' || kind === 'foreign table').length;
  return count(all) - count(kept);
}
