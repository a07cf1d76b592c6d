import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { closeSql } from '../support/databases.ts';
import { createLockFactsDatabase } from '../support/lock-facts/database.ts';
import {
  factName,
  type Observation,
  observationOn,
  readLockFacts,
  recordObservations,
} from '../support/lock-facts/facts.ts';
import { observe } from '../support/lock-facts/observe.ts';

// `EVDB_UPDATE_LOCK_FACTS=1` writes what this server does instead of comparing it.
const isUpdate = process.env.EVDB_UPDATE_LOCK_FACTS === '1';
const facts = readLockFacts();
const seen = new Map<string, Observation>();
let major = 0;

afterAll(() => {
  if (isUpdate) recordObservations(major, seen);
});

describe.each(['views', 'plain'] as const)('in the database %s, the server', (kind) => {
  const notices: string[] = [];
  let database: Awaited<ReturnType<typeof createLockFactsDatabase>>;
  let sql: postgres.Sql;

  beforeAll(async () => {
    database = await createLockFactsDatabase(kind);
    sql = postgres(database.url, { max: 1, onnotice: ({ message = '' }) => notices.push(message) });
    const [row] = await sql`select current_setting('server_version_num')::int / 10000 as major`;
    major = row?.major as number;
  });

  afterAll(async () => {
    await closeSql(sql);
    await database.drop();
  });

  test.each(
    facts.filter((fact) => fact.database === kind).map((fact) => [factName(fact), fact] as const),
  )('does with %s what is written down', async (name, fact) => {
    const observation = await observe(sql, fact, notices);
    seen.set(name, observation);
    if (!isUpdate) expect(observation).toEqual(observationOn(fact, major));
  });
});
