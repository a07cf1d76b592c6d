import type postgres from 'postgres';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import {
  type MigrateOptions,
  type MigrationProgress,
  migrateUp,
  parseThrottle,
  readBackfills,
  requestBackfill,
} from '../../../src/index.ts';
import { closeSql, openSql } from '../../support/databases.ts';
import { test as base } from '../../support/fixture.ts';
import { type MigrateStage, test, untilHeard } from '../../support/migrate-kit.ts';
import { type SpecialServer, specialServers } from '../../support/own-server.ts';
import { runCli } from '../../support/run-cli.ts';
import { connectionTo } from '../../support/sessions.ts';
import { failureOf, POLL, until } from '../../support/waiting.ts';

const INCREMENT =
  '-- evdb: backfill events\n-- evdb: batch-rows 10\nupdate events set n = n + 1;\n';

async function makeEvents({ sql, migration }: MigrateStage): Promise<void> {
  await sql.unsafe(`
    create table events (id int primary key, n int not null default 0);
    insert into events (id) select i from generate_series(1, 100) i`);
  await migration('001_n', INCREMENT, 'update events set n = 0;');
}

async function areAllDone({ sql }: MigrateStage): Promise<unknown> {
  return (await sql`select bool_and(n = 1) as done from events`)[0]?.done;
}

/** Calls `act` once, after the first batch. */
function afterFirst(stage: MigrateStage, act: () => void): MigrateOptions {
  let isDone = false;
  return {
    ...stage.options,
    onProgress: (progress) => {
      stage.options.onProgress?.(progress);
      if (progress.kind === 'backfill' && !isDone) {
        isDone = true;
        act();
      }
    },
  };
}

function reasons({ heard }: MigrateStage): string[] {
  return heard.flatMap((progress) =>
    progress.kind === 'backfill-rest' && progress.isNew
      ? progress.reasons.map(({ code }) => code)
      : [],
  );
}

describe('from another session a backfill', () => {
  test('is paused, is seen to rest, and continues', async ({ stage }) => {
    await makeEvents(stage);
    const options = await stage.optionsFor(stage.url);
    const lock = stage.openOther();
    await lock.unsafe('begin; update events set n = n where id = 55');
    const running = migrateUp(stage.options);
    await expect
      .poll(async () => (await readBackfills(options)).backfills[0]?.batches, POLL)
      .toBeGreaterThan(0);
    expect(await requestBackfill({ ...options, wanted: 'pause' })).toMatchObject({
      ...{ label: '001', state: 'paused', table: 'public.events' },
    });
    await lock.unsafe('rollback');
    await untilHeard(stage.heard, 'backfill-rest');
    const { backfills } = await readBackfills(options);
    expect(backfills).toMatchObject([
      { state: 'paused', restsFor: expect.stringContaining('it is paused') },
    ]);
    expect(await areAllDone(stage)).toBe(false);
    await requestBackfill({ ...options, version: '1', wanted: 'run' });
    await running;
    expect(await areAllDone(stage)).toBe(true);
    expect(await readBackfills(options)).toEqual({ schema: 'public', backfills: [] });
  });

  test('is cancelled, and the next up continues it', async ({ stage }) => {
    await makeEvents(stage);
    const options = await stage.optionsFor(stage.url);
    const lock = stage.openOther();
    await lock.unsafe('begin; update events set n = n where id = 55');
    const running = failureOf<Error>(migrateUp(stage.options));
    await expect
      .poll(async () => (await readBackfills(options)).backfills[0]?.batches, POLL)
      .toBeGreaterThan(0);
    await requestBackfill({ ...options, wanted: 'cancel' });
    await lock.unsafe('rollback');
    expect(await running).toMatchObject({ code: 'BACKFILL_CANCELLED' });
    expect((await readBackfills(options)).backfills).toMatchObject([{ state: 'stopped' }]);
    await migrateUp(stage.options);
    expect(await areAllDone(stage)).toBe(true);
  });

  test('is not there to be asked', async ({ stage }) => {
    await makeEvents(stage);
    for (const wanted of ['run', 'pause', 'cancel'] as const) {
      const error = await failureOf<Error>(requestBackfill({ ...stage.options, wanted }));
      expect(error).toMatchObject({ code: 'UNKNOWN_VERSION', message: /no backfill/ });
    }
    expect(await readBackfills(stage.options)).toEqual({ schema: 'public', backfills: [] });
  });

  test('is shown, paused and resumed by the command line', async ({ stage, project }) => {
    await makeEvents(stage);
    const stop = new AbortController();
    const options = afterFirst(stage, () => stop.abort(new Error('stopped')));
    await failureOf(migrateUp({ ...options, signal: stop.signal }));
    const cli = { cwd: project.dir, env: { EVDB_URL: stage.url } };
    expect(await runCli(['backfill', 'status'], cli)).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(
        /001 +n +stopped +public\.events +10 of about [0-9,]+ rows +10 rows/,
      ),
    });
    expect(await runCli(['backfill', 'pause'], cli)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('001_n is paused'),
    });
    expect((await runCli(['backfill', 'status'], cli)).stdout).toContain(
      '\n001 is paused too: the next run waits until `evdb backfill resume 001`\n',
    );
    expect(await runCli(['backfill', 'resume', '001'], cli)).toMatchObject({ code: 0 });
    expect(await runCli(['backfill', 'cancel'], cli)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('nothing is at work on 001_n'),
    });
    expect(await runCli(['migrate', 'up', '--throttle', 'off'], cli)).toMatchObject({ code: 0 });
    expect(await areAllDone(stage)).toBe(true);
  });
});

