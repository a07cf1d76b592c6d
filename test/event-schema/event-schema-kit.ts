// What tests of the event schema share, by topic: people, events and registrations; files and catalog;
// the audit log; rules that are broken; indexes; search; roles; sessions that wait; what must always hold.

import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type postgres from 'postgres';
import { expect } from 'vitest';
import { closeSql, openSql, withLogin } from '../support/databases.ts';
import { test as base } from '../support/fixture.ts';

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

/** Audit entries since the last call, in order, as table, operation and row. */
export function followEntries(sql: postgres.Sql): () => Promise<string[]> {
  let seen = '0';
  return async () => {
    const rows = await sql<{ id: string; entry: string }[]>`
      select id, concat_ws(' ', table_name, operation, row_id) as entry
      from audit_log_entries where id > ${seen} order by id`;
    seen = rows.at(-1)?.id ?? seen;
    return rows.map((row) => row.entry);
  };
}

/** Adds `count` entries that are `days` days and an hour old, with the partition that they need. */
export async function addOldEntries(sql: postgres.Sql, days: number, count: number): Promise<void> {
  await sql.begin(async (transaction) => {
    const [row] = await transaction<{ at: string }[]>`
      select (now() - make_interval(hours => 24 * ${days}::int + 1))::text as at`;
    const { at } = only(row);
    await transaction`select create_audit_partition((${at}::timestamptz at time zone 'UTC')::date)`;
    await transaction`
      insert into audit_logs (created_at, table_name, operation)
      select ${at}::timestamptz, 'users', 'TRUNCATE' from generate_series(1, ${count}::int)`;
  });
}

/** The age in days of every entry, youngest first. */
export async function readAges(sql: postgres.Sql): Promise<number[]> {
  const rows = await sql<{ days: number }[]>`
    select extract(day from now() - created_at)::int as days from audit_log_entries order by 1`;
  return rows.map((row) => row.days);
}

/** Name of the partition of the month that is `monthsAhead` after this one. */
export async function partitionName(sql: postgres.Sql, monthsAhead = 0): Promise<string> {
  const [row] = await sql<{ name: string }[]>`
    select to_char(date_trunc('month', now() at time zone 'UTC') + make_interval(months => ${monthsAhead}::int),
      '"audit_logs_"YYYY_MM') as name`;
  return only(row).name;
}

export async function listPartitions(sql: postgres.Sql): Promise<string[]> {
  const rows = await sql<{ partition_name: string }[]>`
    select partition_name from list_audit_partitions()`;
  return rows.map((row) => row.partition_name);
}

/** In which table each entry lies, in order of writing. */
export async function listPlaces(sql: postgres.Sql): Promise<string[]> {
  const rows = await sql<{ place: string }[]>`
    select id, tableoid::regclass::text as place from audit_logs
    union all select id, tableoid::regclass::text from audit_logs_overflow order by id`;
  return rows.map((row) => row.place);
}

export async function cleanUp(sql: postgres.ISql, days: number | null): Promise<unknown> {
  const [row] = await sql`select cleanup_audit_logs(${days}::int) as removed`;
  return row?.removed;
}

/** Runs `work` on a session of its own, inside a transaction that is open before and after it. */
export async function withOpenTransaction(
  url: string,
  statement: string,
  work: (other: postgres.Sql) => Promise<void>,
): Promise<void> {
  const other = openSql(url, 1);
  try {
    await other`begin`;
    await other.unsafe(statement);
    await work(other);
    await other`rollback`;
  } finally {
    await closeSql(other);
  }
}

/** A row of validate_business_rules(), without its words. */
interface BrokenRule {
  rule_name: string;
  violation_count: number;
  severity: string;
  sample_ids: number[] | null;
}

/** Every rule that is broken, as `[name, count, ids]`. */
export async function listBroken(sql: postgres.Sql): Promise<[string, number, number[] | null][]> {
  const rows = await sql<BrokenRule[]>`select * from validate_business_rules()`;
  return rows.map((row) => [row.rule_name, row.violation_count, row.sample_ids]);
}

/** What validate_business_rules() says about one rule; undefined where it says nothing. */
export async function readDetails(sql: postgres.Sql, rule: string): Promise<string | undefined> {
  const [row] = await sql<{ details: string }[]>`
    select details from validate_business_rules() where rule_name = ${rule}`;
  return row?.details;
}

/** Runs a statement as a restore or a replica does: no trigger and no foreign key sees them. */
export async function behindTriggers(sql: postgres.Sql, statement: string): Promise<void> {
  await sql.begin(async (transaction) => {
    await transaction`set local session_replication_role = replica`;
    await transaction.unsafe(statement);
  });
}

/** Adds a registration that nothing counts, checks or audits, and returns its id. */
export async function smuggle(
  sql: postgres.Sql,
  user: number,
  event: number,
  status = 'confirmed',
): Promise<number> {
  return sql.begin(async (transaction) => {
    await transaction`set local session_replication_role = replica`;
    const [row] = await transaction<{ id: number }[]>`
      insert into registrations (user_id, event_id, status) values (${user}, ${event}, ${status})
      returning id`;
    return only(row).id;
  });
}

