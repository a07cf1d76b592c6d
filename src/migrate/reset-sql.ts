import { quoteLiteral } from '../sql/quote.ts';

/**
 * What lives outside the schema, by catalog row: taken before and after the drop, it shows what
 * `cascade` would have carried away with it. Comparing what happened is simpler, and safer, than
 * predicting it from pg_depend. Extensions count as outside, wherever their objects live.
 */
function outsideSql(targetSchema: string): string {
  const outside = `n.nspname <> ${quoteLiteral(targetSchema)} and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'`;
  const namespaced = [
    ['pg_class', 'relnamespace'],
    ['pg_proc', 'pronamespace'],
    ['pg_type', 'typnamespace'],
    ['pg_constraint', 'connamespace'],
    ['pg_operator', 'oprnamespace'],
    ['pg_opclass', 'opcnamespace'],
    ['pg_opfamily', 'opfnamespace'],
    ['pg_collation', 'collnamespace'],
    ['pg_conversion', 'connamespace'],
    ['pg_statistic_ext', 'stxnamespace'],
    ['pg_ts_config', 'cfgnamespace'],
    ['pg_ts_dict', 'dictnamespace'],
  ].map(
    ([catalog, column]) =>
      `select tableoid as classid, o.oid as objid, 0 as subid from pg_catalog.${catalog} as o join pg_catalog.pg_namespace as n on n.oid = o.${column} where ${outside}`,
  );
  const onTables = [
    ['pg_trigger', 'tgrelid'],
    ['pg_attrdef', 'adrelid'],
    ['pg_policy', 'polrelid'],
    ['pg_rewrite', 'ev_class'],
  ].map(
    ([catalog, column]) =>
      `select o.tableoid, o.oid, 0 from pg_catalog.${catalog} as o join pg_catalog.pg_class as c on c.oid = o.${column} join pg_catalog.pg_namespace as n on n.oid = c.relnamespace where ${outside}`,
  );
  const columns = `select 'pg_catalog.pg_class'::regclass, a.attrelid, a.attnum from pg_catalog.pg_attribute as a join pg_catalog.pg_class as c on c.oid = a.attrelid join pg_catalog.pg_namespace as n on n.oid = c.relnamespace where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'f', 'c') and ${outside}`;
  const global = [
    'pg_extension',
    'pg_event_trigger',
    'pg_language',
    'pg_am',
    'pg_foreign_data_wrapper',
  ].map((catalog) => `select tableoid, oid, 0 from pg_catalog.${catalog}`);
  // a cast has no schema: one of the schema's own types goes with the type
  const casts = `select o.tableoid, o.oid, 0 from pg_catalog.pg_cast as o where not exists (select from pg_catalog.pg_type as t join pg_catalog.pg_namespace as n on n.oid = t.typnamespace where t.oid in (o.castsource, o.casttarget) and n.nspname = ${quoteLiteral(targetSchema)})`;
  return [
    ...namespaced.map((sql) => sql.replace('tableoid', 'o.tableoid')),
    ...onTables,
    columns,
    ...global,
    casts,
  ].join('\nunion all\n');
}

/** Remembers, with a name to show, what must still be there after the drop. */
export function rememberOutsideSql(targetSchema: string): string {
  return `create temporary table evdb_outside on commit drop as
select o.classid, o.objid, o.subid, i.type, i.identity
from (
${outsideSql(targetSchema)}
) as o
cross join lateral pg_catalog.pg_identify_object(o.classid, o.objid, o.subid) as i`;
}

/** The names of what the drop took outside the schema. */
export function lostOutsideSql(targetSchema: string): string {
  return `select b.type || ' ' || b.identity as "object"
from pg_temp.evdb_outside as b
where b.objid not in (
        select oid from pg_catalog.pg_class where relname = 'evdb_outside' and relnamespace = pg_catalog.pg_my_temp_schema()
    )
    and not exists (
        select
        from (
${outsideSql(targetSchema)}
        ) as o
        where (o.classid, o.objid, o.subid) = (b.classid, b.objid, b.subid)
    )
order by 1`;
}

/**
 * Drops what the schema contains and no extension owns. The schema itself stays, with its owner,
 * privileges and comment. Everything in a schema depends on its namespace, so pg_depend lists it:
 * extensions too, which stay, and parts such as an identity column's sequence, which PostgreSQL
 * drops with the whole only. (A partitioned table is an internal part of itself.)
 */
export function dropContentsSql(targetSchema: string): string {
  return `do $evdb$
declare
    v_object record;
    v_identity record;
begin
    for v_object in
        select d.classid, d.objid
        from pg_catalog.pg_depend as d
        join pg_catalog.pg_namespace as n on n.oid = d.refobjid
        where d.refclassid = 'pg_catalog.pg_namespace'::regclass
            and d.deptype = 'n'
            and d.classid <> 'pg_catalog.pg_extension'::regclass
            and n.nspname = ${quoteLiteral(targetSchema)}
            and not exists (
                select
                from pg_catalog.pg_depend as e
                where e.classid = d.classid
                    and e.objid = d.objid
                    and (e.deptype = 'e' or e.deptype = 'i' and e.refobjid <> e.objid)
            )
    loop
        select i.type, i.identity
        into v_identity
        from pg_catalog.pg_identify_object(v_object.classid, v_object.objid, 0) as i;
        -- an earlier drop may have taken it along
        continue when v_identity.identity is null;
        execute pg_catalog.format(
            'drop %s if exists %s cascade',
            case
                when v_identity.type in ('function', 'procedure', 'aggregate') then 'routine'
                when v_identity.type = 'statistics object' then 'statistics'
                else v_identity.type
            end,
            v_identity.identity
        );
    end loop;
end
$evdb$`;
}
