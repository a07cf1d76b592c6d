import { codeOf } from '../connection/connection-error.ts';
import { listColumns } from '../connection/inspection.ts';
import type { Session } from '../connection/session.ts';
import { maskSecrets } from '../sql/mask.ts';
import { quoteIdent, quoteLiteral } from '../sql/quote.ts';
import { readActivity } from '../stats/activity.ts';
import { seesRole } from '../stats/catalog-queries.ts';
import { readLocks } from '../stats/locks.ts';
import { readReplication } from '../stats/replication.ts';
import {
  COUNTERS,
  type MonitorLook,
  type MonitorPulse,
  type MonitorView,
  type SaleLook,
  type StatementCounters,
} from './look.ts';

/** What a reader looks at. */
export interface MonitorReaderOptions {
  /** The PostgreSQL schema of the event schema; default `public`. */
  schema?: string | undefined;
}

/** Looks at one server, on one session. */
export interface MonitorReader {
  /**
   * Reads what a view needs, with few and cheap queries; with all views everything.
   *
   * @throws {EvdbError} QueryError if the server refuses a statement
   */
  look(views: readonly MonitorView[]): Promise<MonitorLook>;
}

/**
 * Makes a reader for a session from `withInspection`. It keeps the texts of statements, which the
 * server reads from a file each time.
 *
 * @example
 * const look = await withInspection(connection, (session) =>
 *   createMonitorReader(session).look(['activity']),
 * );
 */
export function createMonitorReader(
  session: Session,
  { schema = 'public' }: MonitorReaderOptions = {},
): MonitorReader {
  const readStatements = createStatementsReader(session);
  const readSale = createSaleReader(session, schema);
  return {
    async look(views) {
      const pulse = await readPulse(session);
      const look: MonitorLook = { pulse, notes: [] };
      const note = (notes: readonly { text: string }[]) =>
        look.notes.push(...notes.map(({ text }) => text));
      for (const view of views) {
        if (view === 'activity') {
          const { rows, notes } = await readActivity(session);
          look.activity = rows;
          note(notes);
        } else if (view === 'locks') {
          const { rows, notes } = await readLocks(session);
          look.locks = rows;
          note(notes);
        } else if (view === 'replication') {
          const { rows, notes } = await readReplication(session);
          look.replication = rows;
          note(notes);
        } else if (view === 'statements') {
          const read = await readStatements();
          if (typeof read === 'string') look.notes.push(read);
          else look.statements = read;
        } else if (view === 'sale') {
          const read = await readSale();
          if (typeof read === 'string') look.notes.push(read);
          else look.sale = read;
        }
      }
      return look;
    },
  };
}

const COUNTER_SQL: Record<(typeof COUNTERS)[number], string> = {
  commits: 'd.xact_commit',
  rollbacks: 'd.xact_rollback',
  rowsRead: 'd.tup_returned',
  rowsInserted: 'd.tup_inserted',
  rowsUpdated: 'd.tup_updated',
  rowsDeleted: 'd.tup_deleted',
  blocksHit: 'd.blks_hit',
  blocksRead: 'd.blks_read',
  tempBytes: 'd.temp_bytes',
  // Only a primary writes any, and a role may be forbidden to ask.
  walBytes: `case when not pg_catalog.pg_is_in_recovery()
    then pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0') end`,
  deadlocks: 'd.deadlocks',
};

const PULSE = `
with client as materialized (
  select a.state, a.wait_event_type, a.wait_event
  from pg_catalog.pg_stat_activity a
  where a.backend_type = 'client backend' and a.pid <> pg_catalog.pg_backend_pid()
)
select pg_catalog.clock_timestamp() as "at", d.datname as "database",
  pg_catalog.jsonb_build_object(
    'total', (select pg_catalog.count(*) from client),
    'max', pg_catalog.current_setting('max_connections')::int,
    'active', (select pg_catalog.count(*) from client c where c.state = 'active'),
    'idleInTransaction',
      (select pg_catalog.count(*) from client c where c.state like 'idle in transaction%'),
    'waiting', (select pg_catalog.count(*) from client c where c.wait_event_type = 'Lock')
  ) as "connections",
  pg_catalog.jsonb_build_object(${COUNTERS.map((name) => `'${name}', ${COUNTER_SQL[name]}`).join(', ')})
    as "counters",
  (
    select coalesce(pg_catalog.jsonb_agg(w order by w.sessions desc, w.event), '[]')
    from (
      select coalesce(c.wait_event_type || ': ' || c.wait_event, 'CPU') as event,
        pg_catalog.count(*) as sessions
      from client c where c.state = 'active' group by 1
    ) w
  ) as "waits"
from pg_catalog.pg_stat_database d
where d.datname = pg_catalog.current_database()`;

async function readPulse(session: Session): Promise<MonitorPulse> {
  const [row] = await session.run(PULSE);
  return row as unknown as MonitorPulse;
}

/** Those with the most time are enough: what got slow is among them soon. */
const MOST_STATEMENTS = 500;

