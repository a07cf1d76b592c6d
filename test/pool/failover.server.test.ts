import { expect } from 'vitest';
import { test } from './pool-kit.ts';

/** A session that may not write stands in for a primary that became a standby. */
test('replaces a connection that may no longer write where one that writes was asked for', async ({
  stage,
  emptyDb,
}) => {
  await emptyDb.sql`create table kept (id integer)`;
  const connectionString = `${emptyDb.url}?target_session_attrs=read-write`;
  const pool = stage.pool({ max: 1, connectionString });
  const pidOf = async () => (await pool.query('select pg_backend_pid() as pid')).rows;
  const before = await pidOf();
  const write = pool.withTransaction((tx) => tx.query('insert into kept values (1)'), {
    readOnly: true,
  });
  await expect(write).rejects.toMatchObject({ code: 'READ_ONLY', sqlstate: '25006' });
  expect(await pidOf()).not.toEqual(before);
});

test('keeps a connection that refused to write where any server will do', async ({
  stage,
  emptyDb,
}) => {
  await emptyDb.sql`create table kept (id integer)`;
  const pool = stage.pool({ max: 1 });
  const pidOf = async () => (await pool.query('select pg_backend_pid() as pid')).rows;
  const before = await pidOf();
  const write = pool.withTransaction((tx) => tx.query('insert into kept values (1)'), {
    readOnly: true,
  });
  await expect(write).rejects.toMatchObject({ code: 'READ_ONLY' });
  expect(await pidOf()).toEqual(before);
});