/** Three users by name. */
export async function addTrio(sql: postgres.Sql): Promise<[number, number, number]> {
  const [ann, bob, cid] = await addUsers(sql, 3);
  return [only(ann), only(bob), only(cid)];
}

/** A row of get_index_usage_stats(). */
export interface IndexUsage {
  schemaname: string;
  tablename: string;
  indexname: string;
  idx_scan: string;
  usage_ratio: string | null;
  index_size: string;
  index_size_bytes: string;
  is_unique: boolean;
  enforces_constraint: boolean;
  supports_foreign_key: boolean;
  is_valid: boolean;
  last_idx_scan: Date | null;
  stats_since: Date;
  table_scans: string;
  table_writes: string;
}

/** Counters reach the views when the session that counts goes idle for long enough, or ends. */
export async function useInOwnSession(url: string, statements: string[]): Promise<void> {
  const sql = openSql(url, 1);
  try {
    for (const statement of statements) await sql.unsafe(statement);
  } finally {
    await closeSql(sql);
  }
}

/** Waits, up to ten seconds, until scans of the index are counted. */
export async function waitForScans(sql: postgres.Sql, indexname: string): Promise<IndexUsage> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const [row] = await sql<IndexUsage[]>`
      select * from get_index_usage_stats() where indexname = ${indexname} and idx_scan > 0`;
    if (row) return row;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`no scan of ${indexname} was ever counted`);
}

export interface SearchOptions {
  from?: Date | null;
  until?: Date | null;
  location?: string | null;
  onlyActive?: boolean;
  onlyFree?: boolean;
  limit?: number;
  after?: string | null;
  headline?: boolean;
}

interface FoundEvent {
  event_id: number;
  title: string;
  available_spots: number;
  rank: number;
  headline: string | null;
  row_cursor: string;
}

/** One page; `from` is now unless given, as in SQL. */
export async function search(
  sql: postgres.Sql,
  query: string | null,
  options: SearchOptions = {},
): Promise<FoundEvent[]> {
  const from = options.from === undefined ? new Date() : options.from;
  return sql<FoundEvent[]>`
    select event_id, title, available_spots, rank, headline, row_cursor
    from search_events(
      p_query => ${query}::text,
      p_from => ${from}::timestamptz,
      p_until => ${options.until ?? null}::timestamptz,
      p_location => ${options.location ?? null}::text,
      p_only_active => ${options.onlyActive ?? true},
      p_only_free => ${options.onlyFree ?? false},
      p_limit => ${options.limit ?? 20}::int,
      p_after => ${options.after ?? null}::text,
      p_headline => ${options.headline ?? true})`;
}

/** Titles of one page, in order. */
export async function searchTitles(
  sql: postgres.Sql,
  query: string | null,
  options: SearchOptions = {},
): Promise<string[]> {
  return (await search(sql, query, options)).map((row) => row.title);
}

/** Every id that paging to the end shows; `between` runs after each page. */
export async function pageThrough(
  sql: postgres.Sql,
  query: string | null,
  options: SearchOptions = {},
  between: (page: number) => Promise<void> = async () => undefined,
): Promise<number[]> {
  const ids: number[] = [];
  let after: string | null = null;
  for (let page = 1; page <= 1000; page++) {
    const rows = await search(sql, query, { ...options, after });
    ids.push(...rows.map((row) => row.event_id));
    after = rows.at(-1)?.row_cursor ?? null;
    if (rows.length < (options.limit ?? 20)) return ids;
    await between(page);
  }
  throw new Error('paging does not end');
}

/** Adds `count` events an hour apart, `first` hours from now on, and returns their ids. */
export async function addHourlyEvents(
  sql: postgres.Sql,
  count: number,
  { title = 'Concert', description = null as string | null, firstHour = 1 } = {},
): Promise<number[]> {
  const rows = await sql<{ id: number }[]>`
    insert into events (title, description, date_time, location, capacity)
    select ${title}, repeat(${description}::text || ' ', 1 + i % 7), now() + make_interval(hours => ${firstHour} + i), 'Hall', 10
    from generate_series(0, ${count - 1}) i
    returning id`;
  return rows.map((row) => row.id);
}

/** Roles that log in, and a session of each. */
interface Roles {
  application: { name: string; sql: postgres.Sql };
  reader: { name: string; sql: postgres.Sql };
}

const password = 'S3cret/w@rd?';

/**
 * `test` with two roles that may log in and own nothing. Their names need quoting; nothing is granted
 * to them yet.
 */
