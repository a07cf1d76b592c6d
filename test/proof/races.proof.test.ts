import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import {
  EvdbError,
  type MigrateOptions,
  migrateDown,
  migrateUp,
  readStatus,
  resetSchema,
} from '../../src/index.ts';
import { test } from '../support/fixture.ts';
import { type Random, randomOf } from '../support/random.ts';
import { connectionTo } from '../support/sessions.ts';
import { makeFolder, writeFolder } from './folders.ts';
import { judge } from './judge.ts';
import { settings } from './records.ts';

// Runners of different commands at the same moment, some of which lose their sessions; registrations and
// the pool have races of their own (scripts/proof.mjs names them).

const { seeds, seed: firstSeed } = settings('races', { seeds: 3 });
const RUNNERS = 12;

type Run = (options: MigrateOptions) => Promise<unknown>;

function commandOf(random: Random, count: number): Run {
  const version = String(random.below(count + 1));
  return random.pick<Run>([
    migrateUp,
    migrateUp,
    (options) => migrateUp({ ...options, to: version === '0' ? '1' : version }),
    (options) => migrateDown({ ...options, to: version }),
    (options) => migrateDown({ ...options, to: version }),
    (options) => resetSchema({ ...options, confirm: true }),
    readStatus,
  ]);
}

/** Whatever one runner does to another, each says what happened to it with a code. */
async function faultOf(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    if (error instanceof EvdbError && error.code !== 'INTERNAL') return undefined;
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
}

test('runners that go up, down and reset at once leave whole migrations and a true history', async ({
  emptyDb: { sql, url },
}) => {
  await sql`create schema proof`;
  await sql`create table proof.ran (schema text, version integer, direction text)`;
  const connection = await connectionTo(url);
  for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
    const random = randomOf(seed);
    const schema = `race_${seed}`;
    const directory = await mkdtemp(join(tmpdir(), 'evdb-test-race-'));
    const folder = makeFolder(random);
    await writeFolder(directory, folder);
    const options = { connection, directory, schema, lockWaitMs: 120_000 };
    const runners = Array.from({ length: RUNNERS }, async () => {
      const run = commandOf(random, folder.length);
      await pause(random.below(150));
      return faultOf(run(options));
    });
    const killer = killing(sql, random);
    const faults = (await Promise.all(runners)).filter((fault) => fault !== undefined);
    await killer.stop();
    await migrateUp(options);
    const applied = folder.map(({ version }) => version);
    const wrong = [...faults, ...(await judge(sql, { schema, folder, applied }))];
    expect(wrong, `seed ${seed}`).toEqual([]);
    await rm(directory, { recursive: true, force: true });
  }
}, 3_600_000);

/** Ends a session of a runner now and then. */
function killing(sql: Parameters<typeof judge>[0], random: Random) {
  let isOver = false;
  const kills = (async () => {
    while (!isOver) {
      await pause(40 + random.below(120));
      await sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name = 'evdb'
        order by random() limit 1`;
    }
  })();
  return {
    stop: async () => {
      isOver = true;
      await kills;
    },
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
