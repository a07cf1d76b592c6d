import { codeOf } from '../connection/connection-error.ts';
import type { Session } from '../connection/session.ts';
import type { ReportNote, ReportView, StatsReport, Tone } from '../report/columns.ts';
import { quoteIdent } from '../sql/quote.ts';
import { commandLine } from '../text/command-line.ts';
import { DAY_MS, renderCount } from '../text/units.ts';
import {
  renderScope,
  requireSchema,
  type StatsOptions,
  type StatsPrecision,
} from './catalog-queries.ts';
import { type CounterAge, readCounterAge } from './counted-since.ts';
import { sequenceRateIn, type Trends } from './trends.ts';

/** A column that takes its numbers from a sequence, or that refers to one that does. */
export interface SequenceColumn {
  schema: string;
  table: string;
  column: string;
  type: string;
  /** `owner`: filled from it; `reference`: a foreign key with the same numbers. */
  role: 'owner' | 'reference';
}

/** How far a sequence is from its end, or from the end of the narrowest column that takes its numbers. */
export interface SequenceRow {
  schema: string;
  sequence: string;
  columns: SequenceColumn[];
  type: string;
  /** Whole numbers beyond 2^53 are possible, so these are text. Null: none since it was made or restarted, or unknown. */
  lastValue: string | null;
  increment: string;
  /** The last number that fits everywhere. */
  limit: string;
  /** What runs out first: `sequence`, or the column's name with schema and table. */
  limitedBy: string;
  isCycling: boolean;
  /** False if the last value cannot be read. */
  isKnown: boolean;
  /**
   * Why it cannot be read: this role lacks the privilege, another session holds a lock, or the
   * sequence is unlogged and this is a standby. Null if it can.
   */
  unknownBecause: 'privilege' | 'lock' | 'standby' | null;
  /** 0 to 100, more if numbers are already too large; null if it is unknown. */
  usedPercent: number | null;
  /** Numbers left; null if it is unknown. */
  remaining: string | null;
  /**
   * Numbers a day, from the history of snapshots if it spans a day, otherwise from the rows inserted
   * since `countedSince`; null if neither has counted for a day.
   */
  perDay: number | null;
  /** Days until the limit at that rate: an estimate; null if there is no rate. */
  daysLeft: number | null;
}

/** Which sequences to read, and what is known of their past. */
export interface ReadSequencesOptions extends StatsOptions {
  /** From `readTrends`; default: no history. */
  trends?: Trends | null | undefined;
}

/** `first` is the number that the sequence counts from, and `start` the one that it began with. */
type Found = Omit<SequenceRow, 'perDay' | 'daysLeft'> & {
  inserts: number;
  used: number;
  first: string;
  start: string;
  mayRead: boolean;
};

/**
 * Every sequence with its runway, the fullest first: compared with its own maximum, the type of
 * each column that uses its numbers, and the type of each foreign key that contains them.
 *
 * @throws {EvdbError} USAGE if the schema does not exist
 * @example
 * const { rows, notes } = await withInspection(connection, (session) => readSequences(session));
 */
export async function readSequences(
  session: Session,
  { trends, ...options }: ReadSequencesOptions = {},
): Promise<StatsReport<SequenceRow>> {
  await requireSchema(session, options);
  const found = await withPositions(session, await readFound(session, options));
  const age = await readCounterAge(session);
  const rows = found.map(({ inserts, used, ...full }): SequenceRow => {
    const { first: _first, start: _start, mayRead: _mayRead, ...row } = full;
    const perDay = sequenceRateIn(trends, row) ?? rateOf(age, Number(row.increment), inserts, used);
    const remaining = row.remaining === null ? null : Number(row.remaining);
    const isEndless = row.isCycling && row.limitedBy === 'sequence';
    const hasRunway = perDay !== null && remaining !== null && !isEndless;
    return { ...row, perDay, daysLeft: hasRunway ? Math.max(remaining, 0) / perDay : null };
  });
  const notes = [...age.notes, ...unknownNotes(session, rows)];
  return { rows, countedSince: age.countedSince, notes };
}

/** Reading the last value takes a lock that `alter sequence` and `drop` refuse: then without values. */
async function readFound(session: Session, options: StatsOptions): Promise<Found[]> {
  try {
    return (await session.run(renderSequences(options, 'exact'))) as unknown as Found[];
  } catch (error) {
    if (codeOf(error) !== '55P03') throw error;
    return (await session.run(renderSequences(options, 'estimate'))) as unknown as Found[];
  }
}

