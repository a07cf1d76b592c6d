import type { Session } from '../connection/session.ts';
import type { ReportView, StatsReport } from '../report/columns.ts';
import {
  estimateNotes,
  findCatalogColumns,
  HELD,
  renderScope,
  renderSize,
  requireSchema,
  runWithoutWaiting,
  type StatsOptions,
  type StatsPrecision,
} from './catalog-queries.ts';
import { readCounterAge } from './counted-since.ts';
import { EXTENSION_OWNED, renderWhole } from './index-catalog.ts';

/** An index that can go, because another does all it does. */
export interface DuplicateIndexRow {
  schema: string;
  table: string;
  index: string;
  definition: string | null;
  sizeBytes: number;
  isSizeEstimated: boolean;
  /** Scans of the index that can go: the planner takes either of two equals. */
  scans: number;
  keptIndex: string;
  keptDefinition: string | null;
  /** `duplicate`: the same columns; `prefix`: the kept one has more. */
  kind: 'duplicate' | 'prefix';
  reason: string;
  partitions: number;
  dropSql: string;
  /** Creates it again; null if the definition could not be read. */
  revertSql: string | null;
}

/**
 * Indexes that another index makes redundant, the largest first. Two are the same if columns,
 * operator classes, collations, sort order, expressions, predicate, included columns and access
 * method are; a B-tree also replaces one on its first columns. Never listed are indexes that a
 * foreign key refers to, primary keys, exclusion constraints, the replica identity, parts of a
 * partitioned index and indexes of extensions. A unique constraint is listed if another constraint
 * makes it redundant.
 *
 * The event schema's `get_duplicate_indexes()` judges in the same way, but only its own schema.
 *
 * @throws {EvdbError} USAGE if the schema does not exist
 * @example
 * const { rows, notes } = await withInspection(connection, (session) => readDuplicateIndexes(session));
 */
export async function readDuplicateIndexes(
  session: Session,
  options: StatsOptions = {},
): Promise<StatsReport<DuplicateIndexRow>> {
  await requireSchema(session, options);
  const columns = await findCatalogColumns(session, ['pg_index.indnullsnotdistinct']);
  const rows = (await runWithoutWaiting(session, options, (precision) =>
    renderDuplicates(options, precision, columns.size > 0),
  )) as unknown as DuplicateIndexRow[];
  const { countedSince } = await readCounterAge(session);
  const notes = estimateNotes(rows, options, ['index', 'indexes']);
  if (rows.some(({ kind }) => kind === 'prefix')) {
    notes.push({
      level: 'info',
      text: 'an index with more columns is larger, so one on the first columns may still be the faster to read',
      hint: 'Compare the sizes and the scans before dropping a prefix.',
    });
  }
  return { rows, countedSince, notes };
}

/** Renders the query behind `readDuplicateIndexes`; its columns are those of the row. */
function renderDuplicates(
  options: StatsOptions,
  precision: StatsPrecision,
  hasNullsNotDistinct: boolean,
): string {
  return `with recursive ${HELD}, ${EXTENSION_OWNED},
  ${renderRanked(options, hasNullsNotDistinct)},
  ${COVERED},
  parts (whole, part) as (
    select p.index_oid, p.index_oid from pairs p
    union all
    select p.whole, h.inhrelid from parts p join pg_catalog.pg_inherits h on h.inhparent = p.part
  ),
  used as (
    select p.whole, pg_catalog.count(*) - 1 as partitions,
      pg_catalog.sum(pg_catalog.pg_stat_get_numscans(p.part)) as scans,
      pg_catalog.bool_or(c.oid in (select h.oid from held h)) or ${precision === 'estimate'} as is_estimated,
      pg_catalog.sum(${renderSize('c', precision)}) as size_bytes
    from parts p join pg_catalog.pg_class c on c.oid = p.part
    group by p.whole
  )
  select x.nspname as "schema", x.table_name as "table", x.relname as "index",
    d.definition, u.size_bytes::float8 as "sizeBytes", u.is_estimated as "isSizeEstimated",
    u.scans::float8 as "scans", y.relname as "keptIndex", d.kept as "keptDefinition",
    case when p.are_the_same then 'duplicate' else 'prefix' end as "kind",
    ${REASON} as "reason",
    u.partitions::int as "partitions",
    case when x.own_constraint is null
      then pg_catalog.format('drop index %s%I.%I;',
        case when x.relkind = 'I' then '' else 'concurrently ' end, x.nspname, x.relname)
      else pg_catalog.format('alter table %I.%I drop constraint %I;',
        x.nspname, x.table_name, x.own_constraint)
    end as "dropSql",
    case when x.own_constraint is null then ${renderWhole('d.definition', 'x')} || ';'
      else pg_catalog.format('alter table %I.%I add constraint %I %s;',
        x.nspname, x.table_name, x.own_constraint, d.constraint_definition)
    end as "revertSql"
  from pairs p
  join ranked x on x.indexrelid = p.index_oid
  join ranked y on y.indexrelid = p.by_oid
  join used u on u.whole = p.index_oid
  cross join lateral (${renderDefinitions(precision)} offset 0) d
  order by u.size_bytes desc, x.nspname, x.table_name, x.relname`;
}

