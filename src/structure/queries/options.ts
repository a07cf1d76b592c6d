import { quoteLiteral } from '../../sql/quote.ts';

/**
 * What `alter table … alter column … set (…)` documents. A server may keep values of its own in the
 * same place: nobody set those, and no statement can set them.
 */
const COLUMN_OPTIONS = ['n_distinct', 'n_distinct_inherited'];

/** What PostgreSQL 14 to 18 document for tables, materialized views, their TOAST tables, and views. */
const RELATION_OPTIONS = [
  ...['fillfactor', 'toast_tuple_target', 'parallel_workers', 'user_catalog_table'],
  ...['vacuum_index_cleanup', 'vacuum_truncate', 'vacuum_max_eager_freeze_failure_rate'],
  ...['log_autovacuum_min_duration', 'autovacuum_enabled'],
  ...['autovacuum_vacuum_threshold', 'autovacuum_vacuum_max_threshold'],
  ...['autovacuum_vacuum_scale_factor', 'autovacuum_vacuum_insert_threshold'],
  ...['autovacuum_vacuum_insert_scale_factor', 'autovacuum_analyze_threshold'],
  ...['autovacuum_analyze_scale_factor', 'autovacuum_vacuum_cost_delay'],
  ...['autovacuum_vacuum_cost_limit', 'autovacuum_freeze_min_age'],
  ...['autovacuum_freeze_max_age', 'autovacuum_freeze_table_age'],
  ...['autovacuum_multixact_freeze_min_age', 'autovacuum_multixact_freeze_max_age'],
  ...['autovacuum_multixact_freeze_table_age'],
  ...['security_barrier', 'security_invoker', 'check_option'],
];

const NAME = `pg_catalog.split_part(o, '=', 1)`;
const list = (names: string[]) => names.map(quoteLiteral).join(', ');

/** Options as `name='value', …`, null where there are none. */
function optionsSql(column: string, condition: string, prefix = ''): string {
  return `(select pg_catalog.string_agg(pg_catalog.concat('${prefix}', pg_catalog.quote_ident(${NAME}), '=', pg_catalog.quote_literal(pg_catalog.substr(o, pg_catalog.strpos(o, '=') + 1))), ', ' order by o) from pg_catalog.unnest(${column}) as o where ${condition})`;
}

/** The options of a column that a user can set. */
export function columnOptionsSql(column: string): string {
  return optionsSql(column, `${NAME} in (${list(COLUMN_OPTIONS)})`);
}

/**
 * The options of a relation that a user can set. An access method that is not PostgreSQL's own has
 * options of its own, all of them a user's.
 */
export function relationOptionsSql(column: string, isOwnMethod: string, prefix = ''): string {
  return optionsSql(column, `${isOwnMethod} or ${NAME} in (${list(RELATION_OPTIONS)})`, prefix);
}

/** Names of what stands there and is none of those, so that it is told. */
export function unknownOptionsSql(columns: string[], isOwnMethod: string): string {
  const all = columns.map((column) => `coalesce(${column}, '{}')`).join(' || ');
  return `(select pg_catalog.string_agg(distinct ${NAME}, ', ' order by ${NAME}) from pg_catalog.unnest(${all}) as o where not (${isOwnMethod} or ${NAME} in (${list(RELATION_OPTIONS)})))`;
}
