import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { resolveConfig } from '../../src/index.ts';
import { splitStatements } from '../../src/sql/statements.ts';
import { openTraceSession, type TraceSession } from '../../src/trace/trace-session.ts';
import { type StatementTrace, traceStatements } from '../../src/trace/trace-statements.ts';
import { createLockFactsDatabase } from '../support/lock-facts/database.ts';
import {
  factName,
  type Observation,
  observationOn,
  readLockFacts,
} from '../support/lock-facts/facts.ts';

const facts = readLockFacts();

describe.each(['views', 'plain'] as const)('a trace in the database %s', (kind) => {
  let database: Awaited<ReturnType<typeof createLockFactsDatabase>>;
  let tracer: TraceSession;
  let kinds: Map<string, string>;
  let major = 0;

  beforeAll(async () => {
    database = await createLockFactsDatabase(kind);
    const config = await resolveConfig({ flags: { url: database.url }, env: {} });
    if (config.connection.kind !== 'server') throw new Error('the URL names no server');
    tracer = await openTraceSession(config.connection.options);
    kinds = await readKinds(tracer);
    major = Math.floor(tracer.session.facts.serverVersion / 10000);
  });

  afterAll(async () => {
    await tracer.session.close();
    await database.drop();
  });

  test.each(
    facts.filter((fact) => fact.database === kind).map((fact) => [factName(fact), fact] as const),
  )('sees what %s does', async (_, fact) => {
    const script = `${fact.setup ? `${fact.setup};` : ''}${fact.statement}`;
    const traces = await traceStatements(tracer, splitStatements(script));
    const trace = traces.at(-1) as StatementTrace;
    const observation = observationOn(fact, major) as Observation;
    if (observation.error?.startsWith('25001')) {
      expect(trace.outcome).toMatch(/^(skipped|simulated|failed)$/);
    } else if (observation.error) {
      const [code, ...message] = observation.error.split(' ');
      expect(trace).toMatchObject({ outcome: 'failed', reason: `${message.join(' ')} (${code})` });
    } else {
      expect(trace.outcome).toBe('traced');
      expect(seenBy(trace)).toEqual(writtenDown(observation, kinds));
    }
  });
});

/** What a trace tells, in the form of the facts. */
function seenBy(trace: StatementTrace) {
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
function writtenDown(observation: Observation, kinds: Map<string, string>) {
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

async function readKinds({ session }: TraceSession): Promise<Map<string, string>> {
  const rows = await session.run(`
    select relnamespace::regnamespace || '.' || relname as name, relkind::text as kind from pg_class
    where relnamespace::regnamespace::text in ('public', 'sub')`);
  return new Map(rows.map(({ name, kind }) => [String(name), String(kind)]));
}
