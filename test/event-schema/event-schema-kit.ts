// What tests of the event schema share: people, events and registrations; files and catalog; what must always hold.

import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type postgres from 'postgres';

/** What the registration functions answer. */
export interface RegistrationResult {
  success: boolean;
  registration_id?: number;
  event_id?: number;
  user_id?: number | null;
  registered_at?: string;
  unregistered_at?: string;
  message?: string;
  error_code?: string;
  error_message?: string;
}

interface BatchResult {
  total_processed: number;
  successful_registrations: number;
  failed_registrations: number;
  details: RegistrationResult[];
}

interface EventValues {
  title?: string;
  location?: string | null;
  capacity?: number;
  createdBy?: number | null;
  /** Default a day ahead. */
  startsAt?: Date;
}

const dayMs = 24 * 60 * 60 * 1000;

const migrationsDir = fileURLToPath(new URL('../../migrations/', import.meta.url));

/** What the hash of a password looks like; a different one for each `i`. */
export function bcryptHash(i = 0): string {
  return `$2b$12$${String(i).padEnd(53, 'x')}`;
}

/** Adds users `user 1` … `user n` and returns their ids in order. */
export async function addUsers(sql: postgres.Sql, count: number): Promise<number[]> {
  const rows = await sql<{ id: number }[]>`
    insert into users (name, email, password_hash)
    select 'user ' || i, 'user' || i || '@example.com', '$2b$12$' || rpad(i::text, 53, 'x')
    from generate_series(1, ${count}::int) i
    returning id`;
  return rows.map((row) => row.id);
}

/** Adds one upcoming event and returns its id. */
export async function addEvent(sql: postgres.Sql, values: EventValues = {}): Promise<number> {
  const [row] = await sql<{ id: number }[]>`
    insert into events (title, date_time, location, capacity, created_by)
    values (
      ${values.title ?? 'Concert'}, ${values.startsAt ?? new Date(Date.now() + dayMs)},
      ${values.location === undefined ? 'Hall' : values.location}, ${values.capacity ?? 10},
      ${values.createdBy ?? null})
    returning id`;
  return only(row).id;
}

/** Lets an event be over, which the schema refuses by design. */
export async function letEventPass(sql: postgres.Sql, eventId: number): Promise<void> {
  await sql.begin(async (transaction) => {
    await transaction`alter table events disable trigger events_20_validate_update`;
    await transaction`update events set date_time = now() - interval '1 day' where id = ${eventId}`;
    await transaction`alter table events enable trigger events_20_validate_update`;
  });
}

export async function register(
  sql: postgres.Sql,
  userId: number | null,
  eventId: number | null,
): Promise<RegistrationResult> {
  const [row] = await sql<{ result: RegistrationResult }[]>`
    select safe_event_registration(${userId}::int, ${eventId}::int) as result`;
  return only(row).result;
}

export async function unregister(
  sql: postgres.Sql,
  userId: number,
  eventId: number,
  keep = false,
): Promise<RegistrationResult> {
  const [row] = await sql<{ result: RegistrationResult }[]>`
    select safe_event_unregistration(${userId}::int, ${eventId}::int, ${keep}) as result`;
  return only(row).result;
}

export async function registerBatch(
  sql: postgres.Sql,
  userIds: (number | null)[] | null,
  eventId: number,
): Promise<BatchResult> {
  const [row] = await sql<{ result: BatchResult }[]>`
    select batch_event_registration(${userIds}::int[], ${eventId}::int) as result`;
  return only(row).result;
}

/** SQLSTATE and constraint of the error that a statement ends in. */
export async function refusalOf(statement: Promise<unknown>): Promise<[string, string]> {
  return statement.then(
    () => ['00000', 'none'],
    (error: postgres.PostgresError) => [error.code, error.constraint_name ?? ''],
  );
}

/** Counter and confirmed rows of an event, which must be the same. */
export async function readSeats(
  sql: postgres.Sql,
  eventId: number,
): Promise<{ counter: number; confirmed: number }> {
  const [row] = await sql<{ counter: number; confirmed: number }[]>`
    select e.current_registrations as counter,
      (select count(*)::int from registrations r where r.event_id = e.id and r.status = 'confirmed') as confirmed
    from events e where e.id = ${eventId}`;
  return only(row);
}

/** Events whose counter is not the number of their confirmed rows, or is above the capacity. */
export async function listWrongCounters(sql: postgres.Sql): Promise<unknown[]> {
  return [
    ...(await sql`
    select e.id, e.capacity, e.current_registrations, count(r.id)::int as confirmed
    from events e
    left join registrations r on r.event_id = e.id and r.status = 'confirmed'
    group by e.id
    having e.current_registrations <> count(r.id) or count(r.id) > e.capacity`),
  ];
}

