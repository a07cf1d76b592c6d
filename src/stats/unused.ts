import type { Session } from '../connection/session.ts';
import type { ReportNote, ReportView, StatsReport } from '../report/columns.ts';
import { commandLine } from '../text/command-line.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS, renderCount } from '../text/units.ts';
import {
  estimateNotes,
  requireSchema,
  runWithoutWaiting,
  type StatsOptions,
  type StatsPrecision,
} from './catalog-queries.ts';
import { type CounterAge, countedFor, readCounterAge, replicaNotes } from './counted-since.ts';
import {
  type IndexCatalogFeatures,
  renderDefinition,
  renderIndexCatalog,
  renderSizes,
  renderWhole,
} from './index-catalog.ts';
import { readIndexFeatures } from './indexes.ts';
import type { Trends } from './trends.ts';

/** Which schema to read, and how old its counters have to be. */
export interface ReadUnusedIndexesOptions extends StatsOptions {
  /** Counters younger than this prove nothing; default 7 days. 0 trusts counters of any age. */
  minimumAgeMs?: number | undefined;
  /**
   * From `readTrends`; default: no history. It reaches back beyond a reset of the counters, and finds
   * indexes that were used once and are no longer.
   */
  trends?: Trends | null | undefined;
}

/** An index without a scan that nothing else needs. */
export interface UnusedIndexRow {
  schema: string;
  table: string;
  index: string;
  definition: string | null;
  sizeBytes: number;
  isSizeEstimated: boolean;
  /** How often the table was read in other ways meanwhile: 0 says nothing about the index. */
  tableScans: number;
  /** How often its upkeep was paid for. */
  tableWrites: number;
  partitions: number;
  /** Scans before the history began, for an index that is no longer used; 0 if it never was. */
  oldScans: number;
  /** Since when the history knows of no scan, for such an index; null for one never scanned. */
  idleSince: Date | null;
  caveat: string | null;
  dropSql: string;
  /** Creates it again; null if the definition could not be read. */
  revertSql: string | null;
}

type Kept =
  | 'constraint'
  | 'replica-identity'
  | 'foreign-key'
  | 'clustered'
  | 'expression'
  | 'young';

const DEFAULT_MINIMUM_AGE_MS = 7 * DAY_MS;
/** A report at the end of a month uses an index once in that time. */
const IDLE_MS = 35 * DAY_MS;

/**
 * Indexes without a scan since the server counts, the largest first. Indexes that are needed
 * without being scanned are left out, and counted in the notes: those that enforce a constraint or
 * uniqueness, are the replica identity, support a foreign key, order the table for CLUSTER, or have
 * expressions, whose statistics the planner uses. Invalid indexes, which cannot be scanned, and
 * those of extensions are left out too. A part of a partitioned index counts for the whole.
 *
 * The event schema's `get_unused_indexes()` judges in the same way, but only its own schema.
 *
 * @throws {EvdbError} USAGE if the schema does not exist
 * @example
 * const { rows, notes } = await withInspection(connection, (session) => readUnusedIndexes(session, { minimumAgeMs: 7 * 24 * 60 * 60 * 1000 }));
 */
export async function readUnusedIndexes(
  session: Session,
  { minimumAgeMs = DEFAULT_MINIMUM_AGE_MS, trends, ...options }: ReadUnusedIndexesOptions = {},
): Promise<StatsReport<UnusedIndexRow>> {
  await requireSchema(session, options);
  const age = await readCounterAge(session);
  const past = findPast(age, trends ?? null);
  const { countedSince } = past;
  if (countedSince === null || past.ageMs < minimumAgeMs) {
    const notes = [...age.notes, ...tooYoung(past, minimumAgeMs)];
    return { rows: [], countedSince, notes };
  }
  const features = await readIndexFeatures(session);
  const found = (await runWithoutWaiting(session, options, (precision) =>
    render({ ...options, minimumAgeMs, past }, precision, features),
  )) as unknown as (UnusedIndexRow & { kept: Kept | null })[];
  const rows = found
    .filter(({ kept }) => kept === null)
    .map(({ kept: _, ...row }) => ({ ...row, idleSince: row.oldScans > 0 ? past.since : null }));
  return {
    rows,
    countedSince,
    notes: [
      ...replicaNotes(age),
      ...keptNotes(found.map(({ kept }) => kept)),
      ...estimateNotes(rows, options, ['index', 'indexes']),
    ],
  };
}

