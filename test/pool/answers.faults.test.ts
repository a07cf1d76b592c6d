// Whose answer is whose on a connection of the pool, whatever comes between.

import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { expect } from 'vitest';
import type { DatabasePool } from '../../src/pool/pool.ts';
import { randomOf } from '../support/random.ts';
import { failureOf } from '../support/waiting.ts';
import { type FaultsStage, faultsTest, outcomeOf } from './pool-kit.ts';

interface Meddler {
  url: string;
  /** Says something to every client, as if the server did. */
  say(bytes: Buffer): void;
  /** Passes on what the server says in pieces of so many bytes. */
  pieces: number;
}

const test = faultsTest.extend<{ meddler: Meddler }>({
  meddler: async ({ stage }, use) => {
    const target = new URL(stage.url);
    const clients = new Set<Socket>();
    const meddler = {
      url: '',
      pieces: 0,
      say: (bytes: Buffer) => {
        for (const client of clients) client.write(bytes);
      },
    };
    const listener = createServer((client) => {
      const server = connect(Number(target.port), target.hostname);
      clients.add(client.setNoDelay(true));
      client.on('data', (chunk) => server.write(chunk));
      server.on('data', (chunk) => {
        const size = meddler.pieces || chunk.length;
        for (let at = 0; at < chunk.length; at += size) client.write(chunk.subarray(at, at + size));
      });
      for (const [from, to] of [
        [client, server],
        [server, client],
      ] as const) {
        from.on('error', () => to.destroy()).on('close', () => to.destroy());
      }
      client.on('close', () => clients.delete(client));
    });
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    const url = new URL(stage.url);
    url.hostname = '127.0.0.1';
    url.port = String((listener.address() as AddressInfo).port);
    meddler.url = url.href;
    await use(meddler);
    for (const client of clients) client.destroy();
    await new Promise<void>((resolve) => listener.close(() => resolve()));
  },
});

/** The meddler is gone when pools are looked at. */
const AFTERWARDS = { isReachable: false };

/** A statement, and the row or the state that it answers with. */
type Asked = [text: string, params: unknown[], expected: object | string];

/** Each fails or succeeds in another phase: parsed, described, bound, begun, or amid its rows. */
function ask(n: number): Asked {
  const kinds: Asked[] = [
    [`select $1::int as n`, [n], { n }],
    [`select ${n} as n`, [], { n }],
    [`select $1::int[] as list`, [[n, null]], { list: [n, null] }],
    [`select $1::jsonb as doc, $2::text as t`, [[n, 'x'], 'ä'], { doc: [n, 'x'], t: 'ä' }],
    [`select $1 as anything`, [n], { anything: String(n) }],
    [`select id from nowhere where id = $1`, [n], '42P01'],
    [`select $1::nosuchtype`, [[n]], '42704'],
    [`selec ${n % 3}`, [], '42601'],
    [`select $1::int as n`, [`no number ${n}`], '22P02'],
    [`select $1::int[] as list`, [['x', n]], '22P02'],
    [`select 1 / (g - 3) as x from generate_series(1, 5) g where $1::int > 0`, [n + 1], '22012'],
    [`select $1::int + $2::int as n`, [n], '08P01'],
    ['', [], ''],
  ];
  return kinds[n % kinds.length] as Asked;
}

async function answerOf(query: DatabasePool['query'], [text, params]: Asked) {
  try {
    const { rows } = await query(text, params);
    return rows[0] ?? '';
  } catch (error) {
    return (error as { sqlstate?: string }).sqlstate ?? error;
  }
}

