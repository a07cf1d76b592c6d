import { listColumns } from '../connection/inspection.ts';
import type { Session } from '../connection/session.ts';
import type { ReportNote, ReportView, StatsReport, Tone } from '../report/columns.ts';
import { hiddenNote } from './catalog-queries.ts';

/** How old a database or a table is, in transactions, and whether vacuum processes it. */
export interface VacuumRow {
  kind: 'database' | 'table';
  /** Null for a database, and for a table of another database. */
  schema: string | null;
  name: string;
  /** Transactions since its oldest row may have been written, toast included; null elsewhere. */
  xidAge: number | null;
  /** The age at which autovacuum freezes it even if autovacuum is off. */
  freezeMaxAge: number | null;
  /** Transactions until the server refuses to write; below 0 it does. */
  xidsLeft: number | null;
  multixactAge: number | null;
  multixactFreezeMaxAge: number | null;
  multixactsLeft: number | null;
  /** Whether autovacuum is switched off for this very table. */
  isAutovacuumOff: boolean;
  /** By anyone; null if never, or not since the statistics were reset. */
  lastVacuumAt: Date | null;
  running: RunningVacuum | null;
}

/** How many tables are shown. */
export interface ReadVacuumOptions {
  /** How many tables, the oldest ones; default 20. */
  limit?: number | undefined;
}

/** How old databases and tables are, and whether autovacuum runs. */
export interface VacuumReport extends StatsReport<VacuumRow> {
  /** Whether the server vacuums automatically. */
  isAutovacuumOn: boolean;
}

/**
 * Reads how far databases and tables are from transaction ID wraparound, which vacuums run, and
 * which tables autovacuum ignores.
 *
 * @param session from `withInspection`
 * @throws {EvdbError} QueryError if the server refuses a statement
 * @example
 * const { rows, isAutovacuumOn } = await withInspection(connection, (session) => readVacuum(session));
 */
export async function readVacuum(
  session: Session,
  { limit = 20 }: ReadVacuumOptions = {},
): Promise<VacuumReport> {
  const databases = (await session.run(DATABASES)) as unknown as VacuumRow[];
  const vacuums = await listRunningVacuums(session);
  const here = vacuums.filter(({ isHere }) => isHere);
  const ids = here.map(({ relationId }) => relationId);
  const tables = (await session.run(renderTables(limit, ids))) as unknown as (VacuumRow & {
    id: number;
    toastId: number;
  })[];
  const rows: VacuumRow[] = [
    ...databases.map((row) => ({ ...row, running: null })),
    ...tables.map(({ id, toastId, ...row }) => {
      const found = here.find(({ relationId }) => relationId === id || relationId === toastId);
      return { ...row, running: found?.vacuum ?? null };
    }),
    ...vacuums.filter(({ isHere }) => !isHere).map(describeElsewhere),
  ];
  const [setting] = await session.run(AUTOVACUUM);
  const isAutovacuumOn = setting?.isOn === true;
  const notes = notesOn({ isAutovacuumOn, vacuums, user: session.facts.user });
  return { rows, countedSince: null, notes, isAutovacuumOn };
}

/** Without track_counts the launcher runs, and knows of nothing to do. */
const AUTOVACUUM = `select pg_catalog.current_setting('autovacuum')::bool
    and pg_catalog.current_setting('track_counts')::bool as "isOn"`;

/** Ids compare modulo 2^32, so half of them are the past; the last 3 million are kept for vacuum. */
const LAST_ID = 2 ** 31 - 1 - 3_000_000;

const FREEZE_MAX = `pg_catalog.current_setting('autovacuum_freeze_max_age')::int`;
const MULTIXACT_FREEZE_MAX = `pg_catalog.current_setting('autovacuum_multixact_freeze_max_age')::int`;

const DATABASES = `
select
    'database' as "kind",
    null::text as "schema",
    datname::text as "name",
    pg_catalog.age(datfrozenxid)::float8 as "xidAge",
    ${FREEZE_MAX}::float8 as "freezeMaxAge",
    ${LAST_ID} - pg_catalog.age(datfrozenxid)::float8 as "xidsLeft",
    pg_catalog.mxid_age(datminmxid)::float8 as "multixactAge",
    ${MULTIXACT_FREEZE_MAX}::float8 as "multixactFreezeMaxAge",
    ${LAST_ID} - pg_catalog.mxid_age(datminmxid)::float8 as "multixactsLeft",
    false as "isAutovacuumOff",
    null::timestamptz as "lastVacuumAt"
from pg_catalog.pg_database
order by "xidAge" desc, "name"`;

