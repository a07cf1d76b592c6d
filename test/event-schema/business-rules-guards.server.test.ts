import type postgres from 'postgres';
import { describe, expect } from 'vitest';
import { test } from '../support/fixture.ts';
import { addEvent, addUsers, only } from './event-schema-kit.ts';
import { listBroken, readDetails, smuggle } from './rules-kit.ts';

class Undo extends Error {}

/** What `look` returns after `statement`, which is then rolled back. */
async function seenAfter<T>(
  sql: postgres.Sql,
  statement: string,
  look: (transaction: postgres.Sql) => Promise<T>,
): Promise<T> {
  let seen: { value: T } | undefined;
  await sql
    .begin(async (transaction) => {
      await transaction.unsafe(statement);
      seen = { value: await look(transaction as unknown as postgres.Sql) };
      throw new Undo();
    })
    .catch((error: unknown) => {
      if (!(error instanceof Undo)) throw error;
    });
  return only(seen).value;
}

/** Every trigger, constraint and unique index of the schema that somebody could drop. */
async function listGuards(sql: postgres.Sql): Promise<{ drop: string; name: string }[]> {
  return sql<{ drop: string; name: string }[]>`
    with own as (
      select c.oid, c.relname from pg_class c
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
    )
    select format('drop trigger %I on %I', t.tgname, o.relname) as drop, t.tgname::text || ' on ' || o.relname as name
    from pg_trigger t join own o on o.oid = t.tgrelid where not t.tgisinternal
    union all
    select format('alter table %I drop constraint %I cascade', o.relname, k.conname), k.conname || ' on ' || o.relname
    from pg_constraint k join own o on o.oid = k.conrelid where k.contype <> 'n'
    union all
    select format('alter domain %I drop constraint %I', t.typname, k.conname), k.conname || ' on ' || t.typname
    from pg_constraint k join pg_type t on t.oid = k.contypid where t.typnamespace = 'public'::regnamespace
    union all
    select format('drop index %I', x.relname), x.relname || ' on ' || o.relname
    from pg_index i join own o on o.oid = i.indrelid join pg_class x on x.oid = i.indexrelid
    where i.indisunique and not exists (select from pg_constraint k where k.conindid = i.indexrelid)
    order by 1`;
}

