import type { StatementTrace, TraceSession } from '../../../src/trace/trace-statements.ts';
import type { Observation } from './facts.ts';

/** What a trace tells, in the form of the facts. */
export function seenBy(trace: StatementTrace) {
  const { impact, reads, messages } = trace;
  const proof = /^existing constraints on column "(.+)" are sufficient/;
  return {
    locks: Object.fromEntries(impact.locks.map(({ relation, mode }) => [relation, mode])),
    rewrites: impact.rewrites.map(({ relation }) => relation).sort(),
    scans: Object.fromEntries(reads.map(({ relation, rows }) => [relation, rows])),
    builds: impact.builds
      .map(({ subject = '', relation }) => `${nameOf(subject)} on ${nameOf(relation)}`)
      .sort(),
    proven: messages.flatMap((message) => proof.exec(message)?.[1] ?? []),
  };
}

/**
 * What the facts say of relations that were there before the transaction. That an index has a new
 * file is said by its being built, and a sequence has one whenever it is altered.
 */
export function writtenDown(observation: Observation, kinds: Map<string, string>) {
  const { locks = {}, rewrites = [], scans = {}, builds = [], proven = [] } = observation;
  const isKnown = ([relation]: [string, unknown]) => kinds.has(relation);
  return {
    locks: Object.fromEntries(Object.entries(locks).filter(isKnown)),
    rewrites: rewrites.filter((relation) => /[rm]/.test(kinds.get(relation) ?? '')),
    scans: Object.fromEntries(Object.entries(scans).filter(isKnown)),
    builds: builds.filter((build) => kinds.has(`public.${build.split(' on ')[1]}`)),
    proven,
  };
}

function nameOf(key: string): string {
  return key.slice(key.indexOf('.') + 1);
}

/** The kinds of all relations by their names, as in `pg_class.relkind`. */
export async function readKinds({ session }: TraceSession): Promise<Map<string, string>> {
  const rows = await session.run(`
    select relnamespace::regnamespace || '.' || relname as name, relkind::text as kind from pg_class
    where relnamespace::regnamespace::text in ('public', 'sub')`);
  return new Map(rows.map(({ name, kind }) => [String(name), String(kind)]));
}
