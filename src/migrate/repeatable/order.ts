import { EvdbError } from '../../errors.ts';
import {
  describeMade,
  isRelation,
  isRoutine,
  type MadeObject,
  madeKey,
  type NeededObject,
} from './objects.ts';

/** A repeatable, and what its statements make and need. */
export interface RepeatableUnit {
  name: string;
  /** The file, as people know it. */
  file: string;
  makes: readonly MadeObject[];
  needs: readonly NeededObject[];
}

/** Where names without a schema are looked up. */
export interface NamePath {
  targetSchema: string;
  searchPath: readonly string[];
}

/**
 * The units that are wanted in groups: each after what it needs, and in one group with those that it hangs
 * together with, also by way of others that are not wanted. Pure; the same units give the same groups.
 *
 * @throws {EvdbError} DUPLICATE_REPEATABLE where two files make the same, REPEATABLE_CYCLE
 */
export function groupRepeatables<Unit extends RepeatableUnit>(
  units: readonly Unit[],
  wanted: ReadonlySet<string>,
  path: NamePath,
): Unit[][] {
  refuseDuplicates(units, path);
  const graph = readGraph(units, path);
  loosenCircles(graph, units);
  const order = sortUnits(units, graph);
  const groupOf = joinGroups(order, wanted, graph);
  const groups = new Map<string, Unit[]>();
  for (const unit of order) {
    if (!wanted.has(unit.name)) continue;
    const key = groupOf(unit.name);
    groups.set(key, [...(groups.get(key) ?? []), unit]);
  }
  return [...groups.values()];
}

function refuseDuplicates(units: readonly RepeatableUnit[], { targetSchema }: NamePath): void {
  const makers = new Map<string, RepeatableUnit>();
  for (const unit of units) {
    for (const made of unit.makes) {
      const key = madeKey(made, targetSchema);
      const other = makers.get(key);
      makers.set(key, unit);
      if (other === undefined || other === unit) continue;
      throw new EvdbError(
        'DUPLICATE_REPEATABLE',
        `two repeatables make ${describeMade(made)}: ${other.file} and ${unit.file}`,
        {
          hint: 'Keep it in one of them: otherwise what is in force depends on which one changed last.',
          details: { files: [other.file, unit.file], object: describeMade(made) },
        },
      );
    }
  }
}

type Edges = Map<string, Set<string>>;

/** Who needs whom, by name. */
interface Graph {
  /** What has to be there before. */
  hard: Edges;
  /** What had better be there before: it only counts where it makes no circle. */
  soft: Edges;
  /** What comes before, and may be in another transaction. */
  loose: Edges;
}

function readGraph(units: readonly RepeatableUnit[], path: NamePath): Graph {
  const graph: Graph = { hard: new Map(), soft: new Map(), loose: new Map() };
  const found = createFinder(units, path);
  for (const unit of units) {
    for (const need of unit.needs) {
      for (const { maker, isSure } of found(need)) {
        if (maker === unit.name) continue;
        const isLoose = need.kind === 'all relations' || need.kind === 'all routines';
        const edges = isLoose ? graph.loose : need.isSoft || !isSure ? graph.soft : graph.hard;
        edges.set(unit.name, (edges.get(unit.name) ?? new Set()).add(maker));
      }
    }
  }
  return graph;
}

interface Maker {
  maker: string;
  /** Whether no other object can be meant. */
  isSure: boolean;
}

/** Finds who makes what is needed. */
function createFinder(units: readonly RepeatableUnit[], path: NamePath) {
  const byName = new Map<string, { unit: RepeatableUnit; made: MadeObject }[]>();
  const add = (key: string, unit: RepeatableUnit, made: MadeObject) =>
    byName.set(key, [...(byName.get(key) ?? []), { unit, made }]);
  for (const unit of units) {
    for (const made of unit.makes) {
      const schema = made.schema ?? path.targetSchema;
      if (isRelation(made)) {
        add(`relation ${schema}.${made.name}`, unit, made);
        add(`all relations ${schema}`, unit, made);
      }
      if (isRoutine(made)) {
        add(`routine ${schema}.${made.name}`, unit, made);
        add(`all routines ${schema}`, unit, made);
      }
    }
  }
  return (need: NeededObject): Maker[] => {
    if (need.kind === 'all relations' || need.kind === 'all routines') {
      const all = byName.get(`${need.kind} ${need.schema}`) ?? [];
      return all.map(({ unit }) => ({ maker: unit.name, isSure: true }));
    }
    const schemas =
      need.schema === undefined ? [path.targetSchema, ...path.searchPath] : [need.schema];
    const all = schemas.flatMap(
      (schema) => byName.get(`${need.kind} ${schema}.${need.name}`) ?? [],
    );
    const fitting = all.filter(({ made }) => fits(made, need.argCount));
    const makers = new Set(fitting.map(({ unit }) => unit.name));
    return [...makers].map((maker) => ({ maker, isSure: makers.size === 1 }));
  };
}

