import { codeOf } from '../connection/connection-error.ts';
import type { Session } from '../connection/session.ts';
import type { ReportNote, ReportView, StatsReport, Tone } from '../report/columns.ts';
import { quoteIdent } from '../sql/quote.ts';
import { renderCount } from '../text/units.ts';
import {
  HELD,
  renderScope,
  requireSchema,
  runWithoutWaiting,
  type StatsOptions,
  type StatsPrecision,
} from './catalog-queries.ts';

/** A partitioned table and how long its partitions last. */
export interface PartitionedTableRow {
  schema: string;
  table: string;
  strategy: 'range' | 'list' | 'hash';
  /** As in `pg_get_partkeydef`; null if the table is locked exclusively. */
  key: string | null;
  partitions: number;
  /** An estimate. */
  rows: number | null;
  /** Whether the first column of a range is a time, so that there is a runway. */
  isByTime: boolean;
  /**
   * From now on without a gap; null if now is not covered, the end is open, or there is no runway.
   */
  coveredUntil: Date | null;
  /** Days until then; 0 if now is not covered; null if the end is open or there is no runway. */
  daysLeft: number | null;
  isOpenEnded: boolean;
  /** The first time after now that no partition takes, though a later one exists. */
  gapFrom: Date | null;
  defaultPartition: string | null;
  /** An estimate: rows that no other partition took. */
  defaultRows: number | null;
}

type Found = PartitionedTableRow & { detaching: number; overflow: boolean };

/**
 * Every partitioned table, those with the shortest runway first. Bounds of a key without a time
 * zone are read as UTC. The event schema's `audit_logs` is one of them; its
 * `list_audit_partitions()` says the same, but only to roles that were granted it, so the catalog
 * is read here too. A note says what the catalog cannot show: whether entries wait in
 * `audit_logs_overflow`.
 *
 * @throws {EvdbError} USAGE if the schema does not exist
 * @example
 * const { rows, notes } = await withInspection(connection, (session) => readPartitions(session));
 */
export async function readPartitions(
  session: Session,
  options: StatsOptions = {},
): Promise<StatsReport<PartitionedTableRow>> {
  await requireSchema(session, options);
  const found = (await runWithoutWaiting(session, options, (precision) =>
    render(options, precision),
  )) as unknown as Found[];
  const rows = found.map(({ detaching: _, overflow: __, ...row }) => row);
  const notes = detachNotes(found);
  for (const { schema, overflow } of found) {
    if (overflow) notes.push(...(await readOverflow(session, schema)));
  }
  return { rows, countedSince: null, notes };
}

function detachNotes(found: Found[]): ReportNote[] {
  return found
    .filter(({ detaching }) => detaching > 0)
    .map(({ schema, table, detaching }) => ({
      level: 'warning',
      text: `${renderCount(detaching, 'partition')} of ${schema}.${table} ${detaching === 1 ? 'is' : 'are'} half detached`,
      hint: `alter table ${quoteIdent(schema)}.${quoteIdent(table)} detach partition … finalize;`,
    }));
}

/** Entries that came when their month had no partition. */
async function readOverflow(session: Session, schema: string): Promise<ReportNote[]> {
  const table = `${schema}.audit_logs_overflow`;
  const name = quoteIdent(schema);
  try {
    const [row] = await session.run(
      `select exists (select from ${name}.audit_logs_overflow) as "isUsed"`,
    );
    if (row?.isUsed !== true) return [];
    return [
      {
        level: 'warning',
        text: `${table} holds entries whose month had no partition`,
        hint: `select * from ${name}.ensure_audit_partitions();`,
      },
    ];
  } catch (error) {
    // Not allowed, or locked: no reason to lose the report.
    if (!['42501', '55P03'].includes(codeOf(error) ?? '')) throw error;
    return [
      {
        level: 'unknown',
        text: `whether ${table} holds entries is unknown: this role may not read it, or it is locked`,
        hint: `grant select on ${name}.audit_logs_overflow to the role.`,
      },
    ];
  }
}

