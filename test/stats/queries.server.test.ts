import type postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, test as plainTest } from 'vitest';
import type { Session } from '../../src/connection/session.ts';
import { readQueries } from '../../src/stats/queries.ts';
import { closeSql, openSql, withDatabase, withLogin } from '../support/databases.ts';
import { type SpecialServer, specialServers } from '../support/own-server.ts';
import { inspect, test } from '../support/sessions.ts';

test('says how to get pg_stat_statements where it is not loaded, installed or not', async ({
  emptyDb,
}) => {
  const missing = await inspect(emptyDb.url, readQueries);
  expect(missing).toMatchObject({
    rows: [],
    countedSince: null,
    notes: [
      {
        level: 'unknown',
        text: expect.stringContaining('is not installed in this database'),
        hint: expect.stringMatching(/shared_preload_libraries.*create extension/),
      },
    ],
  });
  await emptyDb.sql`create extension pg_stat_statements`;
  const unloaded = await inspect(emptyDb.url, readQueries);
  expect(unloaded).toMatchObject({
    rows: [],
    notes: [{ level: 'unknown', text: expect.stringContaining('installed but not loaded') }],
  });
});

describe('where pg_stat_statements is loaded', () => {
  const servers = specialServers();
  let server: SpecialServer;
  let sql: postgres.Sql;

  beforeAll(async () => {
    server = await servers.start({
      shared_preload_libraries: 'pg_stat_statements',
      'pg_stat_statements.max': '100',
    });
    sql = openSql(server.url);
    await sql`create role seer login password 'secret' in role pg_monitor`;
    await sql`create role blind login password 'secret'`;
  });
  afterAll(async () => {
    await closeSql(sql);
    await servers.remove();
  });

  plainTest('needs the extension in this very database, and then no restart', async () => {
    await sql`create database without`;
    const report = await inspect(withDatabase(server.url, 'without'), readQueries);
    expect(report.notes).toEqual([
      {
        level: 'unknown',
        text: expect.stringContaining('is not installed in this database'),
        hint: 'Let an administrator run in this database: create extension pg_stat_statements;',
      },
    ]);
  });

  plainTest('reads every version of the extension, in a schema of any name', async () => {
    const versions = await sql`
      select version from pg_available_extension_versions
      where name = 'pg_stat_statements' and version not in ('1.5', '1.6')`;
    expect(versions.length).toBeGreaterThan(2);
    for (const { version } of versions) {
      if (version === '1.4') continue;
      await sql.unsafe(`
        drop schema if exists "Watch it" cascade; create schema "Watch it";
        create extension pg_stat_statements schema "Watch it" version '${version}';
        create table numbers as select generate_series(1, 100) as n; drop table numbers`);
      const { rows, notes } = await inspect(server.url, readQueries);
      const created = rows.find(({ query }) => query?.startsWith('create extension'));
      expect(created, `version ${version}`).toMatchObject({
        isHidden: false,
        calls: expect.any(Number),
        ioMs: null,
      });
      expect(created?.totalMs).toBeGreaterThan(0);
      expect(notes).toEqual([]);
    }
  });

  plainTest('counts calls, rows and shares, the most expensive first', async () => {
    await sql.unsafe('drop schema if exists "Watch it" cascade');
    await sql`create extension if not exists pg_stat_statements`;
    await sql`select pg_stat_statements_reset()`;
    await sql`select pg_sleep(0.2)`;
    for (let i = 0; i < 3; i++) await sql`select * from generate_series(1, 5) as hay`;
    const report = await inspect(server.url, (session) => readQueries(session));
    expect(report.countedSince).toBeInstanceOf(Date);
    expect(report.rows[0]).toMatchObject({ query: 'select pg_sleep($1)', calls: 1, rows: 1 });
    expect(report.rows[0]?.shareOfTime).toBeGreaterThan(0.5);
    expect(report.rows.find(({ query }) => query?.includes('as hay'))).toMatchObject({
      calls: 3,
      rows: 15,
      user: 'postgres',
      isTopLevel: true,
    });
    expect(
      await inspect(server.url, (session) => readQueries(session, { limit: 1 })),
    ).toMatchObject({ rows: [{ query: 'select pg_sleep($1)' }] });
  });

  plainTest('hides the passwords of statements, whichever way they are written', async () => {
    await sql`create extension if not exists pg_stat_statements`;
    await sql.unsafe(`drop role if exists masked; create role masked;
      create foreign data wrapper nothing; create server nowhere foreign data wrapper nothing`);
    await sql`select pg_stat_statements_reset()`;
    const secret = 'Super5ecret99';
    const statements = [
      `alter role masked password'${secret}'`,
      `alter role masked password $$${secret}$$`,
      `alter role masked password U&'${secret}'`,
      `alter role masked password /* why */ '${secret}'`,
      `alter role masked password -- why\n  '${secret}'`,
      `alter role masked password 'first'\n  '${secret}'`,
      `create user mapping for masked server nowhere options ("password" '${secret}')`,
      `create subscription masked connection 'host=h password=${secret}' publication p
        with (connect = false, enabled = false, slot_name = none)`,
      `do $$ begin perform 'postgres://app:${secret}@db/shop'; end $$`,
    ];
    for (const statement of statements) await sql.unsafe(statement);
    const { rows } = await inspect(server.url, (session) => readQueries(session, { limit: 1000 }));
    const shown = rows.map(({ query }) => query ?? '').filter((query) => query.includes('***'));
    // The server counts statements that differ in their constants alone as one.
    expect(shown.length).toBeGreaterThan(3);
    expect(rows.map(({ query }) => query).join()).not.toContain(secret);
    await sql.unsafe(`drop subscription masked; drop foreign data wrapper nothing cascade`);
    await sql.unsafe('drop role masked');
  });

  plainTest('shows the times of blocks where the server takes them', async () => {
    await sql`create extension if not exists pg_stat_statements`;
    await sql`alter role seer set track_io_timing = on`;
    const { rows } = await inspect(withLogin(server.url, 'seer', 'secret'), readQueries);
    expect(rows[0]?.ioMs).toEqual(expect.any(Number));
  });

  plainTest('says what a role cannot see, and what lets it', async () => {
    await sql`create extension if not exists pg_stat_statements`;
    await sql`select 'of postgres' as told`;
    const all = (session: Session) => readQueries(session, { limit: 1000 });
    const seen = await inspect(withLogin(server.url, 'seer', 'secret'), all);
    expect(seen.notes).toEqual([]);
    expect(seen.rows.some(({ query }) => query === 'select $1 as told')).toBe(true);

    const hidden = await inspect(withLogin(server.url, 'blind', 'secret'), all);
    expect(hidden.rows.filter(({ user }) => user === 'postgres').length).toBeGreaterThan(0);
    for (const row of hidden.rows.filter(({ user }) => user === 'postgres')) {
      expect(row).toMatchObject({ query: null, queryId: null, isHidden: true });
    }
    expect(hidden.notes).toEqual([
      {
        level: 'unknown',
        text: expect.stringContaining('hidden from blind'),
        hint: 'Let an administrator run: grant pg_read_all_stats to "blind";',
      },
    ]);
  });

  plainTest('says that a role may not use the schema or read the view', async () => {
    await sql.unsafe(`
      drop extension pg_stat_statements; create schema closed;
      create extension pg_stat_statements schema closed`);
    const report = await inspect(withLogin(server.url, 'blind', 'secret'), readQueries);
    expect(report.rows).toEqual([]);
    expect(report.notes[0]).toMatchObject({
      level: 'unknown',
      text: 'blind may not read pg_stat_statements in schema closed',
    });
    const hint = report.notes[0]?.hint ?? '';
    await sql.unsafe(hint.slice(hint.indexOf('grant')));
    expect((await inspect(withLogin(server.url, 'blind', 'secret'), readQueries)).rows).not.toEqual(
      [],
    );
  });

  plainTest('says that statements were dropped where there are too many', async () => {
    await sql.unsafe(
      'drop extension if exists pg_stat_statements; create extension pg_stat_statements',
    );
    await sql.unsafe(`set pg_stat_statements.track = 'all'; do $$ begin
      for i in 1..150 loop execute 'select ' || repeat('1, ', i) || '1'; end loop; end $$`);
    const { notes } = await inspect(server.url, readQueries);
    expect(notes).toEqual([
      expect.objectContaining({ level: 'warning', text: expect.stringContaining('was full') }),
    ]);
  });
});
