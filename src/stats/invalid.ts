import type { Session } from '../connection/session.ts';
import type { ReportNote, ReportView, StatsReport, Tone } from '../report/columns.ts';
import { renderCount } from '../text/units.ts';
import {
  findCatalogColumns,
  HELD,
  renderScope,
  renderSize,
  requireSchema,
  runWithoutWaiting,
  type StatsOptions,
  type StatsPrecision,
} from './catalog-queries.ts';
import { type IndexBuild, readBuilds } from './index-catalog.ts';

/** An index that cannot be used, or a constraint that older rows may violate. */
export interface InvalidObjectRow {
  kind: 'index' | 'constraint';
  schema: string;
  table: string;
  name: string;
  /**
   * `invalid`: written to but never read; `not-ready`: not even written to; `being-dropped`: a
   * concurrent drop was interrupted; `parts-missing`: an index of a partitioned table that some
   * partitions lack; `not-validated`: applies to new rows only; `not-enforced`: applies to no rows.
   */
  problem:
    | 'invalid'
    | 'not-ready'
    | 'being-dropped'
    | 'parts-missing'
    | 'not-validated'
    | 'not-enforced';
  definition: string | null;
  /** Of an index. */
  sizeBytes: number | null;
  isSizeEstimated: boolean;
  /** The build that is running, so that nothing is wrong; null if there is none. */
  build: IndexBuild | null;
  /** Null while it is built, and if no single statement helps. */
  fixSql: string | null;
  /** Finds the rows that make `fixSql` fail; null if no rows do. */
  violationsSql: string | null;
}

/** What to do about it, in one line that can be pasted; null where no single statement helps. */
export function renderFix({ fixSql, violationsSql, kind }: InvalidObjectRow): string | null {
  if (fixSql === null || violationsSql === null) return fixSql;
  // A build that fails once more leaves one more invalid index.
  return kind === 'index'
    ? `${violationsSql} -- resolve these duplicates first, or it fails again; then: ${fixSql}`
    : `${fixSql} -- fails while rows break it, which this finds: ${violationsSql}`;
}

/**
 * Indexes that are not valid or not ready and constraints that were not validated, with the build
 * that may be running on them.
 *
 * @throws {EvdbError} USAGE if the schema does not exist
 * @example
 * const { rows, notes } = await withInspection(connection, (session) => readInvalidObjects(session));
 */
export async function readInvalidObjects(
  session: Session,
  options: StatsOptions = {},
): Promise<StatsReport<InvalidObjectRow>> {
  await requireSchema(session, options);
  // First the builds: one that ends in between is then not taken for an index nobody builds.
  const builds = await readBuilds(session);
  const columns = await findCatalogColumns(session, [
    'pg_constraint.conenforced',
    'pg_index.indnullsnotdistinct',
  ]);
  const found = (await runWithoutWaiting(session, options, (precision) =>
    render(options, precision, columns),
  )) as unknown as (InvalidObjectRow & { oid: number; tableOid: number })[];
  const rows = found.map(({ oid, tableOid, ...row }): InvalidObjectRow => {
    const isIndex = row.kind === 'index' && row.problem !== 'parts-missing';
    const build = isIndex
      ? (builds.running.find((one) => one.isOf(oid, tableOid))?.build ?? null)
      : null;
    return build ? { ...row, build, fixSql: null, violationsSql: null } : { ...row, build };
  });
  return { rows, countedSince: null, notes: hiddenNotes(builds.hidden, rows) };
}

function hiddenNotes(hidden: number, rows: InvalidObjectRow[]): ReportNote[] {
  if (hidden === 0 || !rows.some(({ kind, build }) => kind === 'index' && build === null))
    return [];
  return [
    {
      level: 'unknown',
      text: `${renderCount(hidden, 'running build is', 'running builds are')} hidden from this role: what looks invalid may be under construction`,
      hint: 'grant pg_read_all_stats to the role.',
    },
  ];
}