for (const prepare of ['auto', true, false] as const) {
  for (const pieces of [0, 1, 7]) {
    test(`gives everybody their own answer, in pieces of ${pieces || 'any number of'} bytes, with prepare ${prepare}`, async ({
      stage,
      meddler,
    }) => {
      meddler.pieces = pieces;
      const pool = stage.pool({ connectionString: meddler.url, max: 3, prepare }, AFTERWARDS);
      const random = randomOf(7);
      const asked = Array.from({ length: 300 }, () => ask(random.below(1_000)));
      const answers = await Promise.all(asked.map((one) => answerOf(pool.query.bind(pool), one)));
      expect(answers).toEqual(asked.map(([, , expected]) => expected));
      // And where all of them wait for each other on one connection.
      const held = await pool.withConnection((connection) =>
        Promise.all(asked.map((one) => answerOf(connection.query, one))),
      );
      expect(held).toEqual(asked.map(([, , expected]) => expected));
      expect(pool.metrics().connectionsDiscarded).toBe(0);
    });
  }
}

test('takes no notice, setting or notification for an answer', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  await pool.query(`create function noisy(n int) returns int language plpgsql as $$ begin
    raise notice 'one %', n; perform set_config('application_name', 'noisy ' || n, false);
    raise warning 'two %', n; return n; end $$`);
  await pool.withConnection(async (connection) => {
    await connection.query('listen here');
    for (let n = 0; n < 5; n++) {
      const [one, two] = await Promise.all([
        connection.query('select noisy($1::int) as n', [n]),
        connection.query(`select 'x' as x`),
        connection.query(`notify here, 'to whom it may concern'`),
      ]);
      expect([one.rows, two.rows]).toEqual([[{ n }], [{ x: 'x' }]]);
    }
  });
});

const message = (letter: string, body: string) => {
  const bytes = Buffer.from(`${letter}\0\0\0\0${body}`, 'latin1');
  bytes.writeInt32BE(bytes.length - 1, 1);
  return bytes;
};

const STRAY: [what: string, bytes: Buffer][] = [
  ['a row', message('D', '\0\x01\0\0\0\x011')],
  ['an end', message('C', 'SELECT 1\0')],
  ['a readiness', message('Z', 'I')],
  ['a description', message('T', '\0\0')],
  ['a message of a kind that there is not', message('y', 'what')],
  ['a message of negative length', Buffer.from([0x44, 255, 255, 255, 255])],
];
for (const [what, bytes] of STRAY) {
  for (const prepare of [true, false]) {
    test(`ends a connection that says ${what} nobody asked for, prepared ${prepare}`, async ({
      stage,
      meddler,
    }) => {
      const pool = stage.pool({ connectionString: meddler.url, max: 1, prepare }, AFTERWARDS);
      for (let n = 0; n < 4; n++) await pool.query('select $1::int as n', [n]);
      meddler.say(bytes);
      await expect.poll(() => pool.metrics().total).toBe(0);
      for (let n = 0; n < 4; n++) {
        expect((await pool.query('select $1::int as n', [n])).rows).toEqual([{ n }]);
      }
    });
  }
}

test('rejects a row that has other columns than were described', async ({ stage, meddler }) => {
  const pool = stage.pool({ connectionString: meddler.url, max: 1, prepare: true }, AFTERWARDS);
  const text = `select pg_sleep(0.3)::text as a, 2 as b`;
  for (let n = 0; n < 2; n++) await pool.query(text);
  const slow = outcomeOf(pool.query(text));
  await stage.until(`state = 'active'`);
  meddler.say(message('D', '\0\x01\0\0\0\x011'));
  expect(await slow).toBe('CONNECTION_LOST');
  expect((await pool.query('select 1 as n')).rows).toEqual([{ n: 1 }]);
});