const REASON = `pg_catalog.concat(
      pg_catalog.format('%I ', y.relname),
      case
        when p.are_the_same then 'has the same columns in the same order'
        when x.columns = y.columns then 'has the same columns and includes more'
        else 'begins with the same columns and serves the same searches'
      end,
      case
        when y.own_constraint is not null then pg_catalog.format(', and constraint %I needs it', y.own_constraint)
        when y.backs_constraint then ', and a constraint needs it'
        when y.indisreplident then ', and replication needs it'
        when y.is_part then ', and belongs to an index of the whole table'
        when y.indisunique and not x.indisunique then ', and is unique'
      end)`;

function renderDefinitions(precision: StatsPrecision): string {
  if (precision === 'estimate') {
    return 'select null::text as definition, null::text as kept, null::text as constraint_definition';
  }
  return `select
      pg_catalog.pg_get_indexdef(x.indexrelid) as definition,
      pg_catalog.pg_get_indexdef(y.indexrelid) as kept,
      pg_catalog.pg_get_constraintdef(x.own_constraint_oid) as constraint_definition
    from (values (1)) v
    where not exists (select from held h where h.oid in (x.indrelid, x.indexrelid, y.indexrelid))
    union all
    select null, null, null
    where exists (select from held h where h.oid in (x.indrelid, x.indexrelid, y.indexrelid))`;
}

/**
 * `ranked`: every index with all that tells it from others, and its precedence: of two that are
 * the same, the one stays that has to, else a constraint's, else the one that orders the table,
 * else the older one.
 */
function renderRanked(options: StatsOptions, hasNullsNotDistinct: boolean): string {
  return `keys as (
    -- The family instead of the operator class, because some classes are two names for one thing
    -- (varchar_ops is text_ops).
    select i.indexrelid, pg_catalog.array_agg(
        pg_catalog.concat_ws(' ', k.key, o.opcfamily, o.opcintype, k.collating, k.sorting, t.attoptions::text)
        order by k.place) as columns
    from pg_catalog.pg_index i
    join pg_catalog.pg_class c on c.oid = i.indexrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    cross join lateral rows from (
      pg_catalog.unnest(i.indkey::smallint[]), pg_catalog.unnest(i.indclass::oid[]),
      pg_catalog.unnest(i.indcollation::oid[]), pg_catalog.unnest(i.indoption::smallint[])
    ) with ordinality k (key, class, collating, sorting, place)
    join pg_catalog.pg_opclass o on o.oid = k.class
    left join pg_catalog.pg_attribute t
      on t.attrelid = i.indexrelid and t.attnum = k.place and t.attoptions is not null
    where k.place <= i.indnkeyatts and ${renderScope('n', options)}
    group by i.indexrelid
  ),
  enforced as materialized (
    select f.conindid,
      pg_catalog.bool_or(f.contype in ('f', 'p', 'x')) as pins,
      pg_catalog.min(f.conname) filter (where f.contype in ('p', 'u', 'x')) as name,
      pg_catalog.min(f.oid) filter (where f.contype in ('p', 'u', 'x')) as constraint_oid
    from pg_catalog.pg_constraint f where f.conindid <> 0 group by f.conindid
  ),
  candidates as (
    select i.indexrelid, i.indrelid, n.nspname, t.relname as table_name, c.relname, c.relkind,
      c.relpages, c.reloptions, a.amname, k.columns,
      i.indkey::smallint[] as all_columns,
      (i.indkey::smallint[])[i.indnkeyatts:] as included,
      -- As stored, without where in which statement it stood.
      pg_catalog.regexp_replace(i.indexprs::text, ' :location -?[0-9]+', '', 'g') as expressions,
      pg_catalog.regexp_replace(i.indpred::text, ' :location -?[0-9]+', '', 'g') as predicate,
      i.indisunique, i.indimmediate, i.indisclustered, i.indisreplident,
      ${hasNullsNotDistinct ? 'i.indnullsnotdistinct' : 'false'} as nulls_are_equal,
      c.relispartition as is_part,
      e.conindid is not null as backs_constraint,
      e.name as own_constraint, e.constraint_oid as own_constraint_oid,
      coalesce(e.pins, false) or i.indisreplident or c.relispartition as has_to_stay
    from keys k
    join pg_catalog.pg_index i on i.indexrelid = k.indexrelid
    join pg_catalog.pg_class c on c.oid = i.indexrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_class t on t.oid = i.indrelid
    join pg_catalog.pg_am a on a.oid = c.relam
    left join enforced e on e.conindid = i.indexrelid
    where i.indisvalid and i.indisready and i.indislive
      and i.indrelid not in (select e.oid from extension_owned e)
  ),
  ranked as materialized (
    select c.*, pg_catalog.row_number() over (
        order by c.has_to_stay desc, c.backs_constraint desc, c.indisclustered desc, c.indexrelid
      ) as precedence
    from candidates c
  )`;
}

