import { expect } from 'vitest';
import type { FaultyProxy } from '../support/proxy.ts';
import { randomOf, seedsOf } from '../support/random.ts';
import { type FaultsStage, outcomeOf, faultsTest as test } from './pool-kit.ts';

type Fault = (proxy: FaultyProxy, stage: FaultsStage, number: number) => unknown;

/** Each may strike at any time, several of them one after the other. */
const FAULTS: Fault[] = [
  (proxy, _, number) => proxy.cutAfter(number, 'toServer'),
  (proxy, _, number) => proxy.cutAfter(number * 2, 'toClient'),
  (proxy) => proxy.cutOn('commit', { forward: true }),
  (proxy) => proxy.cutOn('commit', { forward: false }),
  (proxy) => proxy.cutOn('insert', { forward: true }),
  (proxy, _, number) => proxy.delay(number % 10, number % 30),
  (proxy) => proxy.delay(0),
  (_, stage) => stage.kill('random() < 0.5'),
  (_, stage) => stage.kill(`state = 'idle in transaction'`),
  async (proxy) => {
    proxy.refuse();
    await pause(100);
    await proxy.accept();
  },
  async (proxy) => {
    proxy.cut();
    await pause(50);
    proxy.restore();
  },
  async (proxy) => {
    proxy.silence();
    await pause(150);
    proxy.restore();
  },
  async (proxy, _, number) => {
    proxy.drop(number % 2 ? 'toServer' : 'toClient');
    await pause(150);
    proxy.restore();
  },
];

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

interface Told {
  confirmed: Set<number>;
  unknown: Set<number>;
  other: string[];
}

/** Writes pairs of rows, in callbacks that go on whatever happens, until it is told to stop. */
async function writePairs(
  pool: ReturnType<FaultsStage['pool']>,
  first: number,
  told: Told,
  isOver: () => boolean,
): Promise<void> {
  for (let id = first; !isOver(); id++) {
    const work = pool.withTransaction(async (tx) => {
      await tx.query(`insert into kept values ($1, 'a')`, [id]).catch(() => undefined);
      if (id % 5 === 0) await pause(3);
      await tx.query(`insert into kept values ($1, 'b')`, [id]).catch(() => undefined);
      if (id % 7 === 0) await tx.savepoint((sp) => sp.query('select 1'));
    });
    const outcome = await outcomeOf(work, 25_000);
    if (outcome === 'ok') told.confirmed.add(id);
    else if (outcome === 'OUTCOME_UNKNOWN') told.unknown.add(id);
    else if (outcome !== 'CONNECTION_LOST') told.other.push(outcome);
  }
}

for (const seed of seedsOf(1)) {
  test(`keeps whole what it confirmed, and nothing else, in chaos (seed ${seed})`, async ({
    stage,
  }) => {
    const proxy = await stage.proxy();
    const random = randomOf(seed);
    const pool = stage.pool({
      max: 4,
      connectionString: proxy.url,
      connectionTimeoutMillis: 1_000,
      acquireTimeoutMillis: 20_000,
      validateAfterIdleMillis: 5,
    });
    await pool.query('select 1');
    const told: Told = { confirmed: new Set(), unknown: new Set(), other: [] };
    let isOver = false;
    const workers = [0, 1, 2, 3, 4, 5].map((n) =>
      writePairs(pool, n * 1_000_000, told, () => isOver),
    );
    for (let n = 0; n < 40; n++) {
      await random.pick(FAULTS)(proxy, stage, 1 + random.below(2_000));
      await pause(random.below(60));
    }
    proxy.delay(0);
    proxy.cutAfter(Number.POSITIVE_INFINITY, 'toServer');
    proxy.cutOn('nothing says this', { forward: true });
    const before = told.confirmed.size;
    await expect.poll(() => told.confirmed.size - before, { timeout: 15_000 }).toBeGreaterThan(20);
    isOver = true;
    await Promise.all(workers);
    expect(told.other).toEqual([]);

    // Sessions whose client is gone may still be at work.
    await expect
      .poll(async () => (await stage.backends()).filter(({ state }) => state !== 'idle'))
      .toEqual([]);
    const rows = await stage.sql`
      select id, string_agg(what, '' order by what) as whats from kept group by id`;
    expect(rows.filter(({ whats }) => whats !== 'ab')).toEqual([]);
    const present = new Set(rows.map(({ id }) => id as number));
    expect([...told.confirmed].filter((id) => !present.has(id))).toEqual([]);
    const allowed = new Set([...told.confirmed, ...told.unknown]);
    expect([...present].filter((id) => !allowed.has(id))).toEqual([]);
  }, 60_000);
}
