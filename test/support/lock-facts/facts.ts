import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { LockMode } from '../../../src/impact/impact.ts';

/** What a statement did on a server, as the server itself says. Relations are `schema.name`. */
export interface Observation {
  /** The strongest mode on each relation that was there before; `AccessShare` is left out. */
  locks?: Record<string, LockMode>;
  /** Tables, indexes and materialized views that have another file than before. */
  rewrites?: string[];
  /** Rows read by sequential scans; building an index is one, and so is writing a table anew. */
  scans?: Record<string, number>;
  /** Indexes that were built, as `name on table`, both without schema. */
  builds?: string[];
  /** Columns whose nulls a validated check rules out, as `table.column`. */
  proven?: string[];
  /** SQLSTATE and message where the server refused the statement. */
  error?: string;
}

export interface FactResult extends Observation {
  /** The versions that this was seen on, such as 14. */
  majors: number[];
}

/** A statement and what it did on each major version. */
export interface LockFact {
  /** `base.sql` and then `views.sql` or `plain.sql` make the database. */
  database: 'views' | 'plain';
  /** Runs before, in the same transaction. */
  setup?: string;
  statement: string;
  results: FactResult[];
}

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** The corpus: made by `EVDB_UPDATE_LOCK_FACTS=1` on each version, see lock-facts.test.ts. */
export function readLockFacts(): LockFact[] {
  const lines = readFileSync(path('facts.jsonl'), 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line) as LockFact);
}

/** The scripts that make a database of the corpus, in one. */
export function readLockFactsDatabase(database: LockFact['database']): string {
  return readFileSync(path('base.sql'), 'utf8') + readFileSync(path(`${database}.sql`), 'utf8');
}

/** What a statement did on a version; undefined where it was not run there. */
export function observationOn(fact: LockFact, major: number): Observation | undefined {
  const result = fact.results.find(({ majors }) => majors.includes(major));
  if (!result) return undefined;
  const { majors, ...observation } = result;
  return observation;
}

/** Puts what was seen on a version in place of what is written for it. */
export function recordObservations(major: number, seen: Map<string, Observation>): void {
  const facts = readLockFacts().map((fact) => {
    const observation = seen.get(factName(fact));
    return observation ? { ...fact, results: merge(fact.results, major, observation) } : fact;
  });
  writeFileSync(path('facts.jsonl'), facts.map((fact) => `${JSON.stringify(fact)}\n`).join(''));
}

/** Unlike any other fact's. */
export function factName({ database, setup, statement }: LockFact): string {
  return `${setup ? `${setup}; ` : ''}${statement}${database === 'views' ? ' (with views)' : ''}`;
}

function merge(results: FactResult[], major: number, seen: Observation): FactResult[] {
  const byContent = new Map<string, Set<number>>();
  const add = (observation: Observation, one: number) => {
    const key = JSON.stringify(observation);
    byContent.set(key, (byContent.get(key) ?? new Set()).add(one));
  };
  for (const { majors, ...observation } of results) {
    for (const one of majors.filter((other) => other !== major)) add(observation, one);
  }
  add(seen, major);
  return [...byContent]
    .map(([key, majors]) => ({
      majors: [...majors].sort((a, b) => a - b),
      ...(JSON.parse(key) as Observation),
    }))
    .sort((a, b) => (a.majors[0] ?? 0) - (b.majors[0] ?? 0));
}