const COVERED = `covered as materialized (
    select x.indexrelid as index_oid, y.indexrelid as by_oid, x.has_to_stay, x.precedence,
      y.precedence as by_precedence,
      x.columns = y.columns and x.included <@ y.included and y.included <@ x.included as are_the_same
    from ranked x
    join ranked y
      on y.indrelid = x.indrelid
      and y.indexrelid <> x.indexrelid
      and y.amname = x.amname
      -- Only a B-tree is searched by its first columns as well as a narrower one.
      and case x.amname
        when 'btree' then y.columns[1:pg_catalog.cardinality(x.columns)] = x.columns
        else y.columns = x.columns and y.reloptions is not distinct from x.reloptions
      end
      and x.included <@ y.all_columns
      and x.predicate is not distinct from y.predicate
      and (
        x.expressions is null
        or x.expressions = y.expressions
        -- Lists of expressions, (a b) and (a b c): the same, up to the closing bracket.
        or (
          pg_catalog.starts_with(y.expressions, pg_catalog."left"(x.expressions, -1))
          and pg_catalog.substr(y.expressions, pg_catalog.length(x.expressions), 1) = ' '
        )
      )
      -- What is unique is replaced by what is as strict, a constraint by a constraint.
      and (
        not x.indisunique
        or (y.indisunique and y.columns = x.columns and y.nulls_are_equal = x.nulls_are_equal
          and y.indimmediate >= x.indimmediate)
      )
      and (x.own_constraint is null or y.own_constraint is not null)
  ),
  replaced as materialized (
    select c.index_oid, c.by_oid, c.are_the_same from covered c
    where not c.has_to_stay
      and (c.by_precedence < c.precedence or not exists (
        select from covered b where b.index_oid = c.by_oid and b.by_oid = c.index_oid))
  ),
  -- Covering is transitive, so something that stays covers everything that can go. An equal is named
  -- first, also where it can go too: two equals are never both wanted, a narrower one may be.
  pairs as materialized (
    select distinct on (c.index_oid) c.index_oid, c.by_oid, c.are_the_same
    from replaced c
    join ranked y on y.indexrelid = c.by_oid
    where c.are_the_same or c.by_oid not in (select o.index_oid from replaced o)
    order by c.index_oid, c.are_the_same desc, y.has_to_stay desc, y.relpages, y.precedence
  )`;

export const DUPLICATES_VIEW: ReportView<DuplicateIndexRow> = {
  title: 'Needless indexes',
  columns: [
    { header: 'index', value: (row) => `${row.schema}.${row.index}` },
    { header: 'table', value: (row) => row.table, priority: 4 },
    { header: 'size', value: (row) => row.sizeBytes, unit: 'bytes' },
    { header: 'scans', value: (row) => row.scans, unit: 'count', priority: 5 },
    { header: 'kind', value: (row) => row.kind, priority: 3 },
    { header: 'why', value: (row) => row.reason, priority: 2, text: 'wraps' },
    { header: 'to drop it', value: (row) => row.dropSql, text: 'wraps' },
    { header: 'to make it again', value: (row) => row.revertSql, priority: 6, text: 'wraps' },
  ],
  empty: () => 'no index repeats another',
};