const AGED = `
    select
        c.oid as id,
        coalesce(t.oid, 0) as toast_id,
        c.relnamespace,
        c.relname,
        c.relpages,
        greatest(pg_catalog.age(c.relfrozenxid), pg_catalog.age(t.relfrozenxid)) as xid_age,
        greatest(pg_catalog.mxid_age(c.relminmxid), pg_catalog.mxid_age(t.relminmxid)) as multixact_age,
        coalesce(not own.enabled, false) as is_off,
        least(own.freeze_max, ${FREEZE_MAX}) as freeze_max,
        least(own.multixact_freeze_max, ${MULTIXACT_FREEZE_MAX}) as multixact_freeze_max
    from pg_catalog.pg_class as c
    left join pg_catalog.pg_class as t on t.oid = c.reltoastrelid
    left join lateral (
        select
            pg_catalog.max(option_value) filter (where option_name = 'autovacuum_enabled')::bool as enabled,
            pg_catalog.max(option_value) filter (where option_name = 'autovacuum_freeze_max_age')::int as freeze_max,
            pg_catalog.max(option_value) filter (where option_name = 'autovacuum_multixact_freeze_max_age')::int
                as multixact_freeze_max
        from pg_catalog.pg_options_to_table(c.reloptions)
    ) as own on c.reloptions is not null
    where c.relkind in ('r', 'm') and c.relpersistence <> 't'`;

function renderTables(limit: number, vacuumedIds: number[]): string {
  const ids = [0, ...vacuumedIds].map(Math.trunc).join(', ');
  return `
with aged as materialized (${AGED}
), oldest as (
    select id from aged
    order by xid_age desc, multixact_age desc, relpages desc, relname
    limit ${Math.max(0, Math.floor(limit))}
)
select
    'table' as "kind",
    n.nspname::text as "schema",
    a.relname::text as "name",
    a.id::bigint::float8 as "id",
    a.toast_id::bigint::float8 as "toastId",
    a.xid_age::float8 as "xidAge",
    a.freeze_max::float8 as "freezeMaxAge",
    ${LAST_ID} - a.xid_age::float8 as "xidsLeft",
    a.multixact_age::float8 as "multixactAge",
    a.multixact_freeze_max::float8 as "multixactFreezeMaxAge",
    ${LAST_ID} - a.multixact_age::float8 as "multixactsLeft",
    a.is_off as "isAutovacuumOff",
    greatest(
        pg_catalog.pg_stat_get_last_vacuum_time(a.id),
        pg_catalog.pg_stat_get_last_autovacuum_time(a.id)
    ) as "lastVacuumAt"
from aged as a
join pg_catalog.pg_namespace as n on n.oid = a.relnamespace
where a.id in (select id from oldest) or a.is_off or a.id in (${ids}) or nullif(a.toast_id, 0) in (${ids})
order by a.xid_age desc, a.multixact_age desc, a.relpages desc, "schema", "name"`;
}

function describeElsewhere({ name, vacuum }: VacuumOfTable): VacuumRow {
  return {
    kind: 'table',
    schema: null,
    name,
    xidAge: null,
    freezeMaxAge: null,
    xidsLeft: null,
    multixactAge: null,
    multixactFreezeMaxAge: null,
    multixactsLeft: null,
    isAutovacuumOff: false,
    lastVacuumAt: null,
    running: vacuum,
  };
}

function notesOn(facts: {
  isAutovacuumOn: boolean;
  vacuums: VacuumOfTable[];
  user: string;
}): ReportNote[] {
  const notes: ReportNote[] = [];
  if (!facts.isAutovacuumOn) {
    notes.push({
      level: 'warning',
      text: 'autovacuum is off: dead rows stay, and tables are vacuumed only at the last moment before wraparound',
      hint: 'alter system set autovacuum = on; alter system set track_counts = on; select pg_reload_conf();',
    });
  }
  if (facts.vacuums.some(({ isHidden }) => isHidden)) {
    notes.push(hiddenNote('tables and progress of running vacuums are', facts.user));
  }
  return notes;
}

