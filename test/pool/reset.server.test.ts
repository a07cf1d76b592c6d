import { expect } from 'vitest';
import type { DatabasePool } from '../../src/pool/pool.ts';
import { failureOf } from '../support/waiting.ts';
import { pidOf, test } from './pool-kit.ts';

const STATE = `select current_setting('work_mem') as memory, current_user::text as role,
  session_user::text as login, current_setting('default_transaction_read_only') as reads,
  current_setting('app.who', true) as who, pg_my_temp_schema()::regnamespace::text as "tempSchema",
  (select count(*)::int from pg_class where relnamespace = pg_my_temp_schema()) as temporary,
  (select count(*)::int from pg_locks where pid = pg_backend_pid() and locktype = 'advisory') as locks,
  (select count(*)::int from pg_listening_channels()) as channels,
  (select count(*)::int from pg_cursors where name <> '') as cursors,
  pg_current_xact_id_if_assigned()::text as xid`;

/** What the next caller finds, without what stays for good. */
async function stateOf(pool: DatabasePool): Promise<Record<string, unknown> | undefined> {
  const { tempSchema: _, ...state } = (await pool.query(STATE)).rows[0] ?? {};
  return { ...state, who: state.who || null };
}

/** Each leaves something on its connection; all of it has to be gone afterwards. */
const LEFT: [what: string, statements: string[]][] = [
  ['settings', ['set work_mem = 12345', `set app.who = 'ann'`]],
  ['a function call that sets', [`select set_config('app.who', 'ann', false)`]],
  ['how transactions begin', ['set session characteristics as transaction read only']],
  ['a role', ['set role pg_read_all_data']],
  ['another user', ['set session authorization pg_read_all_data']],
  ['temporary tables', ['create temp table t (id integer)', 'create temp view v as select 1']],
  ['a table made on the way', ['select 1 as n into temp t']],
  ['advisory locks', ['select pg_advisory_lock(1)', 'select pg_try_advisory_lock_shared(2)']],
  ['a listener', ['listen news']],
  [
    'an open transaction',
    ['begin', 'create table never (id integer)', 'declare c cursor for select 1'],
  ],
  [
    'an aborted transaction',
    ['begin', 'set work_mem = 12345', 'select 1 / (pg_backend_pid() * 0)'],
  ],
  ['a cursor', ['begin', 'declare c cursor with hold for select 1', 'commit']],
];

for (const [what, statements] of LEFT) {
  test(`gives nobody ${what} of who had the connection before`, async ({ stage }) => {
    const pool = stage.pool({ max: 1 });
    const clean = await stateOf(pool);
    const pid = await pidOf(pool);
    await pool.withConnection(async (connection) => {
      for (const text of statements) await connection.query(text).catch(() => undefined);
    });
    expect(await stateOf(pool)).toEqual(clean);
    await pool
      .withConnection(async (connection) => {
        await connection.query(`set app.who = 'bob'`);
        for (const text of statements) await connection.query(text).catch(() => undefined);
        throw new Error('no');
      })
      .catch(() => undefined);
    expect(await stateOf(pool)).toEqual(clean);
    expect(await pidOf(pool)).toBe(pid);

    const isTransaction = statements[0] === 'begin';
    if (isTransaction) return;
    for (const text of statements) await pool.query(text);
    expect(await stateOf(pool)).toEqual(clean);
    await pool.withTransaction(async (tx) => {
      for (const text of statements) await tx.query(text);
    });
    expect(await stateOf(pool)).toEqual(clean);
  });
}

test('gives nobody the sequences of who had the connection before', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  await pool.query('create sequence numbers');
  await pool.withConnection(async (connection) => {
    await connection.query(`select nextval('numbers')`);
    expect((await connection.query('select lastval() as n')).rows).toEqual([{ n: '1' }]);
  });
  expect(await failureOf(pool.query('select lastval()'))).toMatchObject({ sqlstate: '55000' });
});

test('gives nobody the statements that who had the connection before prepared by hand', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 1 });
  const prepareByHand = (connection: Pick<DatabasePool, 'query'>) =>
    connection.query('prepare mine as select 1');
  await pool.withConnection(prepareByHand);
  await pool.withConnection(prepareByHand);
  const { rows } = await pool.query(`select name from pg_prepared_statements where from_sql`);
  expect(rows).toEqual([]);
});

test('lets a connection keep what it was given for as long as it is held', async ({ stage }) => {
  const pool = stage.pool({ max: 2 });
  await pool.withConnection(async (connection) => {
    await connection.query(`set app.who = 'ann'`);
    await connection.query('create temp table t (id integer)');
    await connection.query('begin');
    await connection.query('insert into t values ($1)', [1]);
    await pool.query('select 1');
    await connection.query('commit');
    const { rows } = await connection.query(`select id, current_setting('app.who') as who from t`);
    expect(rows).toEqual([{ id: 1, who: 'ann' }]);
  });
});

test('rolls back only what is open, because the server logs a warning otherwise', async ({
  stage,
}) => {
  const wire = await stage.wire();
  const pool = stage.pool({ connectionString: wire.url, max: 1 });
  const sentBehind = async (...texts: string[]) => {
    await pool.withConnection(async (connection) => {
      for (const text of texts) await connection.query(text).catch(() => undefined);
    });
    await pool.query('show work_mem');
    return wire.news().flatMap((text) => /^(?:rollback; )?reset/.exec(text) ?? []);
  };
  expect(await sentBehind('set work_mem = 12345')).toEqual(['reset']);
  expect(await sentBehind('set work_mem = 12345', 'select 1 / 0')).toEqual(['reset']);
  expect(await sentBehind('begin', 'select 1')).toEqual(['rollback; reset']);
  expect(await sentBehind('begin', 'select 1 / 0')).toEqual(['rollback; reset']);
  expect(await sentBehind('begin', 'select 1', 'commit')).toEqual(['reset']);
});

test('sends nothing else beside plain statements and transactions', async ({ stage }) => {
  const wire = await stage.wire();
  const pool = stage.pool({ connectionString: wire.url, max: 1 });
  await pool.query('create table t (id integer, what text)');
  await pool.query('select 1');
  wire.news();
  const plain = [
    'insert into t values (1)',
    'update t set id = 2',
    'select id from t',
    'with x as (delete from t returning id) select * from x',
    'delete from t',
    'values (1)',
    `select set_config('app.who', 'ann', true)`,
    'show work_mem',
  ];
  for (const text of plain) await pool.query(text);
  expect(wire.news()).toEqual(plain);
  await pool.withTransaction(async (tx) => {
    for (const text of plain) await tx.query(text);
  });
  const [begin, ...rest] = wire.news();
  expect(begin?.trim()).toBe('begin');
  expect(rest).toEqual([...plain, 'commit']);
  expect(pool.metrics()).toMatchObject({ connectionsReset: 1 });
});
