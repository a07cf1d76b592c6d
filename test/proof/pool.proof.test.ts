import type postgres from 'postgres';
import { expect } from 'vitest';
import type { DatabasePool } from '../../src/pool/pool.ts';
import { faultsTest as test } from '../pool/pool-kit.ts';
import type { FaultyProxy } from '../support/proxy.ts';
import { type Random, randomOf } from '../support/random.ts';
import { keepCounts, settings } from './records.ts';

// Callers of one pool ask for tokens of their own while the line is cut, delayed and silent and backends
// die: nobody may hear an answer to somebody else, and no row may be there that nobody wrote, or twice.

const { queries, seed } = settings('races', { queries: 3_000 });
const CALLERS = 64;

/** The table `kept` holds a row for each token that was written. */
interface Told {
  queries: number;
  /** By what they ended with. */
  outcomes: Record<string, number>;
  wrong: string[];
  kept: Set<number>;
  mayBeKept: Set<number>;
}

type Ask = (pool: DatabasePool, id: number) => Promise<unknown>;

const one = async (rows: Promise<{ rows: unknown[] }>) => {
  const [row] = (await rows).rows;
  return (row as { token?: unknown } | undefined)?.token;
};

/** Each gives its own number as a token, or fails. */
const READS: Ask[] = [
  (pool, id) => one(pool.query('select $1::int as token', [id])),
  (pool, id) => one(pool.query(`select ${id} as token`)),
  (pool, id) => one(pool.query('select ($1::int[])[2] as token', [[0, id]])),
  (pool, id) => one(pool.query('select $1::int as token, 1 / ($1::int - $1::int)', [id])),
  (pool, id) => one(pool.query('select $1::int as token from generate_series(1, 400)', [id])),
  (pool, id) => one(pool.query('select no_such_column, $1::int as token', [id])),
];
const WRITES: Ask[] = [
  (pool, id) => one(pool.query(`insert into kept values ($1, 'one') returning id as token`, [id])),
  (pool, id) =>
    pool.withTransaction(async (tx) => {
      await tx.query(`insert into kept values ($1, 'one')`, [id]);
      return one(tx.query('select id as token from kept where id = $1', [id]));
    }),
];

const FAULTS: ((proxy: FaultyProxy, kill: () => Promise<unknown>, random: Random) => unknown)[] = [
  (proxy, _, random) => proxy.cutAfter(1 + random.below(3_000), 'toServer'),
  (proxy, _, random) => proxy.cutAfter(1 + random.below(6_000), 'toClient'),
  (proxy) => proxy.cutOn('insert', { forward: true }),
  (proxy) => proxy.cutOn('commit', { forward: true }),
  (proxy) => proxy.cutOn('commit', { forward: false }),
  (proxy, _, random) => proxy.delay(random.below(4), random.below(8)),
  (proxy) => proxy.delay(0),
  (_, kill) => kill(),
  async (proxy) => {
    proxy.cut();
    await pause(20);
    proxy.restore();
  },
  async (proxy) => {
    proxy.silence();
    await pause(60);
    proxy.cut();
    proxy.restore();
  },
];

test(
  'a pool in chaos gives nobody the answer of somebody else, and writes nothing astray',
  async ({ stage }) => {
    const proxy = await stage.proxy();
    const pool = stage.pool({
      ...{ max: 8, connectionString: proxy.url, connectionTimeoutMillis: 2_000 },
      ...{ acquireTimeoutMillis: 30_000, validateAfterIdleMillis: 5 },
    });
    await pool.query('select 1');
    const told: Told = {
      queries: 0,
      outcomes: {},
      wrong: [],
      kept: new Set(),
      mayBeKept: new Set(),
    };
    let isOver = false;
    const work = Promise.all(
      Array.from({ length: CALLERS }, (_, at) => ask(pool, randomOf(seed * CALLERS + at), told)),
    ).finally(() => {
      isOver = true;
    });
    work.catch(() => undefined);
    const random = randomOf(seed);
    let faults = 0;
    for (; !isOver; faults++) {
      await random.pick(FAULTS)(proxy, () => stage.kill('random() < 0.3'), random);
      await untilMore(told, 10 + random.below(100), () => isOver);
    }
    await work;
    proxy.delay(0);
    proxy.disarm();
    await expect
      .poll(async () => (await stage.backends()).filter(({ state }) => state !== 'idle'))
      .toEqual([]);
    const { outcomes, wrong } = told;
    await keepCounts('races', 'pool', {
      queries: told.queries,
      faults,
      outcomes,
      written: told.kept.size,
    });
    expect(wrong).toEqual([]);
    expect(await strayWrites(stage.sql, told)).toEqual([]);
    // A proof without any failure, or without anything but, would prove nothing.
    expect(outcomes.token).toBeGreaterThan(queries / 4);
    expect(outcomes.CONNECTION_LOST).toBeGreaterThan(0);
  },
  24 * 3_600_000,
);

/** Lets so many queries be asked before the next fault, so that a slow machine gets on as well. */
async function untilMore(told: Told, count: number, isOver: () => boolean): Promise<void> {
  const from = told.queries;
  while (told.queries < from + count && !isOver()) await pause(2);
}

async function ask(pool: DatabasePool, random: Random, told: Told): Promise<void> {
  while (told.queries < queries) {
    const id = ++told.queries;
    const isWrite = random.below(3) === 0;
    const { outcome, token } = await outcomeOf(random.pick(isWrite ? WRITES : READS)(pool, id));
    told.outcomes[outcome] = (told.outcomes[outcome] ?? 0) + 1;
    if (outcome === 'token' && token !== id) told.wrong.push(`${id} heard the answer to ${token}`);
    if (outcome === 'INTERNAL') told.wrong.push(`${id} ended as a fault of evdb`);
    if (!isWrite) continue;
    if (outcome === 'token') told.kept.add(id);
    else told.mayBeKept.add(id);
  }
}

async function outcomeOf(work: Promise<unknown>): Promise<{ outcome: string; token?: unknown }> {
  try {
    return { outcome: 'token', token: await work };
  } catch (error) {
    const { code = 'INTERNAL', sqlstate } = error as { code?: string; sqlstate?: string };
    return { outcome: sqlstate ?? code };
  }
}

/** Rows that are there twice or were never asked for, and acknowledged ones that are missing. */
async function strayWrites(sql: postgres.Sql, { kept, mayBeKept }: Told): Promise<string[]> {
  const rows = await sql<{ id: number; count: number }[]>`
    select id, count(*)::int as count from kept group by id`;
  const found = new Set(rows.map(({ id }) => id));
  return [
    ...rows.filter(({ count }) => count > 1).map(({ id }) => `${id} is there twice`),
    ...rows
      .filter(({ id }) => !kept.has(id) && !mayBeKept.has(id))
      .map(({ id }) => `${id} is astray`),
    ...[...kept].filter((id) => !found.has(id)).map((id) => `${id} is lost`),
  ];
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
