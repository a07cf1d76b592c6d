import { expect } from 'vitest';
import { countOpen, outcomeOf, faultsTest as test } from './pool-kit.ts';

const LOCKS = `select count(*)::int as n from pg_locks
  where locktype = 'advisory' and pid = pg_backend_pid()`;

test('gives nobody what another left on a connection', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  await pool.withConnection(async (connection) => {
    await connection.query(`set search_path = pg_catalog`);
    await connection.query(`set statement_timeout = 1234`);
    await connection.query(`set role pg_read_all_data`);
    await connection.query('create temp table left_behind (id integer)');
    await connection.query('select pg_advisory_lock(42)');
    await connection.query('listen something');
    await connection.query(`declare held cursor with hold for select 1`);
  });
  const { rows } = await pool.query(`select current_setting('search_path') as path,
    current_setting('statement_timeout') as timeout, current_user = session_user as is_self,
    to_regclass('pg_temp.left_behind')::text as temporary,
    (select count(*)::int from pg_locks where pid = pg_backend_pid() and locktype = 'advisory') as locks,
    (select count(*)::int from pg_listening_channels()) as channels,
    (select count(*)::int from pg_cursors where is_holdable) as cursors`);
  expect(rows).toEqual([
    {
      path: '"$user", public',
      timeout: '1min',
      is_self: true,
      temporary: null,
      locks: 0,
      channels: 0,
      cursors: 0,
    },
  ]);
});

test('releases the lock of a statement that failed after it took it', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  const failing = 'select pg_advisory_lock(42), 1 / (pg_backend_pid() * 0)';
  expect(await outcomeOf(pool.query(failing))).toBe('QUERY_FAILED');
  expect((await pool.query(LOCKS)).rows).toEqual([{ n: 0 }]);
  expect(await outcomeOf(pool.withTransaction((tx) => tx.query(failing)))).toBe('QUERY_FAILED');
  expect((await pool.query(LOCKS)).rows).toEqual([{ n: 0 }]);
});

test('resets what a function set on a connection that is held', async ({ stage }) => {
  await stage.sql.unsafe(`
    create function remember(who text) returns void language plpgsql as $$
    begin
      perform set_config('app.who', who, false);
      perform pg_advisory_lock(7);
    end $$`);
  const pool = stage.pool({ max: 1 });
  // On a connection that is held; of a single statement only the text is looked at.
  await pool.withConnection((connection) => connection.query(`select remember('ann')`));
  const { rows } = await pool.query(
    `select coalesce(current_setting('app.who', true), '') as who, (${LOCKS}) as locks`,
  );
  expect(rows).toEqual([{ who: '', locks: 0 }]);
});

test('gives nobody a connection in a transaction where the limit strikes while it begins', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 2, statementTimeoutMillis: 1 });
  const work = Array.from({ length: 150 }, (_, id) =>
    outcomeOf(
      pool.withTransaction(
        async (tx) => {
          await tx.query(`insert into kept values ($1, 'a')`, [id]);
          await tx.savepoint((sp) => sp.query(`insert into kept values ($1, 'b')`, [id]));
        },
        { actor: 'ann', isolation: 'repeatable read' },
      ),
      // 150 of them over two connections, which the limit ends again and again.
      40_000,
    ),
  );
  const outcomes = await Promise.all(work);
  expect(outcomes).not.toContain('pending');
  const rows = await stage.kept();
  for (const [id, outcome] of outcomes.entries()) {
    const mine = rows.filter((row) => row.startsWith(`${id} `));
    if (outcome === 'ok') expect(mine).toEqual([`${id} a`, `${id} b`]);
    else if (outcome !== 'OUTCOME_UNKNOWN') expect(mine).toEqual([]);
  }
  const states = (await stage.backends()).map(({ state }) => state);
  expect(states.filter((state) => state.startsWith('idle in transaction'))).toEqual([]);
  await pool.close();
});

test('gives nobody a connection in a transaction where what begins it cannot be sent', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 1 });
  for (const actor of [`a'b\\c`, 'a\0b', '\ud800', 'x'.repeat(1_000_000)]) {
    const work = pool.withTransaction(
      async (tx) => tx.query(`insert into kept values (1, current_setting('evdb.actor'))`),
      { actor, readOnly: true },
    );
    expect(await outcomeOf(work)).not.toMatch(/^(ok|pending)$/);
    const { rows } = await pool.query(
      `select pg_current_xact_id_if_assigned()::text as xid, current_setting('transaction_read_only') as read`,
    );
    expect(rows).toEqual([{ xid: null, read: 'off' }]);
  }
});