/** Rows may come with numbers of their own, so no more counts than the sequence has given. */
function rateOf(
  { countedSince, ageMs }: CounterAge,
  increment: number,
  inserts: number,
  used: number,
): number | null {
  const taken = Math.min(inserts * Math.abs(increment), used);
  if (countedSince === null || ageMs < DAY_MS || taken <= 0) return null;
  return (taken * DAY_MS) / ageMs;
}

/** So many sequences are asked in one statement. */
const AT_ONCE = 500;

/**
 * The server tells the last value of a sequence only where it has given a number since it was made or
 * restarted: `restart with` and `setval(…, false)` may have put it just before its end. The sequence
 * itself tells where it stands.
 */
async function withPositions(session: Session, found: Found[]): Promise<Found[]> {
  const silent = found.filter(({ isKnown, lastValue }) => isKnown && lastValue === null);
  if (silent.length === 0) return found;
  const placed = new Map<Found, Found>();
  for (let from = 0; from < silent.length; from += AT_ONCE) {
    const some = silent.slice(from, from + AT_ONCE);
    const next = await readNext(session, some);
    for (const row of some) placed.set(row, place(row, next.get(row)));
  }
  const rows = found.map((row) => placed.get(row) ?? row);
  return rows.sort((a, b) => fullness(b) - fullness(a));
}

/** What is unknown comes first. */
function fullness({ usedPercent }: Found): number {
  return usedPercent ?? Number.MAX_VALUE;
}

/** The numbers that come next, by sequence; none where a lock or a drop came in between. */
async function readNext(session: Session, rows: Found[]): Promise<Map<Found, string>> {
  const asked = rows.flatMap(({ schema, sequence, mayRead }, index) => {
    const name = `${quoteIdent(schema)}.${quoteIdent(sequence)}`;
    return mayRead ? [`select ${index} as "index", last_value::text as "next" from ${name}`] : [];
  });
  const next = new Map<Found, string>();
  if (asked.length === 0) return next;
  try {
    for (const row of await session.run(asked.join(' union all '))) {
      next.set(rows[Number(row.index)] as Found, String(row.next));
    }
  } catch (error) {
    // lock_not_available, undefined_table
    if (!['55P03', '42P01'].includes(codeOf(error) ?? '')) throw error;
  }
  return next;
}

function place(row: Found, next: string | undefined): Found {
  if (next === undefined) {
    const unknownBecause = row.mayRead ? 'lock' : 'privilege';
    return { ...row, isKnown: false, unknownBecause, usedPercent: null, remaining: null };
  }
  const first = BigInt(row.first);
  const isRising = BigInt(row.increment) > 0n;
  const distance = (to: string) => (isRising ? BigInt(to) - first : first - BigInt(to));
  const room = distance(row.limit) + 1n;
  const used = distance(next);
  const remaining = room > used ? room - used : 0n;
  return {
    ...row,
    usedPercent: (100 * Number(used)) / Math.max(Number(room), 1),
    remaining: String(remaining),
    used: Number(used - distance(row.start)),
  };
}

function unknownNotes(session: Session, rows: SequenceRow[]): ReportNote[] {
  const unknown = (reason: SequenceRow['unknownBecause']) =>
    rows.filter(({ unknownBecause }) => unknownBecause === reason);
  const [hidden, locked, unlogged] = [unknown('privilege'), unknown('lock'), unknown('standby')];
  const last = (count: number) =>
    `the last value of ${renderCount(count, 'sequence is', 'sequences are')}`;
  const notes: ReportNote[] = [];
  if (hidden.length > 0) {
    const { user } = session.facts;
    const schemas = [...new Set(hidden.map(({ schema }) => schema))].map(quoteIdent);
    notes.push({
      level: 'unknown',
      text: `${last(hidden.length)} hidden from ${user}`,
      hint: `Let their owner run: grant select on all sequences in schema ${schemas.join(', ')} to ${quoteIdent(user)};`,
    });
  }
  if (locked.length > 0) {
    notes.push({
      level: 'unknown',
      text: `${last(locked.length)} not read, because another session holds a lock`,
      hint: `\`${commandLine('stats locks')}\` shows who.`,
    });
  }
  if (unlogged.length > 0) {
    const which = renderCount(unlogged.length, 'unlogged sequence is', 'unlogged sequences are');
    notes.push({
      level: 'unknown',
      text: `the last value of ${which} not on this standby: they are not replicated`,
      hint: 'Ask the primary.',
    });
  }
  return notes;
}

