import { expect } from 'vitest';
import { DatabaseManager } from '../../src/application/manager.ts';
import { parseConnectionUrl } from '../../src/config/url.ts';
import { openSession } from '../../src/connection/session.ts';
import type { PoolOptions } from '../../src/pool/options.ts';
import { DatabasePool } from '../../src/pool/pool.ts';
import { failureOf } from '../support/waiting.ts';
import { test } from './pool-kit.ts';

const made = (
  options: object,
  Maker: typeof DatabasePool | typeof DatabaseManager = DatabasePool,
) => {
  try {
    new Maker(options as PoolOptions);
  } catch (error) {
    return error;
  }
  throw new Error('it did not fail');
};

test('refuses options that do not exist, with the name that may be meant', () => {
  const wrong: [options: object, says: RegExp][] = [
    [{ maxx: 3 }, /option maxx is not known; did you mean "max"/],
    [{ connectionstring: 'postgres://h' }, /did you mean "connectionString"/],
    [{ statement_timeout: 5 }, /here it is called "statementTimeoutMillis"/],
    [{ ssl: { rejectUnauthorised: false }, max: 1, idle: 4 }, /option idle is not known/],
    [{ constructor: 1 }, /option constructor is not known/],
  ];
  for (const [options, says] of wrong) {
    for (const Maker of [DatabasePool, DatabaseManager]) {
      const error = made(options, Maker);
      expect(error).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringMatching(says) });
    }
  }
  expect(made('postgres://h' as unknown as object)).toMatchObject({
    code: 'CONFIG_INVALID',
    message: "the pool's options are a string",
  });
  expect(made({ migrations: 'ignore' })).toMatchObject({ code: 'CONFIG_INVALID' });
  new DatabaseManager({ migrations: 'ignore', migrationsDir: 'x', max: 2 });
});

test('refuses a password that is neither text nor function, before anything is asked of the server', async ({
  stage,
}) => {
  for (const password of [123, { a: 1 }, true]) {
    expect(made({ connectionString: stage.url, password })).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('password'),
    });
    const { options } = parseConnectionUrl(stage.url);
    const given = { ...options, password: password as unknown as string };
    expect(await failureOf(openSession(given))).toMatchObject({ code: 'CONFIG_INVALID' });
  }
});

test('connects with url as with connectionString, and says which option is wrong', async ({
  stage,
}) => {
  const env = { DATABASE_URL: 'postgres://nobody@192.0.2.1/nowhere' };
  const pool = stage.pool({ url: stage.url, env });
  expect(await pool.sql`select 1 as n`).toEqual([{ n: 1 }]);
  for (const [options, says] of [
    [{ url: 'mysql://h/d' }, "the pool's option url: "],
    [{ connectionString: 'h/d' }, "the pool's option connectionString: "],
    [{ connectionString: '' }, "the pool's option connectionString: "],
    [{ url: stage.url, host: 'h' }, 'more than one'],
    [{ url: stage.url, connectionString: stage.url }, 'more than one'],
    [{ url: stage.url, ssl: { rejectUnauthorised: true } }, 'did you mean "rejectUnauthorized"'],
  ] as [PoolOptions, string][]) {
    const error = await failureOf(stage.pool({ env, ...options }).warm());
    expect(error).toMatchObject({ code: 'CONFIG_INVALID' });
    expect(error.message).toContain(says);
    expect(error.message).not.toContain('--url');
  }
});

test('connects with what parseConnectionUrl found, as it is', async ({ stage }) => {
  const session = await openSession(parseConnectionUrl(stage.url).options);
  expect(await session.run('select 1 as n')).toMatchObject([{ n: 1 }]);
  await session.close();
  const nobody = await failureOf(openSession({ hosts: [{ host: 'localhost', port: 5432 }] }));
  expect(nobody).toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('user'),
  });
});

test('refuses options of a call that do not exist, and callbacks', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  const query = pool.query.bind(pool) as (...args: unknown[]) => Promise<unknown>;
  for (const options of [{ timeout: 5 }, () => undefined, { statementTimeoutMillis: -1 }]) {
    expect(await failureOf(query('select 1', [], options))).toMatchObject({ code: 'USAGE' });
  }
  const wrong = { isolationLevel: 'serializable' } as object;
  const error = await failureOf(pool.withTransaction(async () => 1, wrong));
  expect(error).toMatchObject({ code: 'USAGE', message: expect.stringContaining('"isolation"') });
});

const LIMIT = `select current_setting('statement_timeout') as at`;

