import { OBJECTS, PARTS } from '../migrate/ledger/fingerprint.ts';

/**
 * A digest of the catalogs of a schema, to tell whether the same script has made the same again: an expression
 * of the rows as text, without digits and signs, because those are mostly oids. It takes a tenth of the time in
 * which a structure is read, and says nothing of how two scripts compare.
 *
 * @param schema a name that needs no quotes
 */
export function scriptDigestSql(schema: string): string {
  const namespace = `(select n.oid from pg_catalog.pg_namespace as n where n.nspname = '${schema}')`;
  const objects = Object.entries({ pg_class: 'relnamespace', ...OBJECTS }).map(
    ([catalog, column]) => `
        select '${catalog}' as catalog, p.oid, ${catalog === 'pg_proc' ? routineSql(schema) : rowSql('p')} as fact
        from pg_catalog.${catalog} as p
        where p.${column} = ${namespace}`,
  );
  const parts = PARTS.map(
    ({ catalog, column, owner, condition }) => `
        select '${catalog}', ${WITHOUT_OID.has(catalog) ? '0' : 'p.oid'}, ${rowSql('p')}
        from objects as o
        join pg_catalog.${catalog} as p on p.${column} = o.oid
        where o.catalog = '${owner}'${condition === undefined ? '' : ` and ${condition}`}`,
  );
  return `(
    with objects as materialized (${objects.join('\n        union all')}),
    members as materialized (
        select * from objects
        union all${parts.join('\n        union all')}
    ),
    facts as (
        select pg_catalog.concat_ws(' ', m.catalog, m.fact) as fact from members as m
        union all
        select pg_catalog.concat_ws(' ', 'comment', m.catalog, d.objsubid, d.description)
        from members as m
        join pg_catalog.pg_description as d
            on d.objoid = m.oid and d.classoid = pg_catalog.to_regclass('pg_catalog.' || m.catalog)
        union all
        select n.nspacl::text from pg_catalog.pg_namespace as n where n.nspname = '${schema}'
    )
    select pg_catalog.md5(pg_catalog.string_agg(f.fact, ',' order by f.fact collate "C"))
    from facts as f
)`;
}

const WITHOUT_OID: ReadonlySet<string> = new Set([
  ...['pg_attribute', 'pg_index', 'pg_inherits', 'pg_partitioned_table', 'pg_sequence'],
  ...['pg_foreign_table', 'pg_range', 'pg_aggregate', 'pg_ts_config_map'],
]);

function rowSql(row: string): string {
  return `pg_catalog.translate(${row}::text, '0123456789-', '')`;
}

/** A routine keeps the schema's name in its search_path. */
function routineSql(schema: string): string {
  const columns = ['prokind', 'prosecdef', 'proleakproof', 'proisstrict', 'proretset'];
  const others = ['provolatile', 'proparallel', 'pronargs', 'proargmodes', 'proargnames', 'proacl'];
  const named = ['proname', ...columns, ...others].map((name) => `p.${name}`);
  return `pg_catalog.concat_ws(' ', ${named.join(', ')}, pg_catalog.md5(p.prosrc), pg_catalog.translate(pg_catalog.concat_ws(' ', p.proargdefaults, p.prosqlbody), '0123456789-', ''), pg_catalog.regexp_replace(p.proconfig::text, '([=" ])${schema}([,"}])', '\\1\\2', 'g'))`;
}