// Bounds are constants, so pg_get_expr() needs no table, and takes no lock. The settings of the
// time are local to the one message: its statements are one transaction.
function render(options: StatsOptions, precision: StatsPrecision): string {
  return `select pg_catalog.set_config('timezone', 'UTC', true),
    pg_catalog.set_config('datestyle', 'ISO, YMD', true);
  with ${HELD},
  tops as materialized (
    select p.oid, n.nspname, ${ofClass('relname', 'p.oid')} as relname, p.partstrat, p.partdefid, p.is_by_time
    from (
      select p.partrelid as oid, ${ofClass('relnamespace', 'p.partrelid')} as relnamespace, p.partstrat, p.partdefid,
        p.partstrat = 'r' and coalesce((
          select a.atttypid from pg_catalog.pg_attribute a
          where a.attrelid = p.partrelid and a.attnum = p.partattrs[0]
        ) in ('pg_catalog.date'::regtype, 'pg_catalog.timestamp'::regtype, 'pg_catalog.timestamptz'::regtype), false)
          as is_by_time
      from pg_catalog.pg_partitioned_table p
    ) p
    join pg_catalog.pg_namespace n on n.oid = p.relnamespace
    where ${renderScope('n', options)}
  ),
  parts as materialized (
    select t.oid as top, h.inhrelid as oid, ${ofClass('reltuples', 'h.inhrelid')} as reltuples,
      h.inhdetachpending as is_detaching, t.is_by_time,
      case when t.is_by_time and h.inhrelid <> t.partdefid and not h.inhdetachpending
        then pg_catalog.pg_get_expr(${ofClass('relpartbound', 'h.inhrelid')}, 0) end as bounds
    from tops t
    join pg_catalog.pg_inherits h on h.inhparent = t.oid
  ),
  -- Of a key with several columns the first is the time.
  spans as materialized (
    select p.top,
      case when p.bounds like 'FOR VALUES FROM (MINVALUE%' then '-infinity'
        else pg_catalog.substring(p.bounds, 'FROM \\(''([^'']+)''')::timestamptz end as since,
      case when p.bounds ~ ' TO \\(MAXVALUE' then 'infinity'
        else pg_catalog.substring(p.bounds, ' TO \\(''([^'']+)''')::timestamptz end as until
    from parts p where p.bounds is not null
  ),
  -- A span begins an island where no earlier one reaches it.
  marked as (
    select s.*, s.since > coalesce(pg_catalog.max(s.until) over (
        partition by s.top order by s.since, s.until rows between unbounded preceding and 1 preceding
      ), '-infinity') and s.since <> '-infinity' as is_start
    from spans s
  ),
  islands as (
    select m.*, pg_catalog.count(*) filter (where m.is_start) over (
        partition by m.top order by m.since, m.until) as island
    from marked m
  ),
  runs as materialized (
    select i.top, pg_catalog.min(i.since) as since, pg_catalog.max(i.until) as until
    from islands i group by i.top, i.island
  ),
  present as (
    select r.top, r.until from runs r where r.since <= pg_catalog.now() and r.until > pg_catalog.now()
  ),
  later as (
    select distinct r.top from runs r where r.since > pg_catalog.now()
  ),
  counted as (
    select p.top, pg_catalog.count(*) filter (where not p.is_detaching) as partitions,
      pg_catalog.count(*) filter (where p.is_detaching) as detaching
    from parts p group by p.top
  ),
  leaves as (${LEAF_ROWS})
  select t.nspname as "schema", t.relname as "table",
    case t.partstrat when 'r' then 'range' when 'l' then 'list' else 'hash' end as "strategy",
    ${precision === 'estimate' ? 'null::text' : KEY} as "key",
    coalesce(c.partitions, 0)::int as "partitions", l.rows::float8 as "rows",
    t.is_by_time as "isByTime",
    case when pg_catalog.isfinite(p.until) then p.until end as "coveredUntil",
    case when not t.is_by_time or p.until = 'infinity' then null
      else coalesce(extract(epoch from p.until - pg_catalog.now()) / 86400, 0) end::float8 as "daysLeft",
    coalesce(p.until = 'infinity', false) as "isOpenEnded",
    case when t.oid in (select a.top from later a) then coalesce(p.until, pg_catalog.now()) end as "gapFrom",
    ${ofClass('relname', 't.partdefid')} as "defaultPartition",
    case when t.partdefid <> 0 then greatest(
        pg_catalog.pg_stat_get_live_tuples(t.partdefid), ${ofClass('reltuples', 't.partdefid')}, 0) end::float8
      as "defaultRows",
    coalesce(c.detaching, 0)::int as "detaching",
    t.relname = 'audit_logs' and exists (
      select from pg_catalog.pg_class o join pg_catalog.pg_namespace n on n.oid = o.relnamespace
      where n.nspname = t.nspname and o.relname = 'audit_logs_overflow' and o.relkind = 'r') as "overflow"
  from tops t
  left join counted c on c.top = t.oid
  left join leaves l on l.top = t.oid
  left join present p on p.top = t.oid
  order by "daysLeft" nulls last, t.nspname, t.relname`;
}

