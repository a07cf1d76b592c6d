import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openSession } from '../../src/connection/session.ts';
import { copyStructure } from '../../src/scratch/structure.ts';
import { splitStatements } from '../../src/sql/statements.ts';
import {
  type StatementTrace,
  type TraceSession,
  traceSessionOf,
  traceStatements,
} from '../../src/trace/trace-statements.ts';
import { createEmptyDatabase, createLockFactsDatabase } from '../support/lock-facts/database.ts';
import {
  factName,
  type Observation,
  observationOn,
  readLockFacts,
} from '../support/lock-facts/facts.ts';
import { readKinds, seenBy, writtenDown } from '../support/lock-facts/traced.ts';
import { connectionTo } from '../support/sessions.ts';

const facts = readLockFacts();

/**
 * What rows decide: without any, the second table of a foreign key is not looked at, nothing is
 * drawn from a sequence, and the planner has no use for an index. What is read from a statement
 * stands for these in a plan.
 */
const DEPENDS_ON_ROWS = [
  /references r\(|references t2\(|validate constraint fknv/,
  /nextval|insert into t3|where id = 1/,
];

describe.each(['views', 'plain'] as const)('in a copy of the structure of %s', (kind) => {
  let databases: Awaited<ReturnType<typeof createLockFactsDatabase>>[];
  let tracer: TraceSession;
  let kinds: Map<string, string>;
  let major = 0;

  beforeAll(async () => {
    databases = [await createLockFactsDatabase(kind), await createEmptyDatabase()];
    const [original, copy] = await Promise.all(databases.map(({ url }) => connectionTo(url)));
    if (!original || !copy) throw new Error('two databases are made');
    const session = await openSession(original);
    const missing = await copyStructure(session, copy, { ledgerSchema: 'evdb', isEmbedded: true });
    await session.close();
    expect(missing).toEqual([]);
    tracer = traceSessionOf(await openSession(copy));
    kinds = await readKinds(tracer);
    major = Math.floor(tracer.session.facts.serverVersion / 10000);
  });

  afterAll(async () => {
    await tracer.session.close();
    for (const { drop } of databases) await drop();
  });

  // What needs rows to fail does not fail here.
  const others = facts.filter(
    (fact) =>
      fact.database === kind &&
      fact.results.every(({ error }) => error === undefined) &&
      !DEPENDS_ON_ROWS.some((pattern) => pattern.test(fact.statement)),
  );

  test.each(others.map((fact) => [factName(fact), fact] as const))(
    '%s does what it does among rows',
    async (_, fact) => {
      const script = `${fact.setup ? `${fact.setup};` : ''}${fact.statement}`;
      const traces = await traceStatements(tracer, splitStatements(script));
      const seen = seenBy(traces.at(-1) as StatementTrace);
      const known = writtenDown(observationOn(fact, major) as Observation, kinds);
      const { locks, rewrites, builds, proven } = known;
      expect(seen).toMatchObject({ locks, rewrites, builds, proven });
      expect(Object.keys(seen.scans).sort()).toEqual(Object.keys(known.scans).sort());
    },
  );
});
