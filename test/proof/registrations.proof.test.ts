import postgres from 'postgres';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { listAuditGaps } from '../event-schema/audit-kit.ts';
import {
  addEvent,
  addUsers,
  listBrokenInvariants,
  listStrandedSeats,
} from '../event-schema/event-schema-kit.ts';
import {
  type Claim,
  castOf,
  chaosOf,
  claiming,
  deletionOf,
  listFalseClaims,
  type Operation,
  type Trio,
} from '../event-schema/mix-kit.ts';
import {
  closeSql,
  createDatabase,
  dropDatabase,
  openSql,
  withDatabase,
} from '../support/databases.ts';
import { type OwnServer, startOwnServer, whyNoOwnServer } from '../support/own-server.ts';
import { type Random, randomOf } from '../support/random.ts';
import { ensureTemplate } from '../support/template.ts';
import { crash } from './crash.ts';
import { keepCounts, settings } from './records.ts';
import { listWrongMoments } from './seat-history.ts';

// Registrations of every kind from 64 connections at three isolation levels, whose sessions are killed and
// whose server crashes; judged by the whole history, and by what each caller was told.

const { attempts, seed } = settings('races', { attempts: 1_500 });
const CLIENTS = 64;
const LEVELS = ['read committed', 'read committed', 'repeatable read', 'serializable'] as const;
type Level = (typeof LEVELS)[number];
/** Each round has a database of its own, so that a history is short enough to be told. */
const ROUND = 5_000;

let server: OwnServer;
let admin: postgres.Sql;
let template: string;

beforeAll(async () => {
  server = await startOwnServer({ max_connections: '120', track_commit_timestamp: 'on' });
  admin = openSql(server.url, 1);
  template = await ensureTemplate(server.url);
});

afterAll(async () => {
  if (admin) await closeSql(admin);
  await server?.remove();
});

test.skipIf(whyNoOwnServer() !== undefined)(
  'registrations are never oversold, lost or miscounted, at any time of their history',
  async () => {
    const counts = {
      attempts: 0,
      claims: 0,
      kills: 0,
      crashes: 0,
      tried: {} as Record<string, number>,
    };
    for (let round = 0; counts.attempts < attempts; round++) {
      const database = `round_${round}`;
      await createDatabase(admin, database, template);
      await runRound(
        withDatabase(server.url, database),
        seed + round,
        Math.min(ROUND, attempts),
        counts,
      );
      await dropDatabase(admin, database);
      await keepCounts('races', 'registrations', counts);
    }
    expect(counts.kills).toBeGreaterThan(0);
  },
  24 * 3_600_000,
);

interface Counts {
  attempts: number;
  claims: number;
  kills: number;
  crashes: number;
  /** Attempts by what they ended with. */
  tried: Record<string, number>;
}

async function runRound(
  url: string,
  seedOfRound: number,
  size: number,
  counts: Counts,
): Promise<void> {
  const random = randomOf(seedOfRound);
  const sql = openSql(url, 2);
  const claimed = Math.ceil(size / 6);
  const cast = await castOf(sql, 3 * claimed);
  const claims: Claim[] = [];
  const operations = Array.from({ length: size }, (_, at): Operation => {
    if (at % 6 > 0) return at % 6 < 2 ? deletionOf(cast, random) : chaosOf(cast, random);
    const users = cast.ownUsers.slice(at / 2, at / 2 + 3) as Trio;
    return claiming(claims, users, random.pick(cast.events), random, 1);
  });
  const waiting = operations.values();
  const work = Promise.all(
    Array.from({ length: CLIENTS }, (_, at) =>
      client(url, LEVELS[at % LEVELS.length] as Level, waiting, counts),
    ),
  );
  await disturb(sql, random, work, counts);
  await untilAlone(sql);
  counts.claims += claims.length;
  const where = `seed ${seedOfRound}`;
  expect(await listWrongMoments(sql), where).toEqual([]);
  expect(await listBrokenInvariants(sql), where).toEqual([]);
  expect(await listAuditGaps(sql), where).toEqual([]);
  expect(await listFalseClaims(sql, claims), where).toEqual([]);
  await sql`select settle_event_seats(id) from events`;
  expect(await listStrandedSeats(sql), where).toEqual([]);
  expect(await listWrongMoments(sql), where).toEqual([]);
  await closeSql(sql);
}