/** A vacuum that runs. */
export interface RunningVacuum {
  pid: number;
  /** Such as `scanning heap`; null if it is hidden. */
  phase: string | null;
  /** 0 to 1: how much of the table it has read; null if it is hidden. */
  progress: number | null;
  isAutovacuum: boolean;
  /** Whether it runs to prevent wraparound, and so does not give way to others. */
  isForWraparound: boolean;
  startedAt: Date | null;
  runningMs: number | null;
}

/** A vacuum, and what it works on. */
interface VacuumOfTable {
  vacuum: RunningVacuum;
  /** Of the table or its toast table; 0 where it is hidden. */
  relationId: number;
  /** Whether it is one of this database. */
  isHere: boolean;
  /** The table as far as it can be named: those of other databases have only a number. */
  name: string;
  isHidden: boolean;
}

/** Lists the vacuums that run on the whole server (without `vacuum full`). */
async function listRunningVacuums(session: Session): Promise<VacuumOfTable[]> {
  const columns = await listColumns(session, 'pg_catalog.pg_stat_progress_vacuum');
  if (!columns.has('heap_blks_scanned')) return [];
  const rows = await session.run(`
select
    p.pid as "pid",
    p.phase as "phase",
    p.heap_blks_scanned::float8 / nullif(p.heap_blks_total, 0) as "progress",
    coalesce(a.backend_type = 'autovacuum worker', false) as "isAutovacuum",
    coalesce(a.query like '%(to prevent wraparound)%', false) as "isForWraparound",
    a.xact_start as "startedAt",
    (extract(epoch from pg_catalog.clock_timestamp() - a.xact_start) * 1000)::float8 as "runningMs",
    coalesce(p.relid, 0)::bigint::float8 as "relationId",
    p.datname = pg_catalog.current_database() and p.relid is not null as "isHere",
    case when p.relid is null then '(hidden) in database ' || p.datname
        else 'relation ' || p.relid || ' in database ' || p.datname end as "name",
    p.relid is null as "isHidden"
from pg_catalog.pg_stat_progress_vacuum as p
left join pg_catalog.pg_stat_activity as a using (pid)
order by a.xact_start`);
  return rows.map((row) => {
    const { relationId, isHere, name, isHidden, ...vacuum } = row as unknown as RunningVacuum &
      Omit<VacuumOfTable, 'vacuum'>;
    return { vacuum, relationId, isHere, name, isHidden };
  });
}

/** Autovacuum begins at 1, and has had a long time to finish at 1.5. */
function ageTone(age: number | null, max: number | null, left: number | null): Tone | undefined {
  if (age === null || max === null || left === null) return undefined;
  if (left < 500_000_000) return 'critical';
  return age > max * 1.5 ? 'warning' : undefined;
}

function renderRunning({ running, isAutovacuumOff }: VacuumRow): string | null {
  if (!running) return isAutovacuumOff ? 'autovacuum is off' : null;
  const { phase, progress, pid, isForWraparound } = running;
  const part = progress === null ? '' : ` ${Math.floor(progress * 100)} %`;
  return `${phase ?? 'running'}${part} (pid ${pid}${isForWraparound ? ', against wraparound' : ''})`;
}

export const VACUUM_VIEW: ReportView<VacuumRow> = {
  title: 'Vacuum and wraparound',
  columns: [
    { header: 'kind', value: (row) => row.kind, priority: 4 },
    {
      header: 'name',
      value: (row) => (row.schema === null ? row.name : `${row.schema}.${row.name}`),
    },
    {
      header: 'age',
      unit: 'count',
      value: (row) => row.xidAge,
      tone: (row) => ageTone(row.xidAge, row.freezeMaxAge, row.xidsLeft),
    },
    { header: 'freeze at', unit: 'count', value: (row) => row.freezeMaxAge, priority: 3 },
    { header: 'left', unit: 'count', value: (row) => row.xidsLeft, priority: 2 },
    {
      header: 'multixact age',
      unit: 'count',
      value: (row) => row.multixactAge,
      priority: 5,
      tone: (row) => ageTone(row.multixactAge, row.multixactFreezeMaxAge, row.multixactsLeft),
    },
    { header: 'multixacts left', unit: 'count', value: (row) => row.multixactsLeft, priority: 6 },
    { header: 'last vacuum', unit: 'time', value: (row) => row.lastVacuumAt, priority: 2 },
    {
      header: 'now',
      value: renderRunning,
      priority: 1,
      tone: (row) => (row.isAutovacuumOff && !row.running ? 'warning' : undefined),
    },
  ],
  empty: () => 'no database is visible',
};