export const test = base.extend<{ roles: Roles }>({
  roles: async ({ admin, db }, use) => {
    const suffix = randomBytes(6).toString('hex');
    const names = [`evdb test "App" ${suffix}`, `evdb_test_Leser_ä_${suffix}`] as const;
    // Before PostgreSQL 15 everybody may create objects there.
    await db.sql`revoke create on schema public from public`;
    const open = async (name: string) => {
      await admin`create role ${admin(name)} login`;
      await admin.unsafe(`alter role ${quote(name)} password '${password}'`);
      return { name, sql: openSql(withLogin(db.url, name, password), 2) };
    };
    const roles = { application: await open(names[0]), reader: await open(names[1]) };
    await use(roles);
    for (const role of [roles.application, roles.reader]) {
      await closeSql(role.sql);
      await db.sql.unsafe(`drop owned by ${quote(role.name)}`);
      await admin.unsafe(`drop role ${quote(role.name)}`);
    }
  },
});

export function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Expects that the role may not run any of the statements. */
export async function expectRefused(sql: postgres.Sql, statements: string[]): Promise<void> {
  for (const statement of statements) {
    const outcome = await sql.unsafe(statement).then(
      () => 'done',
      (error: { code?: string }) => error.code,
    );
    expect([statement, outcome]).toEqual([statement, '42501']);
  }
}

/** Everything that a role holds in the schema on its own account, as lines. */
export async function readRights(sql: postgres.Sql, role: string): Promise<string[]> {
  const rows = await sql<{ line: string }[]>`
    with grants (line, acl) as (
      select 'schema ' || nspname, nspacl from pg_namespace where nspname = current_schema()
      union all
      select relname, relacl from pg_class where relnamespace = current_schema()::regnamespace
      union all
      select c.relname || '.' || a.attname, a.attacl
      from pg_class c join pg_attribute a on a.attrelid = c.oid
      where c.relnamespace = current_schema()::regnamespace
      union all
      select proname || '()', proacl from pg_proc where pronamespace = current_schema()::regnamespace
      union all
      select 'type ' || typname, typacl from pg_type where typnamespace = current_schema()::regnamespace
    )
    select lower(x.privilege_type) || ' ' || g.line as line
    from grants g cross join lateral aclexplode(g.acl) x
    where x.grantee = (select oid from pg_roles where rolname = ${role})
    order by 1`;
  return rows.map((row) => row.line);
}

/** One session of which the server's process id is known. */
export interface Client {
  sql: postgres.Sql;
  pid: number;
}

/** Opens `count` sessions, lends them to `work`, and closes them whatever happens. */
export async function withClients<T>(
  url: string,
  count: number,
  work: (...clients: Client[]) => Promise<T>,
): Promise<T> {
  const sessions = Array.from({ length: count }, () => openSql(url, 1));
  try {
    const clients = await Promise.all(
      sessions.map(async (sql) => {
        const [row] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
        if (!row) throw new Error('a session without a process');
        return { sql, pid: row.pid };
      }),
    );
    return await work(...clients);
  } finally {
    await Promise.all(sessions.map(closeSql));
  }
}

/** Waits until a session waits for a lock; throws where it does not come to that. */
export async function untilBlocked(sql: postgres.Sql, client: Client): Promise<void> {
  for (let i = 0; i < 2000; i++) {
    const [row] = await sql`
      select from pg_stat_activity where pid = ${client.pid} and wait_event_type = 'Lock'`;
    if (row) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`session ${client.pid} never waited for a lock`);
}

/** `ok`, or the SQLSTATE (or the driver's code) that a query was rejected with. */
export async function outcomeOf(query: PromiseLike<unknown>): Promise<string> {
  try {
    await query;
    return 'ok';
  } catch (error) {
    return codeOf(error);
  }
}

/** The code of an error of the server or the driver; throws anything else. */
export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown }).code;
  if (typeof code !== 'string') throw error;
  return code;
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

/**
 * Where the audit log does not tell the story of the registrations: each entry of a row has to begin
 * with what the one before ended with, and the last one with what the table holds.
 */
export async function listAuditGaps(sql: postgres.Sql): Promise<unknown[]> {
  return [
    ...(await sql`
      with entries as (
        select a.id, a.row_id, a.operation, a.old_values ->> 'status' as before, a.new_values ->> 'status' as after,
          lag(a.new_values ->> 'status') over history as expected,
          lead(a.id) over history is null as is_last
        from audit_logs a
        where a.table_name = 'registrations'
          and a.operation <> 'TRUNCATE'
          and a.id > coalesce((
            select max(t.id) from audit_logs t where t.table_name = 'registrations' and t.operation = 'TRUNCATE'), 0)
        window history as (partition by a.row_id order by a.id)
      )
      select coalesce(n.row_id, r.id) as row_id, n.operation, n.before, n.expected, n.after, r.status
      from (select * from entries where is_last or before is distinct from expected) n
      full join registrations r on r.id = n.row_id
      where n.before is distinct from n.expected
        or (coalesce(n.is_last, true) and n.after is distinct from r.status)
      limit 10`),
  ];
}