/** Looked up one by one: a join would read the whole catalog, of which partitioned tables are a small part. */
function ofClass(column: string, oid: string): string {
  return `(select c.${column} from pg_catalog.pg_class c where c.oid = ${oid})`;
}

const KEY = `case when t.oid in (select h.oid from held h) then null
      else pg_catalog.pg_get_partkeydef(t.oid) end`;

const LEAF_ROWS = `
    select p.top, pg_catalog.sum(case
        when pg_catalog.pg_stat_get_live_tuples(p.oid) > 0 then pg_catalog.pg_stat_get_live_tuples(p.oid)
        when p.reltuples >= 0 then p.reltuples end) as rows
    from parts p group by p.top`;

const CRITICAL_DAYS = 7;
const WARNING_DAYS = 30;

export const PARTITIONS_VIEW: ReportView<PartitionedTableRow> = {
  title: 'Partitioned tables',
  columns: [
    { header: 'table', value: (row) => `${row.schema}.${row.table}` },
    { header: 'key', value: (row) => row.key ?? row.strategy, priority: 3 },
    { header: 'partitions', value: (row) => row.partitions, unit: 'count', priority: 2 },
    { header: 'rows (estimate)', value: (row) => row.rows, unit: 'count', priority: 5 },
    { header: 'covered until', value: coverOf, unit: 'time', tone: toneOf },
    {
      header: 'days left',
      value: (row) => (row.daysLeft === null ? null : Math.floor(row.daysLeft)),
      unit: 'count',
      priority: 1,
      tone: toneOf,
    },
    {
      header: 'gap from',
      value: (row) => row.gapFrom,
      unit: 'time',
      priority: 6,
      tone: () => 'warning',
    },
    { header: 'default partition', value: (row) => row.defaultPartition, priority: 7 },
    { header: 'rows in it', value: (row) => row.defaultRows, unit: 'count', priority: 4 },
  ],
  empty: () => 'there are no partitioned tables',
};

function coverOf({
  isByTime,
  isOpenEnded,
  coveredUntil,
}: PartitionedTableRow): Date | string | null {
  if (!isByTime) return null;
  if (isOpenEnded) return 'no end';
  return coveredUntil ?? 'not even now';
}

function toneOf({ daysLeft, defaultPartition }: PartitionedTableRow): Tone | undefined {
  if (daysLeft === null || daysLeft >= WARNING_DAYS) return undefined;
  // A default partition takes what no other does, so nothing fails.
  return daysLeft < CRITICAL_DAYS && defaultPartition === null ? 'critical' : 'warning';
}
