import type postgres from 'postgres';

/** Tables of the schema `public` with columns, constraints and indexes: one line for each. */
export async function readTableStructure(sql: postgres.Sql): Promise<string[]> {
  const rows = await sql<{ line: string }[]>`
    select format('%s %s %s', c.relkind, c.relpersistence, c.relname) as line
    from pg_class as c
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'S')
    union all
    select format(
      '%s.%s %s %s %s', a.attrelid::regclass, a.attname, format_type(a.atttypid, a.atttypmod),
      case when a.attnotnull then 'not null' end, pg_get_expr(d.adbin, d.adrelid)
    )
    from pg_attribute as a
    join pg_class as c on c.oid = a.attrelid
    left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where c.relnamespace = 'public'::regnamespace
      and c.relkind in ('r', 'p')
      and a.attnum > 0
      and not a.attisdropped
    union all
    select format('%s %s %s', o.conrelid::regclass, o.conname, pg_get_constraintdef(o.oid))
    from pg_constraint as o
    where o.connamespace = 'public'::regnamespace and o.conrelid <> 0
    union all
    select format('%s %s', pg_get_indexdef(i.indexrelid), i.indisvalid)
    from pg_index as i
    join pg_class as c on c.oid = i.indrelid
    where c.relnamespace = 'public'::regnamespace
    order by line`;
  return rows.map(({ line }) => line);
}