/** What the history adds to the counters. */
interface Past extends Pick<CounterAge, 'countedSince' | 'ageMs'> {
  since: Date | null;
  /** IDs of indexes that were scanned before the counters were reset. */
  used: number[];
  /** Indexes that were scanned only before the history began, with their scans then. */
  idle: [oid: number, scans: number][];
}

function findPast({ countedSince, ageMs }: CounterAge, trends: Trends | null): Past {
  if (trends === null || countedSince === null) {
    return { countedSince, ageMs, since: null, used: [], idle: [] };
  }
  const all = [...trends.indexScans];
  const historyMs = Date.now() - trends.since.getTime();
  const isOlder = historyMs > ageMs;
  return {
    countedSince: isOlder ? trends.since : countedSince,
    ageMs: isOlder ? historyMs : ageMs,
    since: trends.since,
    used: isOlder ? all.filter(([, { scans }]) => scans > 0).map(([oid]) => oid) : [],
    idle:
      historyMs < IDLE_MS
        ? []
        : all
            .filter(([, { scans, last }]) => scans === 0 && last > 0)
            .map(([oid, { last }]) => [oid, last]),
  };
}

function tooYoung(
  { countedSince, ageMs }: Pick<CounterAge, 'countedSince' | 'ageMs'>,
  minimumAgeMs: number,
): ReportNote[] {
  if (countedSince === null) return [];
  return [
    {
      level: 'unknown',
      text: `nothing is judged: the server has counted for ${renderWholeAge(ageMs)}, and less than ${renderWholeAge(minimumAgeMs)} proves nothing`,
      hint: `Counters start over after a crash, a reset, a restore and an upgrade. \`${commandLine('stats indexes')}\` shows the counters as they are.`,
    },
  ];
}

/** `34 days`, `5 hours`, rounded down: nothing is older than it is. */
function renderWholeAge(ms: number): string {
  const [count, unit] =
    ms >= DAY_MS
      ? [Math.floor(ms / DAY_MS), 'day']
      : ms >= HOUR_MS
        ? [Math.floor(ms / HOUR_MS), 'hour']
        : [Math.floor(ms / MINUTE_MS), 'minute'];
  return renderCount(count, unit);
}

const KEPT: Record<Kept, [one: string, many: string]> = {
  constraint: ['enforces uniqueness or a constraint', 'enforce uniqueness or a constraint'],
  'replica-identity': ['identifies rows for replication', 'identify rows for replication'],
  'foreign-key': ['supports a foreign key', 'support a foreign key'],
  clustered: ['orders its table for CLUSTER', 'order their tables for CLUSTER'],
  expression: [
    'has expressions, whose statistics the planner uses',
    'have expressions, whose statistics the planner uses',
  ],
  young: ['is younger than the time asked for', 'are younger than the time asked for'],
};

function keptNotes(kept: (Kept | null)[]): ReportNote[] {
  const reasons = (Object.keys(KEPT) as Kept[])
    .map((reason) => ({ reason, count: kept.filter((one) => one === reason).length }))
    .filter(({ count }) => count > 0)
    .map(({ reason, count }) => renderCount(count, ...KEPT[reason]));
  if (reasons.length === 0) return [];
  const hasExpressions = kept.includes('expression');
  return [
    {
      level: 'info',
      text: `left out, though never scanned: ${reasons.join('; ')}`,
      hint: hasExpressions
        ? 'create statistics on an expression does for the planner what an index on it does.'
        : undefined,
    },
  ];
}