test('gives nobody a connection in a transaction that began and could not be prepared', async ({
  stage,
  admin,
}) => {
  const role = `plain_${stage.applicationName.replaceAll('-', '_')}`;
  await admin.unsafe(`create role ${role} login password 'plain'`);
  // What sets the actor fails after `begin`.
  await stage.sql`
    revoke execute on function pg_catalog.set_config(text, text, boolean) from public`;
  const url = new URL(stage.url);
  url.username = role;
  url.password = 'plain';
  const pool = stage.pool({ max: 1, connectionString: url.href });
  const work = pool.withTransaction((tx) => tx.query('select 1'), { actor: 'ann' });
  expect(await outcomeOf(work)).toBe('PERMISSION_DENIED');
  expect(await outcomeOf(pool.query('select 1'))).toBe('ok');
  await pool.close();
  await expect.poll(stage.backends).toEqual([]);
  await admin.unsafe(`drop role ${role}`);
});

test('tells of a commit that a deferred constraint refuses, and goes on', async ({ stage }) => {
  await stage.sql`
    alter table kept add constraint kept_once unique (id) deferrable initially deferred`;
  const pool = stage.pool({ max: 1 });
  const error = await pool
    .withTransaction(async (tx) => {
      await tx.query(`insert into kept values (1, 'a')`);
      await tx.query(`insert into kept values (1, 'b')`);
    })
    .catch((reason) => reason);
  expect(error).toMatchObject({ sqlstate: '23505', constraint: 'kept_once' });
  expect(await outcomeOf(pool.query(`insert into kept values (1, 'c')`))).toBe('ok');
  expect(await stage.kept()).toEqual(['1 c']);
});

test('runs transactions again that could not be serialized, until all are through', async ({
  stage,
}) => {
  await stage.sql`insert into kept values (0, 'counter')`;
  const pool = stage.pool({ max: 4 });
  const increments = Array.from({ length: 12 }, () =>
    outcomeOf(
      pool.withTransaction(
        async (tx) => {
          const { rows } = await tx.query<{ id: number }>('select id from kept');
          await tx.query('update kept set id = $1', [(rows[0]?.id ?? 0) + 1]);
        },
        { isolation: 'serializable', retries: 50 },
      ),
    ),
  );
  expect(await Promise.all(increments)).toEqual(Array(12).fill('ok'));
  expect(await stage.kept()).toEqual(['12 counter']);
});

test('serves the next transaction after one that met a changed prepared statement', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 1, prepare: true });
  const read = () =>
    pool.withTransaction((tx) => tx.query('select * from kept where id > $1', [0]));
  for (let n = 0; n < 4; n++) await read();
  await stage.sql`alter table kept add column more integer default 7`;
  expect(await outcomeOf(read())).not.toBe('pending');
  expect((await read()).fields.map(({ name }) => name)).toEqual(['id', 'what', 'more']);
});

test('takes hundreds of statements at once in one transaction', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  const ids = Array.from({ length: 300 }, (_, id) => id);
  await pool.withTransaction((tx) =>
    Promise.all(ids.map((id) => tx.query('insert into kept values ($1, $2)', [id, 'a']))),
  );
  expect(await stage.kept()).toHaveLength(300);
  const failing = pool.withTransaction((tx) =>
    Promise.all(ids.map((id) => tx.query('select 1 / ($1::int - 150)', [id]))),
  );
  expect(await outcomeOf(failing)).toBe('QUERY_FAILED');
});

test('fails no query where connections are replaced all the time', async ({ stage }) => {
  const pool = stage.pool({ max: 4, maxLifetimeMillis: 15, idleTimeoutMillis: 3 });
  for (let round = 0; round < 40; round++) {
    const outcomes = await Promise.all(
      [1, 2, 3, 4, 5, 6].map((n) => outcomeOf(pool.query('select $1::int as n', [n]))),
    );
    expect(outcomes).toEqual(Array(6).fill('ok'));
    await new Promise((resolve) => setTimeout(resolve, round % 9));
  }
});

test('serves again after the server ended sessions that idled', async ({ stage }) => {
  const name = new URL(stage.url).pathname.slice(1);
  const pool = stage.pool({ max: 3 });
  const connections = countOpen(pool);
  await stage.sql.unsafe(`alter database ${name} set idle_session_timeout = '100ms'`);
  for (let round = 0; round < 3; round++) {
    const outcomes = await Promise.all([1, 2, 3].map(() => outcomeOf(pool.query('select 1'))));
    expect(outcomes).toEqual(['ok', 'ok', 'ok']);
    await expect.poll(connections, { interval: 20 }).toBe(0);
  }
  await stage.sql
    .unsafe(`alter database ${name} reset idle_session_timeout`)
    .catch(() => undefined);
});

test('answers all who were in the queue before it was closed', async ({ stage }) => {
  const pool = stage.pool({ max: 2 });
  const queued = Array.from({ length: 50 }, () => outcomeOf(pool.query('select pg_sleep(0.002)')));
  const closing = pool.close();
  expect(await Promise.all(queued)).toEqual(Array(50).fill('ok'));
  await closing;
  expect(await stage.backends()).toEqual([]);
});