for (const prepare of [true, false]) {
  test(`rejects one caller alone, wherever an answer is cut, prepared ${prepare}`, async ({
    stage,
  }) => {
    const proxy = await stage.proxy();
    const pool = stage.pool({ connectionString: proxy.url, max: 1, prepare });
    // The values of the second wait for their types.
    const asked: Asked[] = [
      ['select $1::int as n, $2::text as t', [1, 'x'], { n: 1, t: 'x' }],
      ['select $1::jsonb as doc', [[1, 2]], { doc: [1, 2] }],
    ];
    for (const one of asked) {
      for (let bytes = 1; bytes <= 140; bytes += 9) {
        expect(await answerOf(pool.query.bind(pool), one)).toEqual(one[2]);
        proxy.cutAfter(bytes, 'toClient');
        const answers = [1, 2, 3].map(() => answerOf(pool.query.bind(pool), one));
        const lost = (await Promise.all(answers)).filter((answer) => answer instanceof Error);
        // Beyond the end of one answer it may strike while the next connection is made.
        expect(lost.length).toBeLessThanOrEqual(1);
        for (const error of lost) expect(error).toMatchObject({ code: 'CONNECTION_LOST' });
        proxy.cutAfter(Number.POSITIVE_INFINITY, 'toClient');
      }
    }
  });
}

async function preparedCount(stage: FaultsStage, query: DatabasePool['query']): Promise<number> {
  expect(stage.url).toBeTruthy();
  const { rows } = await query<{ n: number }>(
    'select count(*)::int as n from pg_prepared_statements',
  );
  return rows[0]?.n ?? -1;
}

test('has the server forget what became void, and holds 250 at most where hundreds wait', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 1 });
  await pool.withConnection(async ({ query }) => {
    const read = () => query('select * from kept');
    for (let n = 0; n < 5; n++) {
      await read();
      await read();
      await query(`alter table kept add column more_${n} integer`);
      expect((await read()).fields).toHaveLength(3 + n);
    }
    const before = await preparedCount(stage, query);
    expect(before).toBeLessThanOrEqual(2);
    const all = () =>
      Promise.all(
        Array.from({ length: 300 }, async (_, n) => {
          expect((await query(`select ${n} + $1::int as n`, [1])).rows).toEqual([{ n: n + 1 }]);
        }),
      );
    for (let round = 0; round < 3; round++) await all();
    expect(await preparedCount(stage, query)).toBe(250);
  });
});

test('runs nothing twice where a statement inside of it was void', async ({ stage }) => {
  const pool = stage.pool({ max: 1 });
  await pool.query('create sequence steps');
  await pool.query(`create function work() returns int language plpgsql as $$ begin
    perform nextval('steps'); execute 'execute by_hand'; return 1; end $$`);
  await pool.withConnection(async ({ query }) => {
    await query('prepare by_hand as select * from kept');
    await query('select work()');
    await query('select work()');
    await query('alter table kept add column more integer');
    const error = await failureOf(query('select work()'));
    expect(error).toMatchObject({ sqlstate: '0A000' });
    expect((await query('select last_value::int as n from steps')).rows).toEqual([{ n: 3 }]);
  });
});

test('reads values and results that are longer than what the network carries at once', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 2 });
  const long = 'ä😀x'.repeat(700_000);
  const [echo, many] = await Promise.all([
    pool.query<{ t: string }>('select $1::text as t', [long]),
    pool.query('select n, repeat(chr(97 + n % 26), n % 50) as t from generate_series(1, 30000) n'),
  ]);
  expect(echo.rows[0]?.t === long).toBe(true);
  const letter = (n: number) => String.fromCharCode(97 + (n % 26));
  const expected = Array.from({ length: 30_000 }, (_, i) => ({
    n: i + 1,
    t: letter(i + 1).repeat((i + 1) % 50),
  }));
  expect(many.rows).toEqual(expected);
  expect(many.rowCount).toBe(30_000);
});

test('gives the next caller their own answer where one was cancelled amid rows or between two', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 1 });
  for (let n = 0; n < 20; n++) {
    const ending = new AbortController();
    const { signal } = ending;
    const first = outcomeOf(
      pool.query(`select repeat('x', 1000) from generate_series(1, 20000)`, [], { signal }),
    );
    const second = pool.query('select $1::int as n', [n]);
    setTimeout(() => ending.abort(Object.assign(new Error('gone'), { code: 'gone' })), n);
    expect(await first).toMatch(/^(ok|gone)$/);
    expect((await second).rows).toEqual([{ n }]);
  }
});