describe('rules of what guards the rules', () => {
  test('no trigger, constraint or unique index can go without being missed', async ({ db }) => {
    const guards = await listGuards(db.sql);
    expect(guards.length).toBeGreaterThan(50);
    for (const { drop, name } of guards) {
      expect([
        drop,
        await seenAfter(db.sql, drop, (sql) => readDetails(sql, 'missing_guards')),
      ]).toEqual([drop, expect.stringContaining(name)]);
    }
    expect(await listBroken(db.sql)).toEqual([]);
  });

  test('nor can a partition of the audit log go unguarded', async ({ db }) => {
    const [partition] = await db.sql<{ name: string }[]>`
      select partition_name as name from list_audit_partitions() limit 1`;
    const { name } = only(partition);
    const drop = `drop trigger audit_logs_00_refuse_change on ${name}`;
    expect(await seenAfter(db.sql, drop, (sql) => readDetails(sql, 'missing_guards'))).toContain(
      `audit_logs_00_refuse_change on ${name}`,
    );
    await db.sql.unsafe(`alter table ${name} enable trigger audit_logs_00_refuse_change`);
    expect(await readDetails(db.sql, 'disabled_triggers')).toContain(
      `alter table ${name} enable always trigger audit_logs_00_refuse_change`,
    );
  });

  test('triggers that are switched off are named with the statement that mends it', async ({
    db,
  }) => {
    const { sql } = db;
    await sql`alter table users disable trigger users_90_audit_update`;
    await sql`alter table registrations enable replica trigger registrations_95_count_insert`;
    await sql`alter table audit_logs enable trigger audit_logs_00_refuse_change`;
    expect(await listBroken(sql)).toEqual([['disabled_triggers', 3, null]]);
    const details = String(await readDetails(sql, 'disabled_triggers'));
    const mend = details.slice(details.indexOf('alter table')).split('; ');
    expect(mend).toEqual([
      'alter table audit_logs enable always trigger audit_logs_00_refuse_change',
      'alter table registrations enable trigger registrations_95_count_insert',
      'alter table users enable trigger users_90_audit_update',
    ]);
    for (const statement of mend) await sql.unsafe(statement);
    expect(await listBroken(sql)).toEqual([]);
  });

  test('foreign keys that are switched off are found as well', async ({ db }) => {
    const { sql } = db;
    await sql`alter table registrations disable trigger all`;
    const [rule] = await sql`
      select violation_count from validate_business_rules() where rule_name = 'disabled_triggers'`;
    const [{ count }] = (await sql`
      select count(*)::int from pg_trigger where tgrelid = 'registrations'::regclass`) as unknown as [
      { count: number },
    ];
    expect(rule?.violation_count).toBe(count);
  });

  test('constraints that old rows may break are named until they are validated', async ({ db }) => {
    const { sql } = db;
    const [ann] = await addUsers(sql, 1);
    await smuggle(sql, only(ann), 777, 'cancelled');
    await sql`alter table registrations drop constraint registrations_event_id_fkey`;
    await sql`
      alter table registrations add constraint registrations_event_id_fkey
      foreign key (event_id) references events on delete cascade not valid`;
    const names = (await listBroken(sql)).map(([name]) => name);
    expect(names).toEqual(['registrations_without_event', 'unvalidated_constraints']);
    expect(await readDetails(sql, 'unvalidated_constraints')).toContain(
      'alter table registrations validate constraint registrations_event_id_fkey',
    );
    await sql`delete from registrations`;
    await sql`alter table registrations validate constraint registrations_event_id_fkey`;
    expect(await listBroken(sql)).toEqual([]);
  });

  test('an index that was only half built is named', async ({ db }) => {
    const { sql } = db;
    const event = await addEvent(sql);
    await addEvent(sql);
    await sql
      .unsafe('create unique index concurrently events_title_key on events (title)')
      .catch(() => {});
    expect(await listBroken(sql)).toEqual([['invalid_indexes', 1, null]]);
    expect(await readDetails(sql, 'invalid_indexes')).toContain('reindex index events_title_key');
    await sql`update events set title = 'Opera' where id = ${event}`;
    await sql`reindex index events_title_key`;
    expect(await listBroken(sql)).toEqual([]);
  });

  test('the audit log has a partition for this month and the next', async ({ db }) => {
    const { sql } = db;
    const [now, next] = await sql<{ name: string }[]>`
      select partition_name as name from list_audit_partitions()
      where ends_at > now() order by starts_at`;
    await sql`drop table ${sql(only(next).name)}`;
    expect(await listBroken(sql)).toEqual([['missing_audit_partition', 1, null]]);
    await sql`drop table ${sql(only(now).name)}`;
    expect(await listBroken(sql)).toEqual([['missing_audit_partition', 2, null]]);
    expect(await readDetails(sql, 'missing_audit_partition')).toContain(
      only(now).name.slice('audit_logs_'.length).replace('_', '-'),
    );
    await sql`select * from ensure_audit_partitions()`;
    expect(await listBroken(sql)).toEqual([]);
  });

  test('entries of the audit log do not wait in the overflow', async ({ db }) => {
    const { sql } = db;
    await sql`insert into audit_logs_overflow (table_name, operation) values ('users', 'TRUNCATE')`;
    expect(await listBroken(sql)).toEqual([['audit_overflow', 1, null]]);
    await sql`select * from ensure_audit_partitions()`;
    expect(await listBroken(sql)).toEqual([]);
  });

  test('events can be found by the search', async ({ db }) => {
    const { sql } = db;
    const event = await addEvent(sql);
    const other = await addEvent(sql);
    await sql`delete from event_search_documents where event_id = ${event}`;
    await sql`update event_search_documents set is_active = false where event_id = ${other}`;
    expect(await listBroken(sql)).toEqual([['stale_search_documents', 2, [event, other]]]);
    await sql`select refresh_event_search()`;
    expect(await listBroken(sql)).toEqual([]);
  });
});
