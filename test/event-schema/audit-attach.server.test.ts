import type postgres from 'postgres';
import { describe, expect } from 'vitest';
import { test } from '../support/fixture.ts';
import { withOpenTransaction } from './clients-kit.ts';
import { only, readCatalog, runFiles } from './event-schema-kit.ts';

/** Makes a table that nobody audits yet. */
async function addTickets(sql: postgres.Sql, key = 'id integer primary key'): Promise<void> {
  await sql.unsafe(`
    create table tickets (${key}, seat text, price numeric, details json, place point, remark text, reset_token text);
    insert into tickets (id, seat, details, place) values (1, 'A1', '{}', '(1,2)');`);
}

/** What the log says of the table since it was attached, the oldest first. */
async function readEntries(sql: postgres.Sql): Promise<postgres.Row[]> {
  return [
    ...(await sql`
      select operation, row_id, old_values ->> 'seat' as before, new_values ->> 'seat' as after, redacted
      from audit_log_entries where table_name = 'tickets' order by id`),
  ];
}

describe('attach_audit', () => {
  test('enters every change of a table of one’s own', async ({ db }) => {
    const { sql } = db;
    await addTickets(sql);
    await sql`select attach_audit('tickets')`;
    await sql`insert into tickets (id, seat) values (2, 'A2')`;
    await sql`update tickets set seat = 'B1' where id = 1`;
    await sql`update tickets set seat = seat, details = details, place = place`;
    await sql`update tickets set details = '{"row": 1}' where id = 1`;
    await sql`update tickets set id = 3 where id = 2`;
    await sql`delete from tickets where id = 1`;
    await sql`truncate tickets`;
    const lines = (await readEntries(sql)).map(
      ({ operation, row_id, before, after }) => `${operation} ${row_id} ${before} ${after}`,
    );
    // The two entries of a changed key come in either order.
    expect([...lines.slice(0, 3), ...lines.slice(3, 5).sort(), ...lines.slice(5)]).toEqual([
      'INSERT 2 null A2',
      'UPDATE 1 A1 B1',
      'UPDATE 1 B1 B1',
      'DELETE 2 A2 null',
      'INSERT 3 null A2',
      'DELETE 1 B1 null',
      'TRUNCATE null null null',
    ]);
  });

  test('keeps no value of a redacted column, nor of one whose name looks like a secret', async ({
    db,
  }) => {
    const { sql } = db;
    await addTickets(sql);
    await sql`select attach_audit('tickets', p_redacted => '{remark}')`;
    await sql`update tickets set remark = 'xyzzy', reset_token = 'swordfish', seat = 'A3'`;
    await sql`update tickets set seat = 'A4'`;
    expect(
      (await readEntries(sql)).map(({ after, redacted }) => [after, redacted?.sort()]),
    ).toEqual([
      ['A3', ['remark', 'reset_token']],
      ['A4', undefined],
    ]);
    const whole = JSON.stringify(await sql`select * from audit_log_entries`);
    expect(whole).not.toMatch(/xyzzy|swordfish/);
  });

  test('leaves columns out that keep books, and notices a change of any other', async ({ db }) => {
    const { sql } = db;
    await addTickets(sql);
    await sql`select attach_audit('tickets', p_left_out => '{price}')`;
    await sql`update tickets set price = 12`;
    await sql`update tickets set details = '{"row": 2}'`;
    await sql`update tickets set price = 13, place = '(3,4)'`;
    await sql`update tickets set id = 7`;
    const rows = await sql`
      select operation, row_id, coalesce(old_values ? 'price', new_values ? 'price') as has_price
      from audit_log_entries where table_name = 'tickets' order by id`;
    expect(rows.slice(0, 2)).toEqual([
      { operation: 'UPDATE', row_id: 1, has_price: false },
      { operation: 'UPDATE', row_id: 1, has_price: false },
    ]);
    expect(
      rows
        .slice(2)
        .map((row) => `${row.operation} ${row.row_id}`)
        .sort(),
    ).toEqual(['DELETE 1', 'INSERT 7']);
  });

  test('can be called again with other arguments, and for a column that was added', async ({
    db,
  }) => {
    const { sql } = db;
    await addTickets(sql);
    await sql`select attach_audit('tickets', '{remark}', p_left_out => '{price}')`;
    await sql`alter table tickets add column venue text`;
    await sql`update tickets set venue = 'Hall'`;
    expect(await readEntries(sql)).toEqual([]);
    // What was said before holds.
    await sql`select attach_audit('tickets')`;
    await sql`update tickets set venue = 'Barn', remark = 'xyzzy'`;
    await sql`update tickets set price = 1`;
    expect((await readEntries(sql)).map((row) => row.redacted)).toEqual([['remark']]);
    await sql`select attach_audit('tickets', '{}', '{}')`;
    await sql`update tickets set price = 2, remark = 'plugh'`;
    expect((await readEntries(sql)).map((row) => row.redacted)).toEqual([['remark'], null]);
  });

  test.for([
    ['id bigint primary key', 1],
    ['id smallint primary key', 1],
    ['id numeric primary key', null],
    ['id integer, part integer not null default 5, primary key (part, id)', null],
  ] as const)('takes %s as the key', async ([key, rowId], { db }) => {
    const { sql } = db;
    await addTickets(sql, key);
    await sql`select attach_audit('tickets')`;
    await sql`update tickets set seat = 'B1'`;
    const rows = await sql`select row_id, new_values ->> 'id' as id from audit_log_entries`;
    expect([...rows]).toEqual([{ row_id: rowId, id: '1' }]);
  });

  test('takes a key beyond the integers, whose entries are found by their images', async ({
    db,
  }) => {
    const { sql } = db;
    await addTickets(sql, 'id bigint primary key');
    await sql`select attach_audit('tickets')`;
    await sql`update tickets set id = 5000000000`;
    const rows = await sql`
      select operation, row_id, coalesce(new_values, old_values) ->> 'id' as id
      from audit_log_entries order by 1`;
    expect([...rows]).toEqual([
      { operation: 'DELETE', row_id: 1, id: '1' },
      { operation: 'INSERT', row_id: null, id: '5000000000' },
    ]);
  });

  test('takes names that need quotes', async ({ db }) => {
    const { sql } = db;
    await sql.unsafe(`
      create table "Tick""ets' $$ %s" ("I D" integer primary key, "%1$s" text, "a'b" text);
      select attach_audit('"Tick""ets'' $$ %s"', p_left_out => array['a''b']);
      insert into "Tick""ets' $$ %s" values (1, 'x', 'y');
      update "Tick""ets' $$ %s" set "%1$s" = 'z';`);
    const rows = await sql`select table_name, operation, row_id from audit_log_entries order by id`;
    expect([...rows]).toEqual([
      { table_name: `Tick"ets' $$ %s`, operation: 'INSERT', row_id: 1 },
      { table_name: `Tick"ets' $$ %s`, operation: 'UPDATE', row_id: 1 },
    ]);
  });

  test('writes to the overflow where the month has no partition', async ({ db }) => {
    const { sql } = db;
    await addTickets(sql);
    await sql`select attach_audit('tickets', p_left_out => '{price}')`;
    const [current] = await sql`select min(partition_name) as name from list_audit_partitions()`;
    await sql`drop table ${sql(only(current).name)}`;
    // Nobody can make a partition while another session holds the log.
    const hold = 'lock table audit_logs in share update exclusive mode';
    await withOpenTransaction(db.url, hold, async () => {
      await sql`insert into tickets (id, seat) values (2, 'A2')`;
      await sql`update tickets set seat = 'B2' where id = 2`;
      await sql`delete from tickets where id = 2`;
    });
    const rows = await sql`select operation from audit_logs_overflow order by id`;
    expect(rows.map((row) => row.operation)).toEqual(['INSERT', 'UPDATE', 'DELETE']);
  });

  test.for([
    ['null', '22023', /No table was named/],
    [`'pg_class'`, '22023', /is not in schema public/],
    [`'audit_log_entries'`, '42809', /cannot be audited/],
    [`'audit_logs'`, '42809', /cannot be audited/],
    [`'audit_logs_overflow'`, '42809', /cannot be audited/],
    [`'keyless'`, '55000', /has no primary key/],
    [`'tickets', p_redacted => '{seet}'`, '42703', /has no column seet/],
    [`'tickets', p_left_out => '{id}'`, '22023', /primary key of tickets cannot be left out/],
    [`'${'t'.repeat(46)}'`, '42622', /is too long to be audited/],
  ] as const)('refuses %s', async ([args, code, message], { db }) => {
    const { sql } = db;
    await addTickets(sql);
    await sql.unsafe(
      `create table keyless (id integer); create table ${'t'.repeat(46)} (id integer primary key)`,
    );
    const before = await readCatalog(sql, 'public');
    await expect(sql.unsafe(`select attach_audit(${args})`)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
    expect(await readCatalog(sql, 'public')).toEqual(before);
  });
});

describe('detach_audit', () => {
  test('removes what attach_audit made, and keeps the entries', async ({ db }) => {
    const { sql } = db;
    await addTickets(sql);
    const before = await readCatalog(sql, 'public');
    await sql`select attach_audit('tickets', p_left_out => '{price}')`;
    await sql`update tickets set seat = 'B1'`;
    await sql`select detach_audit('tickets')`;
    await sql`select detach_audit('tickets')`;
    await sql`update tickets set seat = 'B2'`;
    expect(await readCatalog(sql, 'public')).toEqual(before);
    expect(await readEntries(sql)).toHaveLength(1);
  });

  test('runs for every table when the triggers are undone, so that writes go on', async ({
    db,
  }) => {
    const { sql } = db;
    await addTickets(sql);
    await sql`select attach_audit('tickets')`;
    await runFiles(sql, 'public', [
      '016_access_roles.down',
      '015_business_rules.down',
      '014_event_search.down',
      '013_audit_retention.down',
      '012_audit_triggers.down',
    ]);
    await sql`update tickets set seat = 'B1'`;
    expect([...(await sql`select from pg_trigger where tgname like '%90_audit%'`)]).toEqual([]);
  });
});
