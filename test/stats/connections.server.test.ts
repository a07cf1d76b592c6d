import { expect } from 'vitest';
import { readConnections } from '../../src/stats/connections.ts';
import { inspect, test } from '../support/sessions.ts';

test('counts connections by state, user, application and database', async ({
  emptyDb,
  sessions,
}) => {
  const { url, name } = emptyDb;
  const [a, b, c] = ['pool', 'pool', 'pool'].map((who) => sessions.open(url, who));
  await a?.unsafe('select 1');
  await b?.unsafe('select 1');
  await c?.unsafe('begin; select 1');
  const { rows } = await inspect(url, readConnections);
  const mine = rows.filter((row) => row.database === name && row.application === 'pool');
  expect(mine).toMatchObject([
    { connections: 2, state: 'idle', user: 'postgres', oldestTransactionMs: null },
    { connections: 1, state: 'idle in transaction', oldestTransactionMs: expect.any(Number) },
  ]);
});

test('counts them against what the server allows', async ({ emptyDb, sessions, admin }) => {
  const { url, name, sql } = emptyDb;
  const before = await inspect(url, readConnections);
  const [settings] = await admin`
    select current_setting('max_connections')::int as most,
      current_setting('superuser_reserved_connections')::int as superuser,
      coalesce(current_setting('reserved_connections', true), '0')::int as reserved`;
  expect(before.limits).toMatchObject({
    maxConnections: settings?.most,
    superuserReserved: settings?.superuser,
    reserved: settings?.reserved,
    usable: settings?.most - settings?.superuser - settings?.reserved,
  });
  expect(before.limits.taken).toBeGreaterThan(1);
  expect(before.notes[0]).toMatchObject({
    level: 'info',
    text: expect.stringContaining(`of ${before.limits.usable} connections are taken`),
  });
  expect(before.limits.own.filter((limit) => limit.name === name)).toEqual([]);

  await sql.unsafe(`alter database ${name} connection limit 50`);
  await sessions.open(url)`select 1`;
  const after = await inspect(url, readConnections);
  expect(after.limits.own).toContainEqual({
    kind: 'database',
    name,
    limit: 50,
    taken: expect.any(Number),
  });
});

test('counts what a role may not see, and says that states are hidden', async ({
  emptyDb,
  sessions,
  live,
}) => {
  await sessions.open(emptyDb.url, 'seen')`select 1`;
  const mine = async (url: string) => {
    const report = await inspect(url, readConnections);
    const rows = report.rows.filter(
      (row) => row.database === emptyDb.name && row.application === 'seen',
    );
    return { ...report, rows };
  };
  const seen = await mine(live.monitorUrl);
  expect(seen.rows).toMatchObject([{ state: 'idle', connections: 1 }]);
  expect(seen.notes.map(({ level }) => level)).toEqual(['info']);
  const hidden = await mine(live.plainUrl);
  expect(hidden.rows).toMatchObject([{ state: null, connections: 1, user: 'postgres' }]);
  expect(hidden.notes.map(({ level }) => level)).toEqual(['info', 'unknown']);
});