function render(
  options: StatsOptions,
  precision: StatsPrecision,
  columns: ReadonlySet<string>,
): string {
  const hasEnforced = columns.has('pg_constraint.conenforced');
  const definition = (deparse: string, ...oids: string[]) =>
    precision === 'estimate'
      ? 'null::text'
      : `case when exists (select from held h where h.oid in (${oids.join(', ')})) then null else ${deparse} end`;
  return `with ${HELD}
  select 'index' as "kind", n.nspname as "schema", t.relname as "table", c.relname as "name",
    case when not i.indislive then 'being-dropped' when c.relkind = 'I' then 'parts-missing'
      when not i.indisready then 'not-ready' else 'invalid' end as "problem",
    ${definition('pg_catalog.pg_get_indexdef(i.indexrelid)', 'i.indexrelid', 'i.indrelid')} as "definition",
    (${renderSize('c', precision)})::float8 as "sizeBytes",
    ${precision === 'estimate'} or c.oid in (select h.oid from held h) as "isSizeEstimated",
    case when c.relkind = 'I' then null
      -- What a concurrent reindex leaves; the index that it was to replace is still there.
      when not i.indislive or c.relname ~ '_cc(new|old)[0-9]*$'
        then pg_catalog.format('drop index concurrently %I.%I;', n.nspname, c.relname)
      else pg_catalog.format('reindex index concurrently %I.%I;', n.nspname, c.relname)
    end as "fixSql",
    case when i.indisunique and c.relkind = 'i' and i.indislive and c.relname !~ '_cc(new|old)[0-9]*$'
      then ${definition(renderDuplicates(columns), 'i.indexrelid', 'i.indrelid')}
    end as "violationsSql",
    c.oid::bigint::float8 as "oid", t.oid::bigint::float8 as "tableOid"
  from pg_catalog.pg_index i
  join pg_catalog.pg_class c on c.oid = i.indexrelid
  join pg_catalog.pg_class t on t.oid = i.indrelid
  join pg_catalog.pg_namespace n on n.oid = t.relnamespace
  where not (i.indisvalid and i.indisready and i.indislive) and ${renderScope('n', options)}
  union all
  select 'constraint', n.nspname, coalesce(t.relname, y.typname), x.conname,
    ${hasEnforced ? "case when not x.conenforced then 'not-enforced' else 'not-validated' end" : "'not-validated'"},
    ${definition('pg_catalog.pg_get_constraintdef(x.oid)', 'x.conrelid', 'x.confrelid')},
    null, false,
    case when ${hasEnforced ? 'not x.conenforced' : 'false'} then null
      else pg_catalog.format('alter %s %I.%I validate constraint %I;',
        case when x.conrelid = 0 then 'domain' else 'table' end,
        n.nspname, coalesce(t.relname, y.typname), x.conname)
    end,
    ${definition(VIOLATIONS, 'x.conrelid', 'x.confrelid')},
    x.oid::bigint::float8, x.conrelid::bigint::float8
  from pg_catalog.pg_constraint x
  left join pg_catalog.pg_class t on t.oid = x.conrelid
  left join pg_catalog.pg_type y on y.oid = x.contypid
  join pg_catalog.pg_namespace n on n.oid = coalesce(t.relnamespace, y.typnamespace)
  where not x.convalidated and x.conparentid = 0 and ${renderScope('n', options)}
  order by 1 desc, 2, 3, 4`;
}

/** The values that a unique index would hold twice. */
function renderDuplicates(columns: ReadonlySet<string>): string {
  const key = 'pg_catalog.pg_get_indexdef(i.indexrelid, k.number, true)';
  const nulls = columns.has('pg_index.indnullsnotdistinct') ? 'i.indnullsnotdistinct' : 'false';
  return `(select pg_catalog.format('select %1$s, count(*) from %2$I.%3$I%4$s group by %1$s having count(*) > 1;',
      pg_catalog.string_agg(${key}, ', ' order by k.number), n.nspname, t.relname,
      coalesce(' where ' || nullif(pg_catalog.concat_ws(' and ',
        pg_catalog.pg_get_expr(i.indpred, i.indrelid),
        case when not ${nulls}
          then pg_catalog.string_agg(${key} || ' is not null', ' and ' order by k.number) end), ''), ''))
    from pg_catalog.generate_series(1, i.indnkeyatts) as k (number))`;
}

/** The rows that break a constraint of a table. */
const VIOLATIONS = `case
      when x.conrelid = 0 then null
      when x.contype = 'c' then pg_catalog.format('select * from %I.%I where not %s;', n.nspname, t.relname,
        pg_catalog.pg_get_expr(x.conbin, x.conrelid))
      when x.contype = 'n' then (select pg_catalog.format('select * from %I.%I where %I is null;', n.nspname, t.relname, a.attname)
        from pg_catalog.pg_attribute a where a.attrelid = x.conrelid and a.attnum = x.conkey[1])
      when x.contype = 'f' then (
        select pg_catalog.format('select * from %I.%I as c where %s and not exists (select from %s as p where %s);',
          n.nspname, t.relname,
          pg_catalog.string_agg(pg_catalog.format('c.%I is not null', a.attname), ' and ' order by k.place),
          (select pg_catalog.format('%I.%I', fn.nspname, ft.relname) from pg_catalog.pg_class ft
            join pg_catalog.pg_namespace fn on fn.oid = ft.relnamespace where ft.oid = x.confrelid),
          pg_catalog.string_agg(pg_catalog.format('p.%I = c.%I', f.attname, a.attname), ' and ' order by k.place))
        from pg_catalog.unnest(x.conkey) with ordinality as k (own, place)
        join pg_catalog.unnest(x.confkey) with ordinality as r (referred, place) on r.place = k.place
        join pg_catalog.pg_attribute a on a.attrelid = x.conrelid and a.attnum = k.own
        join pg_catalog.pg_attribute f on f.attrelid = x.confrelid and f.attnum = r.referred)
    end`;

export const INVALID_VIEW: ReportView<InvalidObjectRow> = {
  title: 'Invalid indexes and constraints',
  columns: [
    { header: 'name', value: (row) => `${row.schema}.${row.name}` },
    { header: 'table', value: (row) => row.table, priority: 3 },
    { header: 'kind', value: (row) => row.kind, priority: 5 },
    { header: 'problem', value: (row) => row.problem, tone: toneOf },
    { header: 'size', value: (row) => row.sizeBytes, unit: 'bytes', priority: 4 },
    { header: 'being built', value: buildOf, priority: 2 },
    { header: 'fix', value: renderFix, text: 'wraps' },
  ],
  empty: () => 'every index is valid and every constraint is validated',
};

function toneOf({ kind, build }: InvalidObjectRow): Tone {
  if (build) return 'muted';
  return kind === 'index' ? 'critical' : 'warning';
}

function buildOf({ build }: InvalidObjectRow): string {
  if (!build) return '';
  const percent = build.percent === null ? '' : ` ${Math.floor(build.percent)} %`;
  return `process ${build.pid}: ${build.phase}${percent}`;
}
