import { quoteLiteral } from '../../sql/quote.ts';
import { renderScope, type StatsOptions } from './scope.ts';

/**
 * What `updateStatistics` analyzes: tables and materialized views, and partitioned tables as a
 * whole, which autovacuum never looks at. Whether it may is asked first, because without the right
 * to it `analyze` only warns.
 */
export function renderTargets(options: StatsOptions): string {
  return `with recursive parts (whole, part) as (
    select c.oid, c.oid
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'm') and not c.relispartition and ${renderScope('n', options)}
    union all
    select p.whole, h.inhrelid
    from parts p
    join pg_catalog.pg_inherits h on h.inhparent = p.part
    join pg_catalog.pg_class c on c.oid = h.inhrelid and c.relispartition and c.relkind <> 'f'
  )
  select n.nspname as "schema", w.relname as "table",
    pg_catalog.bool_and(${MAY_ANALYZE}) as "mayAnalyze"
  from parts p
  join pg_catalog.pg_class c on c.oid = p.part
  join pg_catalog.pg_class w on w.oid = p.whole
  join pg_catalog.pg_namespace n on n.oid = w.relnamespace
  join pg_catalog.pg_database d on d.datname = pg_catalog.current_database()
  group by w.oid, w.relname, n.nspname
  order by n.nspname, w.relname`;
}

// The privilege to maintain has a name, and a role that grants it, where the server knows it.
const MAY_ANALYZE = `pg_catalog.pg_has_role(c.relowner, 'usage')
      or pg_catalog.pg_has_role(d.datdba, 'usage')
      or case when exists (select from pg_catalog.pg_roles r where r.rolname = 'pg_maintain')
        then pg_catalog.has_table_privilege(c.oid, 'maintain') else false end`;

/** Who holds, or waits for, a lock on a table or a part of it that `analyze` cannot go along with. */
export function renderLocker(schema: string, table: string): string {
  return `with recursive parts (part) as (
    select c.oid from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${quoteLiteral(schema)} and c.relname = ${quoteLiteral(table)}
    union all
    select h.inhrelid from parts p join pg_catalog.pg_inherits h on h.inhparent = p.part
  )
  select l.pid, l.mode, pg_catalog.format('%I.%I', n.nspname, c.relname) as relation
  from pg_catalog.pg_locks l
  join pg_catalog.pg_class c on c.oid = l.relation
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where l.locktype = 'relation' and l.relation in (select p.part from parts p)
    and l.database = (select d.oid from pg_catalog.pg_database d
      where d.datname = pg_catalog.current_database())
    and l.pid is distinct from pg_catalog.pg_backend_pid()
    and l.mode in ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock',
      'ExclusiveLock', 'AccessExclusiveLock')
  order by l.granted desc, l.relation
  limit 1`;
}