/** Renders the query behind `readSequences`; `estimate` reads no last value, and so waits for nothing. */
function renderSequences(options: StatsOptions, precision: StatsPrecision): string {
  return `with recursive ${LOCKED},
  ${renderOwners(options)},
  ${COLUMNS},
  narrowest as materialized (
    select distinct on (c.sequence_oid) c.sequence_oid, c.ceiling, c.floor,
      pg_catalog.format('%I.%I.%I', c.nspname, c.relname, c.attname) as name
    from typed c where c.ceiling is not null
    order by c.sequence_oid, c.ceiling, c.role, c.nspname, c.relname, c.attname
  ),
  listed as materialized (
    select c.sequence_oid, pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('schema', c.nspname, 'table', c.relname,
        'column', c.attname, 'type', c.type, 'role', c.role)
        order by c.role, c.nspname, c.relname, c.attname) as columns
    from typed c group by c.sequence_oid
  ),
  valued as materialized (
    select s.*, v.why, v.is_known, case when v.is_known then ${lastValue(precision)} end as last_value
    from sequences s
    cross join lateral (select w.why, w.why is null as is_known
      from (select case
        when ${precision === 'estimate'} or s.oid in (select l.oid from locked l) then 'lock'
        when s.relpersistence = 'u' and pg_catalog.pg_is_in_recovery() then 'standby'
        when not pg_catalog.has_sequence_privilege(s.oid, 'select,usage') then 'privilege' end as why
        offset 0) w offset 0) v
  ),
  limited as (
    select v.*, n.name,
      case when v.seqincrement > 0 then least(v.seqmax, n.ceiling) else greatest(v.seqmin, n.floor) end::numeric as limit_value,
      case when v.seqincrement > 0 then n.ceiling < v.seqmax else n.floor > v.seqmin end as is_narrowed
    from valued v left join narrowest n on n.sequence_oid = v.oid
  ),
  measured as (
    select l.*,
      case when l.seqincrement > 0 then coalesce(l.last_value, l.seqmin - 1::numeric) - l.seqmin + 1
        else l.seqmax - coalesce(l.last_value, l.seqmax + 1::numeric) + 1 end as used,
      case when l.seqincrement > 0 then l.limit_value - l.seqmin + 1 else l.seqmax - l.limit_value + 1 end as room
    from limited l
  )
  select m.nspname as "schema", m.relname as "sequence", coalesce(c.columns, '[]') as "columns",
    pg_catalog.format_type(m.seqtypid, null) as "type", m.last_value::text as "lastValue",
    m.seqincrement::text as "increment", m.limit_value::text as "limit",
    case when m.is_narrowed then m.name else 'sequence' end as "limitedBy",
    m.seqcycle as "isCycling", m.is_known as "isKnown", m.why as "unknownBecause",
    case when m.seqincrement > 0 then m.seqmin else m.seqmax end::text as "first",
    m.seqstart::text as "start", pg_catalog.has_sequence_privilege(m.oid, 'select') as "mayRead",
    case when m.is_known then 100 * m.used / greatest(m.room, 1) end::float8 as "usedPercent",
    case when m.is_known then greatest(m.room - m.used, 0) end::text as "remaining",
    coalesce(i.inserts, 0)::float8 as "inserts",
    (m.used - case when m.seqincrement > 0 then m.seqstart - m.seqmin else m.seqmax - m.seqstart end)::float8 as "used"
  from measured m
  left join listed c on c.sequence_oid = m.oid
  left join inserted i on i.sequence_oid = m.oid
  order by "usedPercent" desc nulls first, m.nspname, m.relname`;
}

function lastValue(precision: StatsPrecision): string {
  return precision === 'exact' ? 'pg_catalog.pg_sequence_last_value(s.oid)' : 'null::bigint';
}

// Whatever stands in the way of `row exclusive`, also while it waits itself.
const LOCKED = `locked as materialized (
    select l.relation as oid from pg_catalog.pg_locks l
    where l.locktype = 'relation' and l.pid is distinct from pg_catalog.pg_backend_pid()
      and l.mode in ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
      and l.database = (select d.oid from pg_catalog.pg_database d
        where d.datname = pg_catalog.current_database())
  )`;

/** `owners`: serial and identity columns, and any other column whose default takes the sequence. */
function renderOwners(options: StatsOptions): string {
  return `sequences as materialized (
    select c.oid, n.nspname, c.relname, c.relpersistence, s.seqtypid, s.seqstart, s.seqincrement,
      s.seqmax, s.seqmin, s.seqcycle
    from pg_catalog.pg_sequence s
    join pg_catalog.pg_class c on c.oid = s.seqrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where ${renderScope('n', options)}
  ),
  owners as materialized (
    select d.objid as sequence_oid, d.refobjid as table_oid, d.refobjsubid as number
    from pg_catalog.pg_depend d
    where d.classid = 'pg_catalog.pg_class'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass
      and d.deptype in ('a', 'i') and d.refobjsubid > 0
      and d.objid in (select s.oid from sequences s)
    union
    select d.refobjid, a.adrelid, a.adnum
    from pg_catalog.pg_depend d
    join pg_catalog.pg_attrdef a on a.oid = d.objid
    join pg_catalog.pg_class c on c.oid = a.adrelid and not c.relispartition
    where d.classid = 'pg_catalog.pg_attrdef'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass
      and d.refobjid in (select s.oid from sequences s)
  )`;
}