/** Names of the migrations in order, without `.sql`. */
export async function listMigrationNames(): Promise<string[]> {
  return (await readdir(migrationsDir))
    .filter((file) => /^\d+_.*\.sql$/.test(file) && !file.endsWith('.down.sql'))
    .map((file) => file.slice(0, -'.sql'.length))
    .sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10));
}

/** Runs migration files in `schema` the way the migrator does: one transaction each, temp last. */
export async function runFiles(sql: postgres.Sql, schema: string, files: string[]): Promise<void> {
  for (const file of files) {
    const text = await readFile(`${migrationsDir}${file}.sql`, 'utf8');
    await sql.begin(async (transaction) => {
      await transaction`select set_config('search_path', quote_ident(${schema}) || ', pg_temp', true)`;
      await transaction.unsafe(text).simple();
    });
  }
}

/** Everything the catalog says about `schema`, without object ids; comments included. */
export async function readCatalog(sql: postgres.Sql, schema: string): Promise<string[]> {
  const rows = await sql<{ line: string }[]>`
    with space as (select oid from pg_namespace where nspname = ${schema}),
    relation as (select c.* from pg_class c join space s on c.relnamespace = s.oid)
    select concat_ws(' | ', 'relation', relname, relkind, reloptions::text, obj_description(oid, 'pg_class')) as line
    from relation
    union all
    select concat_ws(' | ', 'column', c.relname, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
      a.attidentity, pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum))
    from relation c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
    left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
    union all
    select concat_ws(' | ', 'constraint', n.conname, pg_get_constraintdef(n.oid), obj_description(n.oid, 'pg_constraint'))
    from pg_constraint n join space s on n.connamespace = s.oid
    union all
    select concat_ws(' | ', 'index', indexname, indexdef) from pg_indexes where schemaname = ${schema}
    union all
    select concat_ws(' | ', 'trigger', c.relname, t.tgname, t.tgenabled, pg_get_triggerdef(t.oid), obj_description(t.oid, 'pg_trigger'))
    from pg_trigger t join relation c on c.oid = t.tgrelid where not t.tgisinternal
    union all
    select concat_ws(' | ', 'function', pg_get_functiondef(p.oid), p.proacl::text, obj_description(p.oid, 'pg_proc'))
    from pg_proc p join space s on p.pronamespace = s.oid
    union all
    select concat_ws(' | ', 'type', t.typname, t.typtype, format_type(t.typbasetype, t.typtypmod), obj_description(t.oid, 'pg_type'))
    from pg_type t join space s on t.typnamespace = s.oid
    order by line`;
  return rows.map((row) => row.line);
}

export function only<T>(row: T | undefined): T {
  if (row === undefined) throw new Error('the query returned no row');
  return row;
}

/** Three users by name. */
export async function addTrio(sql: postgres.Sql): Promise<[number, number, number]> {
  const [ann, bob, cid] = await addUsers(sql, 3);
  return [only(ann), only(bob), only(cid)];
}

/** Events whose counters are not the number of their rows, or are above the capacity. */
export async function listWrongSeats(sql: postgres.Sql): Promise<unknown[]> {
  return [
    ...(await sql`
      select 'counters' as broken, e.id, e.capacity, e.current_registrations, e.held_seats,
        count(r.id) filter (where r.status = 'confirmed')::int as confirmed,
        count(r.id) filter (where r.status = 'pending')::int as pending
      from events e
      left join registrations r on r.event_id = e.id
      group by e.id
      having e.current_registrations <> count(r.id) filter (where r.status = 'confirmed')
        or e.held_seats <> count(r.id) filter (where r.status = 'pending')
        or count(r.id) filter (where r.status in ('confirmed', 'pending')) > e.capacity`),
  ];
}

/** What must hold at every moment nobody is in the middle of a change, told by what breaks it. */
export async function listBrokenInvariants(sql: postgres.Sql): Promise<unknown[]> {
  return [
    ...(await listWrongSeats(sql)),
    ...(await sql`
      select 'hold' as broken, id, status, hold_expires_at
      from registrations
      where (status = 'pending') <> (hold_expires_at is not null)`),
    ...(await sql`
      select 'rule' as broken, rule_name, details, sample_ids
      from validate_business_rules()
      where severity = 'error'`),
  ];
}

/** Seats that are free although active users wait for them, and holds past their end. */
export async function listStrandedSeats(sql: postgres.Sql): Promise<unknown[]> {
  return [
    ...(await sql`
      select e.id, e.capacity, e.current_registrations, e.held_seats, count(*)::int as waiters
      from events e
      join registrations r on r.event_id = e.id and r.status = 'waitlist'
      join users u on u.id = r.user_id and u.is_active
      where e.is_active and e.date_time > now()
        and e.current_registrations + e.held_seats < e.capacity
      group by e.id`),
  ];
}
