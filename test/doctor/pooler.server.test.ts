import { expect } from 'vitest';
import { runDoctor } from '../../src/doctor/doctor.ts';
import { closeSql, openSql } from '../support/databases.ts';
import { startPgBouncer, whyNoPgBouncer } from '../support/pgbouncer.ts';
import { inspect, test } from '../support/sessions.ts';

test('examines a database through a pooler, and leaves nothing behind for others', async ({
  emptyDb,
  skip,
}) => {
  const reason = whyNoPgBouncer();
  skip(reason !== undefined, reason);
  const pooler = await startPgBouncer(emptyDb.url, { poolMode: 'transaction', poolSize: 1 });
  const settings = async () => {
    const client = openSql(pooler.url, 1);
    const rows = await client.unsafe(`
      select name, setting from pg_settings
      where name in ('statement_timeout', 'lock_timeout', 'search_path', 'default_transaction_read_only')`);
    await closeSql(client);
    return rows.map((row) => ({ ...row }));
  };
  const before = await settings();
  const { checks } = await inspect(pooler.url, (session) => runDoctor(session));
  const failed = checks
    .filter(({ check }) => check !== 'unused-indexes')
    .filter(({ status }) => status === 'unknown');
  expect(failed).toEqual([]);
  expect(await settings()).toEqual(before);
  await pooler.stop();
});
