import { expect } from 'vitest';
import { withInspection } from '../../src/connection/inspection.ts';
import { readPoolConfiguration } from '../../src/pool/connection-source.ts';
import { readTables } from '../../src/stats/tables.ts';
import { test } from '../support/fixture.ts';
import { startPgBouncer, whyNoPgBouncer } from '../support/pgbouncer.ts';

const SETTINGS = `select $1::text as given, current_setting('search_path') as path,
  current_setting('transaction_read_only') as read, current_setting('lock_timeout') as lock,
  current_setting('statement_timeout') as statement`;

const why = whyNoPgBouncer();
const title = 'looks through a pooler and leaves nothing on its sessions';

test.skipIf(why)(why ? `${title} (${why})` : title, async ({ db, onTestFinished }) => {
  const pooler = await startPgBouncer(db.url, { poolMode: 'transaction', poolSize: 1 });
  onTestFinished(() => pooler.stop());
  const { connection } = await readPoolConfiguration({ connectionString: pooler.url });
  await withInspection(connection, async (session) => {
    expect((await readTables(session, {})).rows.map(({ table }) => table)).toContain('events');
    await expect(session.run('create table public.left_over ()')).rejects.toMatchObject({
      code: '25006',
    });
    expect(await session.run("select current_setting('search_path') as path")).toEqual([
      { path: '""' },
    ]);
    const [setting] = await session.query(SETTINGS, ['x'], false);
    expect({ ...setting }).toEqual({
      ...{ given: 'x', path: '""', read: 'on', lock: '50ms', statement: '30s' },
    });
    await expect(
      session.query('create table public.left_over ()', [], false),
    ).rejects.toMatchObject({ code: '25006' });
    await expect(session.query('select $1::int', ['x'], false)).rejects.toMatchObject({
      code: '22P02',
    });
    const lock = await session.run("select current_setting('lock_timeout') as value");
    expect(lock).toEqual([{ value: '50ms' }]);
    // Asked at once they stay apart, whatever becomes of the others.
    const atOnce = await Promise.allSettled([
      session.query(SETTINGS, ['a'], false),
      session.run('select 1 / 0'),
      session.query('select 1 / $1::int', ['0'], false),
      session.run(`select current_setting('search_path') as path`),
      session.query(SETTINGS, ['b'], false),
    ]);
    expect(atOnce.map(({ status }) => status)).toEqual([
      ...['fulfilled', 'rejected', 'rejected', 'fulfilled', 'fulfilled'],
    ]);
    expect(atOnce[4]).toMatchObject({ value: [{ given: 'b', path: '""', read: 'on' }] });
  });
  // The pooler has one session: whoever comes next gets what was left on it.
  const { openSession } = await import('../../src/connection/session.ts');
  const next = await openSession(connection);
  expect(
    await next.run(
      "select current_setting('lock_timeout') as lock, current_setting('transaction_read_only') as read",
    ),
  ).toEqual([{ lock: '0', read: 'off' }]);
  await next.close();
});
