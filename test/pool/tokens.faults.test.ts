import { expect } from 'vitest';
import type { PoolConnection } from '../../src/pool/handle.ts';
import { faultsTest as test } from './pool-kit.ts';

type Query = Pick<PoolConnection, 'query'>;
interface Answer {
  token: string;
}

/** Ways of asking for a token, each with what must come of it: the token, or the code of an error. */
const ASKS: [
  expected: string[],
  ask: (db: Query, token: string) => Promise<{ rows: unknown[] }>,
][] = [
  [['token'], (db, token) => db.query('select $1::text as token', [token])],
  [['token'], (db, token) => db.query(`select '${token}' as token`)],
  [['token'], (db, token) => db.query('insert into tokens values ($1) returning token', [token])],
  [['token'], (db, token) => db.query('select ($1::text[])[2] as token', [['x', token]])],
  [['token'], (db, token) => db.query(`select $1::jsonb->>0 as token`, [[token, 1n]])],
  [['token'], (db, token) => db.query('select $2 as token, $1::int', [undefined, token])],
  [['22012'], (db, token) => db.query('select $1::text as token, 1 / $2::int', [token, 0])],
  [['22P02'], (db, token) => db.query('select $1::int as token', [token])],
  [['42P01'], (db, token) => db.query('select token from nowhere where token = $1', [token])],
  [['08P01'], (db, token) => db.query('select $1::text as token, $2::int', [token])],
  [['08006'], (db, token) => db.query('select lost($1) as token', [token])],
  [['USAGE'], (db, token) => db.query('select $1, $2', [token, new Map()])],
  [['USAGE'], (db, token) => db.query(`select '${token}\0'`)],
  [['USAGE'], (db, token) => db.query('select $1', new Array(70_000).fill(token))],
  [['USAGE'], (db, token) => db.query('select $1', [db.query('select nonsense($1)', [token])])],
  [['22021'], (db, token) => db.query('select $1::text as token', [`${token}\0`])],
];

async function outcomeOf(answer: Promise<{ rows: unknown[] }>, token: string): Promise<string> {
  try {
    const [row] = (await answer).rows as [Answer];
    return row.token === token ? 'token' : `the answer to ${row.token}`;
  } catch (error) {
    const { sqlstate, code } = error as { sqlstate?: string; code: string };
    return sqlstate ?? code;
  }
}

test('gives everybody their own answer, whatever fails beside it and while the schema changes', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 4, statementTimeoutMillis: 20_000 });
  const tool = stage.pool({ max: 1 });
  await tool.query('create table tokens (token text)');
  await tool.query(`create function lost(token text) returns text language plpgsql as $$ begin
    raise exception 'lost %', token using errcode = '08006'; end $$`);
  const wrong: string[] = [];
  let sent = 0;
  const send = async (db: Query, from: number, count: number) => {
    const work = Array.from({ length: count }, async (_, n) => {
      const [expected, ask] = ASKS[(from * 7 + n) % ASKS.length] as (typeof ASKS)[number];
      sent += 1;
      const token = `t${sent}`;
      const outcome = await outcomeOf(ask(db, token), token);
      if (!expected.includes(outcome)) wrong.push(`${token}, ${expected}: ${outcome}`);
    });
    await Promise.all(work);
  };
  const types = ['varchar(40)', 'name', 'text'];
  for (let round = 0; round < 12; round++) {
    await Promise.all([
      send(pool, round, 48),
      pool.withConnection((connection) => send(connection, round + 3, 32)),
      pool.withConnection(async (connection) => {
        await connection.query('deallocate all');
        await send(connection, round + 5, 32);
      }),
      tool.query(`alter table tokens alter column token type ${types[round % types.length]}`),
    ]);
  }
  expect(wrong).toEqual([]);
  expect(pool.metrics().connectionsDiscarded).toBe(0);
});
