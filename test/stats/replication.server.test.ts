import type postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ReplicationRow, readReplication } from '../../src/stats/replication.ts';
import { readSequences } from '../../src/stats/sequences.ts';
import { closeSql, openSql, withLogin } from '../support/databases.ts';
import { type SpecialServer, specialServers } from '../support/own-server.ts';
import { inspect } from '../support/sessions.ts';
import { eventually } from '../support/waiting.ts';

function inDatabase(url: string, name: string): string {
  return Object.assign(new URL(url), { pathname: `/${name}` }).href;
}

/** As libpq reads it. */
function connectionString(url: string): string {
  const { hostname, port, username, password, pathname } = new URL(url);
  return `host=${hostname} port=${port} user=${username} password=${password} dbname=${pathname.slice(1)}`;
}

const byName = (rows: ReplicationRow[], name: string) => rows.find((row) => row.name === name);

describe('a primary and its standby', () => {
  const servers = specialServers();
  let primary: SpecialServer;
  let standby: SpecialServer;
  let sql: postgres.Sql;

  beforeAll(async () => {
    primary = await servers.start({ wal_level: 'logical' });
    const first = openSql(primary.url, 1);
    await first.unsafe(`
      create role plain login password 'secret'; create role seer login password 'secret' in role pg_monitor;
      create table events (id int)`);
    await closeSql(first);
    expect(await inspect(primary.url, readReplication)).toEqual({
      rows: [],
      countedSince: null,
      notes: [],
    });
    standby = await servers.addStandby(primary, { wal_level: 'logical' });
    sql = openSql(primary.url);
  });
  afterAll(async () => {
    if (sql) await closeSql(sql);
    await servers.remove();
  });

  test('show each other with their lag', async () => {
    const there = await eventually(async () => {
      const { rows, notes } = await inspect(primary.url, readReplication);
      const row = byName(rows, 'follower');
      return row?.state === 'streaming' && row.lagBytes === 0 ? { row, notes } : undefined;
    });
    expect(there.row).toMatchObject({
      kind: 'standby',
      isActive: true,
      type: 'async',
      client: '127.0.0.1',
      isHidden: false,
    });
    expect(there.notes).toEqual([]);
    const here = await inspect(standby.url, readReplication);
    expect(here.rows).toMatchObject([
      { kind: 'receiver', name: '127.0.0.1', state: 'streaming', lagBytes: 0, lagMs: null },
    ]);
    expect(here.notes).toEqual([]);
  });

  test('show how far behind a standby is that stopped replaying', async () => {
    const follower = openSql(standby.url, 1);
    await sql`insert into events values (1)`;
    await eventually(async () => {
      const [row] = await follower`select pg_last_xact_replay_timestamp() is not null as told`;
      return row?.told === true ? true : undefined;
    });
    await follower`select pg_wal_replay_pause()`;
    await sql`insert into events select generate_series(1, 50000)`;
    const row = await eventually(async () => {
      const found = byName((await inspect(primary.url, readReplication)).rows, 'follower');
      return (found?.lagBytes ?? 0) > 1_000_000 ? found : undefined;
    });
    expect(row).toMatchObject({ kind: 'standby' });
    const receiver = await eventually(async () => {
      const [found] = (await inspect(standby.url, readReplication)).rows;
      return (found?.lagBytes ?? 0) > 1_000_000 ? found : undefined;
    });
    expect(receiver.lagMs).toEqual(expect.any(Number));
    await follower`select pg_wal_replay_resume()`;
    await closeSql(follower);
  });

  test('hide their positions from a role that may not see them, and say so', async () => {
    for (const [server, name] of [
      [primary, 'follower'],
      [standby, undefined],
    ] as const) {
      const seen = await inspect(withLogin(server.url, 'seer', 'secret'), readReplication);
      expect(seen.notes).toEqual([]);
      const hidden = await inspect(withLogin(server.url, 'plain', 'secret'), readReplication);
      const row = name ? byName(hidden.rows, name) : hidden.rows[0];
      expect(row).toMatchObject({ isHidden: true, state: null, isActive: null });
      expect(hidden.notes).toEqual([
        {
          level: 'unknown',
          text: expect.stringContaining('hidden from plain'),
          hint: 'Let an administrator run: grant pg_read_all_stats to "plain";',
        },
      ]);
    }
  });

  test('tell a subscription from a standby', async () => {
    await sql`create publication everything for all tables`;
    await sql`create database other`;
    const other = openSql(inDatabase(primary.url, 'other'), 1);
    // On the same server the slot has to be there before: creating it would wait for the subscription itself.
    await sql`select pg_create_logical_replication_slot('mirror', 'pgoutput')`;
    await other.unsafe(`create table events (id int);
      create subscription mirror connection '${connectionString(primary.url)}' publication everything
      with (create_slot = false, copy_data = false)`);
    const row = await eventually(async () => {
      const { rows } = await inspect(primary.url, readReplication);
      return rows.find(({ kind, name }) => kind === 'subscriber' && name === 'mirror');
    });
    expect(row).toMatchObject({ database: 'evdb', isHidden: false, client: '127.0.0.1' });
    const { rows } = await inspect(primary.url, readReplication);
    expect(rows.map(({ kind, name }) => `${kind} ${name}`).sort()).toEqual([
      'slot mirror',
      'standby follower',
      'subscriber mirror',
    ]);
    await other.unsafe('drop subscription mirror');
    await closeSql(other);
    await sql`drop publication everything`;
  });

  test('leave unlogged sequences to the primary', async () => {
    await sql.unsafe('create unlogged table fast (id serial); insert into fast default values');
    const [version] = await sql`select current_setting('server_version_num')::int as num`;
    const { rows, notes } = await eventually(async () => {
      const report = await inspect(standby.url, readSequences);
      return report.rows.length > 0 ? report : undefined;
    });
    // Before 15 a sequence is logged whatever its table is.
    if (version?.num < 150000) {
      expect(rows).toMatchObject([{ isKnown: true }]);
      return;
    }
    expect(rows).toMatchObject([{ sequence: 'fast_id_seq', unknownBecause: 'standby' }]);
    expect(notes).toContainEqual({
      level: 'unknown',
      text: 'the last value of 1 unlogged sequence is not on this standby: they are not replicated',
      hint: 'Ask the primary.',
    });
    expect((await inspect(primary.url, readSequences)).rows).toMatchObject([{ isKnown: true }]);
    await sql`drop table fast`;
  });

  test('show what an unused slot retains', async () => {
    await sql`select pg_create_physical_replication_slot('left_behind', true)`;
    await sql`select pg_create_logical_replication_slot('decoded', 'pgoutput')`;
    await sql`insert into events select generate_series(1, 50000)`;
    const { rows } = await inspect(withLogin(primary.url, 'plain', 'secret'), readReplication);
    const physical = byName(rows, 'left_behind');
    expect(physical).toMatchObject({
      kind: 'slot',
      state: 'inactive',
      isActive: false,
      type: 'physical',
    });
    expect(physical?.retainedBytes).toBeGreaterThan(1_000_000);
    const logical = byName(rows, 'decoded');
    expect(logical).toMatchObject({ type: 'pgoutput', state: 'inactive', database: 'evdb' });
    expect(logical?.lagBytes).toBeGreaterThan(1_000_000);
    expect(logical?.snapshotAge).toBeGreaterThan(0);
    const [version] = await sql`select current_setting('server_version_num')::int as num`;
    expect(physical?.inactiveSince !== null).toBe(version?.num >= 170000);
    await sql`select pg_drop_replication_slot('left_behind'), pg_drop_replication_slot('decoded')`;
  });

  test('say that a standby receives nothing', async () => {
    const alone = await servers.addStandby(primary, { primary_conninfo: '' });
    const report = await inspect(alone.url, readReplication);
    expect(report.rows).toEqual([]);
    expect(report.notes).toMatchObject([{ level: 'warning' }]);
  });
});