test('allows one statement, one callback or one transaction another time', async ({ stage }) => {
  const pool = stage.pool({ max: 1, statementTimeoutMillis: 300 });
  const late = await failureOf(pool.query('select pg_sleep(5)'));
  expect(late).toMatchObject({ code: 'STATEMENT_TIMEOUT' });
  const longer = { statementTimeoutMillis: 30_000 };
  const slow = `select 'done' as at from pg_sleep(0.6)`;
  expect((await pool.query(slow, [], longer)).rows).toEqual([{ at: 'done' }]);
  expect((await pool.query(LIMIT)).rows).toEqual([{ at: '300ms' }]);
  expect((await pool.withConnection((one) => one.query(slow), longer)).rows).toHaveLength(1);
  expect((await pool.withTransaction((tx) => tx.query(slow), longer)).rows).toHaveLength(1);
  const none = { statementTimeoutMillis: 0 };
  expect((await pool.withTransaction((tx) => tx.query(LIMIT), none)).rows).toEqual([{ at: '0' }]);
  expect((await pool.query(LIMIT, [], none)).rows).toEqual([{ at: '0' }]);
  expect((await pool.query(LIMIT)).rows).toEqual([{ at: '300ms' }]);
  const short = await failureOf(
    pool.query('select pg_sleep(5)', [], { statementTimeoutMillis: 50 }),
  );
  expect(short).toMatchObject({ code: 'STATEMENT_TIMEOUT' });
});

test('shows who called in the stack of what a statement failed with', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  const stackOf = async (work: Promise<unknown>) => (await failureOf(work)).stack;
  expect(
    await stackOf(
      pool.withTransaction(async function applicationCode(tx) {
        await tx.query('select no_such_column');
      }),
    ),
  ).toContain('applicationCode');
  expect(
    await stackOf(
      pool.withTransaction(async (tx) => {
        await tx.savepoint(async function insideSavepoint(inner) {
          await inner.sql`select no_such_column`;
        });
      }),
    ),
  ).toContain('insideSavepoint');
  async function swallowing(): Promise<unknown> {
    return await pool.withTransaction(async (tx) => {
      await tx.query('select no_such_column').catch(() => undefined);
    });
  }
  expect((await failureOf(swallowing())).stack).toContain('swallowing');
  // What nobody awaits is heard by the commit, and by nobody else.
  const unheard = pool.withTransaction(async (tx) => {
    void tx.query('select no_such_column');
  });
  expect(await failureOf(unheard)).toMatchObject({ code: 'TRANSACTION_ROLLED_BACK' });
  await new Promise((resolve) => setTimeout(resolve, 50));
});

test('gives a column named __proto__ as every other one', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  const { rows, fields } = await pool.query(
    `select 1 as n, '{"isAdmin": true, "__proto__": {"a": 1}}'::jsonb as "__proto__"`,
  );
  const [row] = rows as [Record<string, unknown>];
  expect(row.isAdmin).toBeUndefined();
  expect(Object.getPrototypeOf(row)).toBe(Object.prototype);
  expect(Object.keys(row)).toEqual(['n', '__proto__']);
  expect(JSON.stringify(row)).toBe('{"n":1,"__proto__":{"isAdmin":true,"__proto__":{"a":1}}}');
  expect(fields.map(({ name }) => name)).toEqual(['n', '__proto__']);
  const value = Object.getOwnPropertyDescriptor(row, '__proto__')?.value as { a?: unknown };
  expect(value.a).toBeUndefined();
});

test('gives dates beyond those of JavaScript as text, and arrays of boxes as arrays', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 1 });
  const { rows } = await pool.query(`select '294276-12-31 23:59:59+00'::timestamptz::text as "text",
    '294276-12-31 23:59:59+00'::timestamptz as "late",
    array['294276-01-01'::timestamp, '2026-01-01', 'infinity'] as "list",
    array['(1,1),(0,0)'::box, null, '(3,4),(1,2)'] as "boxes",
    array[array['(1,1),(0,0)'::box], array['(3,4),(1,2)'::box]] as "nested"`);
  expect(rows).toEqual([
    {
      text: rows[0]?.text,
      late: rows[0]?.text,
      list: ['294276-01-01 00:00:00', new Date(2026, 0, 1), Number.POSITIVE_INFINITY],
      boxes: ['(1,1),(0,0)', null, '(3,4),(1,2)'],
      nested: [['(1,1),(0,0)'], ['(3,4),(1,2)']],
    },
  ]);
});

test('commits and rolls back what was prepared for two phases', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  for (const text of [`commit prepared 'x'`, `rollback prepared 'x'`]) {
    const error = await failureOf(pool.query(text));
    // The server was asked, and knows of no such transaction.
    expect(error).toMatchObject({ sqlstate: '42704' });
  }
});