/** Whether a call with so many arguments may mean it. */
function fits({ args = [], defaults = 0, isVariadic }: MadeObject, count?: number): boolean {
  if (count === undefined) return true;
  return (
    count >= args.length - defaults - (isVariadic ? 1 : 0) && (isVariadic || count <= args.length)
  );
}

/**
 * Leaves out what had better be there before where that makes a circle.
 *
 * @throws {EvdbError} REPEATABLE_CYCLE where a circle is left
 */
function loosenCircles({ hard, soft, loose }: Graph, units: readonly RepeatableUnit[]): void {
  const circle = findCircle(units, [hard]);
  if (circle) throw cycle(circle, units);
  for (const edges of [loose, soft]) {
    for (const unit of units) {
      for (const needed of [...(edges.get(unit.name) ?? [])].sort()) {
        // Its own way back decides: those that were kept before make no circle.
        if (reaches(needed, unit.name, [hard, ...kept(edges, soft, loose)])) {
          edges.get(unit.name)?.delete(needed);
        }
      }
    }
  }
}

function kept(current: Edges, soft: Edges, loose: Edges): Edges[] {
  return current === soft ? [soft, loose] : [loose];
}

function reaches(from: string, to: string, edges: readonly Edges[]): boolean {
  const seen = new Set([from]);
  for (const name of seen) {
    if (name === to) return true;
    for (const next of nextOf(name, edges)) seen.add(next);
  }
  return false;
}

function nextOf(name: string, edges: readonly Edges[]): string[] {
  return edges.flatMap((one) => [...(one.get(name) ?? [])]);
}

/** The shortest circle of the first unit that is on one. */
function findCircle(units: readonly RepeatableUnit[], edges: readonly Edges[]) {
  for (const { name } of units) {
    const before = new Map<string, string>();
    const waiting = [name];
    for (const at of waiting) {
      for (const next of nextOf(at, edges)) {
        if (before.has(next)) continue;
        before.set(next, at);
        if (next === name) return wayBack(before, name);
        waiting.push(next);
      }
    }
  }
  return undefined;
}

function wayBack(before: ReadonlyMap<string, string>, name: string): string[] {
  const way = [name];
  for (let at = before.get(name); at !== undefined && at !== name; at = before.get(at))
    way.push(at);
  return [...way, name].reverse();
}

function cycle(names: readonly string[], units: readonly RepeatableUnit[]): EvdbError {
  const fileOf = new Map(units.map(({ name, file }) => [name, file]));
  const files = names.map((name) => fileOf.get(name) ?? name);
  return new EvdbError('REPEATABLE_CYCLE', `repeatables need each other: ${files.join(' → ')}`, {
    hint: 'Put what needs each other into one file, in an order that works, or let a function of PL/pgSQL look it up when it runs.',
    details: { files },
  });
}

/** Each after what it needs, and by name where that leaves a choice. */
function sortUnits<Unit extends RepeatableUnit>(
  units: readonly Unit[],
  { hard, soft, loose }: Graph,
): Unit[] {
  const byName = new Map(units.map((unit) => [unit.name, unit]));
  const sorted: Unit[] = [];
  const seen = new Set<string>();
  for (const { name } of units) {
    const waiting = [name];
    while (waiting.length > 0) {
      const at = waiting.at(-1) as string;
      const ahead = nextOf(at, [hard, soft, loose]).filter((next) => !seen.has(next));
      // Deeper first; what was pushed twice is there already.
      const [next] = ahead.sort();
      if (next !== undefined) {
        waiting.push(next);
        continue;
      }
      waiting.pop();
      if (seen.has(at)) continue;
      seen.add(at);
      const unit = byName.get(at);
      if (unit) sorted.push(unit);
    }
  }
  return sorted;
}

/** Puts those into one group of which one reaches the other. */
function joinGroups(
  order: readonly RepeatableUnit[],
  wanted: ReadonlySet<string>,
  { hard, soft }: Graph,
): (name: string) => string {
  const leaders = new Map<string, string>();
  const leaderOf = (name: string): string => {
    let at = name;
    for (let up = leaders.get(at); up !== undefined; up = leaders.get(at)) at = up;
    return at;
  };
  for (const { name } of order) {
    if (!wanted.has(name)) continue;
    const reached = new Set([name]);
    for (const at of reached) {
      for (const next of nextOf(at, [hard, soft])) reached.add(next);
      if (at === name || !wanted.has(at) || leaderOf(at) === leaderOf(name)) continue;
      leaders.set(leaderOf(at), leaderOf(name));
    }
  }
  return leaderOf;
}