describe('a backfill gives way', () => {
  test('outside of its window it does nothing', async ({ stage }) => {
    await makeEvents(stage);
    const hour = (new Date().getHours() + 3) % 23;
    const window = { from: hour * 60, to: hour * 60 + 30 };
    const stop = new AbortController();
    const running = failureOf<Error>(
      migrateUp({ ...stage.options, backfill: { window }, signal: stop.signal }),
    );
    await untilHeard(stage.heard, 'backfill-rest');
    stop.abort(new Error('stopped'));
    await running;
    expect(reasons(stage)).toEqual(['window']);
    expect(await stage.sql`select batches::int from evdb.backfill`).toEqual([{ batches: 0 }]);
  });

  test('to active sessions above the limit, and continues when they are gone', async ({
    stage,
  }) => {
    await makeEvents(stage);
    const other = stage.openOther();
    const busy = other.unsafe('select pg_sleep(60)').catch(() => undefined);
    const throttle = { ...parseThrottle('off'), activeSessions: 0 };
    const running = migrateUp({ ...stage.options, backfill: { throttle } });
    await untilHeard(stage.heard, 'backfill-rest');
    expect(reasons(stage)).toEqual(['active-sessions']);
    await stage.sql`
      select pg_cancel_backend(pid) from pg_stat_activity
      where datname = current_database() and query = 'select pg_sleep(60)'`;
    await busy;
    await running;
    expect(await areAllDone(stage)).toBe(true);
  });

  test('to nothing that it cannot see, and says so', async ({ stage }) => {
    await makeEvents(stage);
    const role = await stage.createRole();
    await stage.sql.unsafe(`
      alter table events owner to ${role.name};
      grant create, usage on schema public to ${role.name};
      do $$ begin execute format('grant create on database %I to ${role.name}', current_database()); end $$`);
    const options = await stage.optionsFor(role.url);
    await migrateUp(options);
    expect(stage.heard).toContainEqual(
      expect.objectContaining({ kind: 'backfill-unknown', figures: ['the active sessions'] }),
    );
    expect(await areAllDone(stage)).toBe(true);
  });
});