/** `integer[]`, which the driver otherwise asks the server about. */
const INTEGERS = {
  to: 1007,
  from: [1007],
  serialize: (list: number[]) => `{${list.join()}}`,
  parse: (text: string) => text.slice(1, -1).split(',').map(Number),
};

/** Takes operations until none is left, with a new session where nobody knows the old one. */
async function client(
  url: string,
  level: Level,
  waiting: IterableIterator<Operation>,
  counts: Counts,
): Promise<void> {
  const open = () =>
    postgres(url, {
      ...{ max: 1, onnotice: () => undefined, backoff: false },
      // What the driver asks on its own when it connects nobody waits for, also where it is killed.
      fetch_types: false,
      types: { integers: INTEGERS },
      connection: { application_name: 'evdb-test', default_transaction_isolation: level },
    });
  let sql = open();
  for (const operation of waiting) {
    for (let again = 0; again < 50; again++) {
      const code = await codeOf(operation(sql));
      counts.attempts++;
      counts.tried[code] = (counts.tried[code] ?? 0) + 1;
      if (code === '40001' || code === '40P01') continue;
      if (!/^(ok|23...)$/.test(code)) {
        await closeSql(sql);
        await pause(20);
        sql = open();
      }
      break;
    }
  }
  await closeSql(sql);
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'ok';
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === undefined) throw error;
    return code;
  }
}

/** Kills sessions or their statements until the work is done, and once, amid it, the whole server. */
async function disturb(
  sql: postgres.Sql,
  random: Random,
  work: Promise<unknown>,
  counts: Counts,
): Promise<void> {
  let isOver = false;
  const settled = work.finally(() => {
    isOver = true;
  });
  settled.catch(() => undefined);
  const crashAt = 4 + random.below(8);
  for (let round = 0; !isOver; round++) {
    if (round === crashAt) {
      await crash(server);
      counts.crashes++;
    }
    const call = random.pick(['pg_terminate_backend', 'pg_cancel_backend']);
    const hit = await sql
      .unsafe(`
        select ${call}(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle'
          and application_name = 'evdb-test'
        order by random() limit 1`)
      .catch(() => []);
    counts.kills += hit.length;
    await pause(20 + random.below(40));
  }
  await settled;
}

/** The server finishes what clients that are gone have asked for. */
async function untilAlone(sql: postgres.Sql): Promise<void> {
  await expect
    .poll(
      () => sql`
        select pid from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
          and (state <> 'idle' or backend_xid is not null)`,
      { timeout: 60_000 },
    )
    .toEqual([]);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

test.skipIf(whyNoOwnServer() !== undefined)(
  'a seat sold twice for a moment is found in the history',
  async () => {
    await createDatabase(admin, 'forged', template);
    const sql = openSql(withDatabase(server.url, 'forged'), 1);
    const [user] = await addUsers(sql, 1);
    const event = await addEvent(sql, { capacity: 1 });
    await sql`select safe_event_registration(${user ?? 0}, ${event})`;
    expect(await listWrongMoments(sql)).toEqual([]);
    const entry = (operation: string, before: object | null, after: object | null) => sql`
    insert into audit_logs (table_name, operation, row_id, old_values, new_values)
    values ('registrations', ${operation}, 2, ${sql.json(before as never)}, ${sql.json(after as never)})`;
    const taken = { event_id: event, status: 'confirmed' };
    await entry('INSERT', null, taken);
    await entry('DELETE', taken, null);
    expect(await listWrongMoments(sql)).toMatchObject([{ event, taken: 2, capacity: 1 }]);
    await closeSql(sql);
    await dropDatabase(admin, 'forged');
  },
);