const COLUMNS = `-- Of a partitioned table only the partitions count inserts.
  parts (sequence_oid, part) as (
    select o.sequence_oid, o.table_oid from owners o
    union
    select p.sequence_oid, h.inhrelid
    from parts p
    join pg_catalog.pg_inherits h on h.inhparent = p.part
    join pg_catalog.pg_class c on c.oid = h.inhrelid and c.relispartition
  ),
  inserted as materialized (
    select p.sequence_oid, pg_catalog.sum(pg_catalog.pg_stat_get_tuples_inserted(p.part)) as inserts
    from parts p group by p.sequence_oid
  ),
  referring as materialized (
    select f.confrelid as table_oid, t.number, f.conrelid as by_table, b.number as by_number
    from pg_catalog.pg_constraint f
    join pg_catalog.pg_class c on c.oid = f.conrelid and not c.relispartition
    cross join lateral pg_catalog.unnest(f.confkey) with ordinality t (number, place)
    join lateral pg_catalog.unnest(f.conkey) with ordinality b (number, place) on b.place = t.place
    where f.contype = 'f'
  ),
  places as (
    select o.sequence_oid, o.table_oid, o.number, 'owner' as role from owners o
    union
    select o.sequence_oid, r.by_table, r.by_number, 'reference'
    from owners o join referring r on r.table_oid = o.table_oid and r.number = o.number
  ),
  base_types (oid, base) as (
    select y.oid, y.oid from pg_catalog.pg_type y where y.typtype <> 'd'
    union all
    select y.oid, b.base from pg_catalog.pg_type y join base_types b on b.oid = y.typbasetype
    where y.typtype = 'd'
  ),
  typed as materialized (
    select p.sequence_oid, p.table_oid, p.role, n.nspname, c.relname, a.attname,
      pg_catalog.format_type(a.atttypid, a.atttypmod) as type,
      case b.base when 'pg_catalog.int2'::regtype then 32767 when 'pg_catalog.int4'::regtype then 2147483647
        when 'pg_catalog.int8'::regtype then 9223372036854775807 end as ceiling,
      case b.base when 'pg_catalog.int2'::regtype then -32768 when 'pg_catalog.int4'::regtype then -2147483648
        when 'pg_catalog.int8'::regtype then -9223372036854775808 end as floor
    from places p
    join pg_catalog.pg_attribute a on a.attrelid = p.table_oid and a.attnum = p.number
    join pg_catalog.pg_class c on c.oid = p.table_oid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    left join base_types b on b.oid = a.atttypid
  )`;

const CRITICAL_PERCENT = 90;
const WARNING_PERCENT = 70;

export const SEQUENCES_VIEW: ReportView<SequenceRow> = {
  title: 'Sequences',
  columns: [
    { header: 'sequence', value: (row) => `${row.schema}.${row.sequence}` },
    { header: 'used', value: (row) => row.usedPercent, unit: 'percent', tone: toneOf },
    { header: 'last value', value: (row) => row.lastValue, unit: 'count', priority: 3 },
    { header: 'limit', value: (row) => row.limit, unit: 'count', priority: 2 },
    { header: 'limited by', value: (row) => row.limitedBy, priority: 4 },
    { header: 'fills', value: fillsOf, priority: 5 },
    { header: 'a day', value: (row) => row.perDay, unit: 'count', priority: 6 },
    {
      header: 'days left (estimate)',
      value: (row) => (row.daysLeft === null ? null : Math.floor(row.daysLeft)),
      unit: 'count',
      priority: 1,
    },
  ],
  empty: () => 'there are no sequences',
};

function fillsOf({ columns }: SequenceRow): string {
  return columns
    .filter(({ role }) => role === 'owner')
    .map(({ table, column }) => `${table}.${column}`)
    .join(', ');
}

function toneOf({ usedPercent, isCycling, limitedBy }: SequenceRow): Tone | undefined {
  if (usedPercent === null) return 'muted';
  if (isCycling && limitedBy === 'sequence') return undefined;
  if (usedPercent >= CRITICAL_PERCENT) return 'critical';
  return usedPercent >= WARNING_PERCENT ? 'warning' : undefined;
}