describe('beside a standby and a logical slot', () => {
  const servers = specialServers();
  // Without a command what is to be archived waits; one that is given at the start could not be changed.
  const SETTINGS = { wal_level: 'logical', archive_mode: 'on' };
  let primary: SpecialServer;
  let standby: SpecialServer;

  beforeAll(async () => {
    primary = await servers.start(SETTINGS);
    standby = await servers.addStandby(primary, SETTINGS);
  });
  afterAll(servers.remove);

  base(
    'a backfill rests while they lag, and continues when they have caught up',
    async ({ project }) => {
      const [sql, replica] = [openSql(primary.url), openSql(standby.url, 1)];
      await sql.unsafe(`
      create table events (id int primary key, n int not null default 0);
      insert into events (id) select i from generate_series(1, 100) i`);
      await sql`select pg_create_logical_replication_slot('reader', 'test_decoding')`;
      await project.migration('001_n', INCREMENT);
      const heard: MigrationProgress[] = [];
      await replica`select pg_wal_replay_pause()`;
      // So that the standby is late from the first batch on.
      await sql`create table filler as select repeat('x', 1000) from generate_series(1, 1000)`;
      const throttle = parseThrottle('lag=off,lag-bytes=100kB,slots=100kB,share=off,active=off');
      const running = migrateUp({
        connection: await connectionTo(primary.url),
        directory: `${project.dir}/migrations`,
        backfill: { throttle },
        onProgress: (progress) => heard.push(progress),
      });
      const { reasons: first } = await untilHeard(heard, 'backfill-rest');
      expect(first.map(({ code }) => code)).toEqual(['standby-lag', 'slot-lag']);
      expect(first[1]?.message).toMatch(/slot reader has .* to read/);
      await replica`select pg_wal_replay_resume()`;
      await sql`select count(*) from pg_logical_slot_get_changes('reader', null, null)`;
      await running;
      expect(await sql`select distinct n from events`).toEqual([{ n: 1 }]);
      await sql`select pg_drop_replication_slot('reader')`;
      await sql.unsafe('drop table events, filler; drop schema evdb cascade');
      await Promise.all([closeSql(sql), closeSql(replica)]);
    },
  );

  base(
    'a backfill rests while a standby replays late, and continues when it has caught up',
    async ({ project }) => {
      const [sql, replica] = [openSql(primary.url), openSql(standby.url, 1)];
      await makeTable(sql, 300);
      await project.migration('001_n', INCREMENT);
      await replica`select pg_wal_replay_pause()`;
      const heard: MigrationProgress[] = [];
      const running = migrateUp({
        connection: await connectionTo(primary.url),
        directory: `${project.dir}/migrations`,
        // Slow enough that the lag rises while it works.
        backfill: {
          throttle: parseThrottle('lag=1s,lag-bytes=off,share=off,active=off'),
          maxRate: 60,
        },
        onProgress: (progress) => heard.push(progress),
      });
      const resting = () =>
        heard.flatMap((one) => (one.kind === 'backfill-rest' ? one.reasons : []));
      await expect
        .poll(() => resting().find(({ code }) => code === 'standby-lag')?.message, POLL)
        .toMatch(/^standby follower replays .* late \(limit 1.0 s\)$/);
      const [{ done } = {}] = await sql`select count(*)::int as done from events where n = 1`;
      expect(done).toBeLessThan(300);
      await replica`select pg_wal_replay_resume()`;
      await running;
      expect(await sql`select n, count(*)::int as rows from events group by n`).toEqual([
        { n: 1, rows: 300 },
      ]);
      await expect
        .poll(async () => (await replica`select from events where n = 1`).length, POLL)
        .toBe(300);
      await sql.unsafe('drop table events; drop schema evdb cascade');
      await Promise.all([closeSql(sql), closeSql(replica)]);
    },
  );

  base(
    'a backfill rests while WAL waits to be archived, and continues when it is',
    async ({ project }) => {
      const sql = openSql(primary.url);
      await makeTable(sql, 100);
      await project.migration('001_n', INCREMENT);
      await setArchiveCommand(sql, 'false');
      // The archiver may have heard of it a little later than this session.
      await until(async () => {
        await sql`create table switched as select 1 as one`;
        await sql`drop table switched`;
        await sql`select pg_switch_wal()`;
        const ready = await sql`select from pg_ls_archive_statusdir() where name like '%.ready'`;
        return ready.length > 1;
      });
      const heard: MigrationProgress[] = [];
      const running = migrateUp({
        connection: await connectionTo(primary.url),
        directory: `${project.dir}/migrations`,
        backfill: {
          throttle: parseThrottle('archive=1,lag=off,lag-bytes=off,share=off,active=off'),
        },
        onProgress: (progress) => heard.push(progress),
      });
      const { reasons: why } = await untilHeard(heard, 'backfill-rest');
      expect(why).toEqual([
        {
          code: 'archive',
          message: expect.stringMatching(/^\d+ files of WAL wait to be archived/),
        },
      ]);
      await setArchiveCommand(sql, 'true');
      await running;
      expect(await sql`select distinct n from events`).toEqual([{ n: 1 }]);
      await closeSql(sql);
    },
  );
});

/** The archiver tries again as soon as it hears of it. */
async function setArchiveCommand(sql: postgres.Sql, command: string): Promise<void> {
  await sql.unsafe(`alter system set archive_command = '${command}'`);
  await sql`select pg_reload_conf()`;
}

async function makeTable(sql: postgres.Sql, rows: number): Promise<void> {
  await sql.unsafe(`
    create table events (id int primary key, n int not null default 0);
    insert into events (id) select i from generate_series(1, ${rows}) i`);
}

describe('beside autovacuum', () => {
  test('a backfill rests while it is behind on the table, and continues when it has cleaned', async ({
    stage,
  }) => {
    await makeEvents(stage);
    // Autovacuum is on, and comes at once at no time: what it does, this test does.
    await stage.sql.unsafe('alter table events set (autovacuum_vacuum_threshold = 1000000)');
    // Who looks at the rows as they were keeps them.
    const reader = stage.openOther();
    await reader.unsafe('begin isolation level repeatable read; select from events');
    const other = stage.openOther();
    for (let times = 0; times < 3; times++) await other`update events set n = n`;
    await closeSql(other);
    const dead = async () =>
      Number(
        (await stage.sql`select pg_stat_get_dead_tuples('events'::regclass) as dead`)[0]?.dead,
      );
    await expect.poll(dead, POLL).toBe(300);
    const throttle = { ...parseThrottle('off'), deadRows: 200 };
    const running = migrateUp({ ...stage.options, backfill: { throttle } });
    const { reasons: why } = await untilHeard(stage.heard, 'backfill-rest');
    expect(why).toEqual([
      {
        code: 'dead-rows',
        message: expect.stringContaining('dead rows of the table wait for autovacuum'),
      },
    ]);
    expect(await areAllDone(stage)).toBe(false);
    await reader.unsafe('rollback');
    await stage.sql`vacuum events`;
    await running;
    expect(await areAllDone(stage)).toBe(true);
  });
});
