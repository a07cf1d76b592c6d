import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openSession } from '../../src/connection/session.ts';
import { resolveConfig } from '../../src/index.ts';
import { splitStatements } from '../../src/sql/statements.ts';
import {
  type StatementTrace,
  type TraceSession,
  traceSessionOf,
  traceStatements,
} from '../../src/trace/trace-statements.ts';
import { createLockFactsDatabase } from '../support/lock-facts/database.ts';
import {
  factName,
  type Observation,
  observationOn,
  readLockFacts,
} from '../support/lock-facts/facts.ts';
import { readKinds, seenBy, writtenDown } from '../support/lock-facts/traced.ts';

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
    tracer = traceSessionOf(await openSession(config.connection.options));
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