function createStatementsReader(session: Session): () => Promise<StatementCounters[] | string> {
  const texts = new Map<string, string | null>();
  let query: { counters: string; texts: (ids: readonly string[]) => string } | string | undefined;
  return async () => {
    query ??= await prepareStatements(session);
    if (typeof query === 'string') return query;
    let rows: Omit<StatementCounters, 'query'>[];
    try {
      rows = (await session.run(query.counters)) as unknown as typeof rows;
      const unknown = rows.filter(({ id }) => !texts.has(id)).map(({ id }) => id);
      const found = unknown.length === 0 ? [] : await session.run(query.texts(unknown));
      for (const id of unknown) texts.set(id, null);
      for (const { id, query: text } of found) {
        texts.set(String(id), text === null ? null : maskSecrets(String(text)));
      }
    } catch (error) {
      const code = codeOf(error);
      if (code === '55000') return 'pg_stat_statements is installed but not loaded';
      if (code === '42501') return `${session.facts.user} may not read pg_stat_statements`;
      throw error;
    }
    return rows.map((row) => ({ ...row, query: texts.get(row.id) ?? null }));
  };
}

/** The queries for the version of the extension; a sentence where there is none. */
async function prepareStatements(session: Session) {
  const [extension] = await session.run(`
select n.nspname as "schema" from pg_catalog.pg_extension e
join pg_catalog.pg_namespace n on n.oid = e.extnamespace where e.extname = 'pg_stat_statements'`);
  if (!extension) return 'the extension pg_stat_statements is not installed in this database';
  const view = `${quoteIdent(String(extension.schema))}.pg_stat_statements`;
  const columns = await listColumns(session, view);
  const time = columns.has('total_exec_time') ? 's.total_exec_time' : 's.total_time';
  const here = `s.dbid = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
    and s.queryid is not null`;
  return {
    counters: `select s.queryid::text as "id", pg_catalog.sum(s.calls)::float8 as "calls",
  pg_catalog.sum(${time}) as "totalMs", pg_catalog.sum(s.rows)::float8 as "rows"
from ${view}(false) s where ${here}
group by s.queryid order by 3 desc limit ${MOST_STATEMENTS}`,
    texts: (ids: readonly string[]) => `select distinct on (s.queryid) s.queryid::text as "id",
  case when ${seesRole('s.userid')} then s.query end as "query"
from ${view} s where ${here}
  and s.queryid in (${ids.map((id) => BigInt(id)).join(', ')})
order by s.queryid, 2`,
  };
}

/** More are not on sale at once, or nobody reads so many. */
const MOST_EVENTS = 500;
const SHOWN_WAITERS = 5;
/** A table of that name may be anybody's. */
const EVENT_COLUMNS = 'id title date_time capacity current_registrations is_active'.split(' ');

function createSaleReader(session: Session, schema: string): () => Promise<SaleLook | string> {
  const events = `${quoteIdent(schema)}.events`;
  const registrations = `${quoteIdent(schema)}.registrations`;
  let columns: ReadonlySet<string> | undefined;
  return async () => {
    columns ??= await listColumns(session, events);
    const known = columns;
    if (!EVENT_COLUMNS.every((name) => known.has(name))) {
      return `the event schema is not installed in schema ${schema}`;
    }
    const held = columns.has('held_seats') ? 'e.held_seats' : '0';
    try {
      const [row] = await session.run(renderSale(events, registrations, held));
      const { events: listed, ...sale } = row as unknown as SaleLook & {
        events: (SaleLook['events'][number] & { startsAt: string })[];
      };
      // JSON has times as text.
      return {
        ...sale,
        events: listed.map((one) => ({ ...one, startsAt: new Date(one.startsAt) })),
      };
    } catch (error) {
      if (codeOf(error) !== '42501') throw error;
      return `${session.facts.user} may not read ${schema}.events`;
    }
  };
}

/** The queue of an event is an advisory lock on its number modulo 1024 (migration 004). */
function renderSale(events: string, registrations: string, held: string): string {
  const [eventsName, registrationsName] = [events, registrations].map(quoteLiteral);
  return `
with upcoming as materialized (
  select e.id, e.title, e.date_time as "startsAt", e.capacity,
    e.current_registrations as confirmed, ${held} as held
  from ${events} e
  where e.is_active and e.date_time > pg_catalog.now()
  order by e.date_time, e.id
  limit ${MOST_EVENTS}
), waiter as materialized (
  select l.objid::int - 1 as slot, l.pid, nullif(a.application_name, '') as application,
    (extract(epoch from pg_catalog.clock_timestamp() - l.waitstart) * 1000)::float8 as "waitMs"
  from pg_catalog.pg_locks l
  left join pg_catalog.pg_stat_activity a on a.pid = l.pid
  where l.locktype = 'advisory' and not l.granted and l.objsubid = 2 and l.objid > 0
    and l.classid = pg_catalog.to_regclass(${eventsName})::oid
    and l.database = (select d.oid from pg_catalog.pg_database d
      where d.datname = pg_catalog.current_database())
)
select
  (select coalesce(pg_catalog.jsonb_agg(u), '[]') from upcoming u) as "events",
  (
    select coalesce(pg_catalog.jsonb_agg(q order by q.waiting desc), '[]')
    from (
      select w.slot, pg_catalog.count(*) as waiting, pg_catalog.max(w."waitMs") as "longestMs",
        pg_catalog.to_jsonb((pg_catalog.array_agg(
          pg_catalog.jsonb_build_object('pid', w.pid, 'application', w.application, 'waitMs', w."waitMs")
          order by w."waitMs" desc nulls last))[1:${SHOWN_WAITERS}]) as sessions
      from waiter w group by w.slot
    ) q
  ) as "queues",
  pg_catalog.pg_stat_get_tuples_inserted(pg_catalog.to_regclass(${registrationsName}))::float8 as "registered"`;
}