function render(
  { minimumAgeMs, past, ...options }: StatsOptions & { minimumAgeMs: number; past: Past },
  precision: StatsPrecision,
  features: IndexCatalogFeatures,
): string {
  const idle = past.idle.map(([oid, scans]) => `(${oid}, ${scans})`);
  const used = past.used.length === 0 ? '' : `and u.whole <> all ('{${past.used}}'::oid[])`;
  return `${renderIndexCatalog(options, features)},
  idle as materialized (
    select i.oid::oid, i.scans from (values ${[...idle, '(0, 0)'].join(', ')}) i (oid, scans)
  ),
  judged as materialized (
    select r.indexrelid, case
        when r.indisprimary or r.indisunique or r.indisexclusion 
          or r.indexrelid in (select x.conindid from own_constraints x) then 'constraint'
        when r.indisreplident then 'replica-identity'
        when r.indexrelid in (select s.indexrelid from supported s) then 'foreign-key'
        when r.indisclustered then 'clustered'
        when r.has_expressions then 'expression'
        when pg_catalog.current_setting('track_commit_timestamp')::boolean
          and pg_catalog.pg_xact_commit_timestamp(r.made_by)
            > pg_catalog.clock_timestamp() - interval '1 ms' * ${Math.round(minimumAgeMs)} then 'young'
      end as kept
    from roots r
    join used u on u.whole = r.indexrelid
    left join idle b on b.oid = u.whole
    where (u.scans = 0 or u.scans = b.scans) and u.is_valid ${used}
      and r.indrelid not in (select e.oid from extension_owned e)
  ),
  ${renderSizes('select j.indexrelid from judged j where j.kept is null', precision)}
  select j.kept, r.nspname as "schema", r.table_name as "table", r.relname as "index",
    d.definition, z.size_bytes::float8 as "sizeBytes", z.is_estimated as "isSizeEstimated",
    t.scans::float8 as "tableScans", t.writes::float8 as "tableWrites",
    u.partitions::int as "partitions", u.scans::float8 as "oldScans",
    case when t.scans = 0 then 'the table was never read either: this proves nothing yet' end as "caveat",
    pg_catalog.format('drop index %s%I.%I;',
      case when r.relkind = 'I' then '' else 'concurrently ' end, r.nspname, r.relname) as "dropSql",
    ${renderWhole('d.definition')} || ';' as "revertSql"
  from judged j
  join roots r on r.indexrelid = j.indexrelid
  join used u on u.whole = j.indexrelid
  left join sized z on z.whole = j.indexrelid
  join table_used t on t.whole = r.indrelid
  cross join lateral (
    select case when j.kept is null then ${renderDefinition(precision)} end as definition
    offset 0
  ) d
  order by z.size_bytes desc nulls last, r.nspname, r.table_name, r.relname`;
}

export const UNUSED_VIEW: ReportView<UnusedIndexRow> = {
  title: 'Unused indexes',
  columns: [
    { header: 'index', value: (row) => `${row.schema}.${row.index}` },
    { header: 'table', value: (row) => row.table, priority: 3 },
    { header: 'size', value: (row) => row.sizeBytes, unit: 'bytes' },
    {
      header: 'idle since',
      value: (row) => row.idleSince,
      unit: 'time',
      priority: 1,
    },
    { header: 'table scans', value: (row) => row.tableScans, unit: 'count', priority: 4 },
    { header: 'table writes', value: (row) => row.tableWrites, unit: 'count', priority: 2 },
    {
      header: 'caveat',
      value: (row) => row.caveat,
      priority: 1,
      text: 'wraps',
      tone: () => 'warning',
    },
    { header: 'to drop it', value: (row) => row.dropSql, text: 'wraps' },
    { header: 'to make it again', value: (row) => row.revertSql, priority: 6, text: 'wraps' },
  ],
  empty: (report) =>
    report.notes.some(({ level }) => level === 'unknown')
      ? 'not known yet'
      : `no unused indexes${countedFor(report)}`,
};
