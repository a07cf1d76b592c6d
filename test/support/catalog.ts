import type postgres from 'postgres';

/**
 * Reads what the system catalogs say about a schema as sorted lines of text, so that two states
 * can be compared: whatever makes a difference to somebody who uses the schema is in it, whatever
 * only tells when an object was made (oids, the order of creation) is not.
 *
 * @example
 * expect(await readCatalog(sql)).toEqual(before);
 */
export async function readCatalog(sql: postgres.Sql, schema = 'public'): Promise<string[]> {
  const lines: string[] = [];
  for (const query of QUERIES) {
    // As arrays: most of the columns have no name of their own.
    const rows = await sql.unsafe(query, [schema]).values();
    for (const row of rows) lines.push(row.map((value) => value ?? '-').join(' | '));
  }
  return lines.sort();
}

const IN_SCHEMA = `(select oid from pg_namespace where nspname = $1)`;
const QUERIES = [
  `select 'schema', nspacl, obj_description(oid, 'pg_namespace') from pg_namespace where nspname = $1`,

  `select 'relation', c.relname, c.relkind, c.relpersistence, c.relowner::regrole, c.relacl,
    c.reloptions, c.relrowsecurity, c.relforcerowsecurity, c.relreplident, am.amname,
    pg_get_partkeydef(c.oid), pg_get_expr(c.relpartbound, c.oid),
    (select string_agg(i.inhparent::regclass::text, ',' order by i.inhseqno)
      from pg_inherits as i where i.inhrelid = c.oid),
    case when c.relkind in ('v', 'm') then pg_get_viewdef(c.oid) end,
    obj_description(c.oid, 'pg_class')
  from pg_class as c left join pg_am as am on am.oid = c.relam
  where c.relnamespace = ${IN_SCHEMA} and c.relkind <> 'c'`,

  `select 'column', c.relname, a.attname,
    row_number() over (partition by c.oid order by a.attnum),
    format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
    pg_get_expr(d.adbin, d.adrelid), a.attcollation::regcollation, a.attstorage,
    a.attcompression, a.attstattarget,
    (select array_agg(o) from unnest(a.attoptions) as o where o ~ '^n_distinct'), -- a server may keep more
    a.attacl, col_description(c.oid, a.attnum)
  from pg_attribute as a join pg_class as c on c.oid = a.attrelid
  left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
  where c.relnamespace = ${IN_SCHEMA} and a.attnum > 0 and not a.attisdropped
    and c.relkind <> 'i' and c.relkind <> 'I'`,

  `select 'constraint', coalesce(nullif(conrelid, 0)::regclass::text, contypid::regtype::text),
    conname, contype, convalidated, condeferrable, condeferred, conislocal, coninhcount,
    connoinherit, pg_get_constraintdef(oid), obj_description(oid, 'pg_constraint')
  from pg_constraint where connamespace = ${IN_SCHEMA}`,

  `select 'index', c.relname, i.indisvalid, i.indisready, i.indisclustered, i.indisreplident,
    pg_get_indexdef(i.indexrelid)
  from pg_index as i join pg_class as c on c.oid = i.indexrelid
  where c.relnamespace = ${IN_SCHEMA}`,

  `select 'trigger', c.relname, t.tgname, t.tgenabled, pg_get_triggerdef(t.oid),
    obj_description(t.oid, 'pg_trigger')
  from pg_trigger as t join pg_class as c on c.oid = t.tgrelid
  where c.relnamespace = ${IN_SCHEMA} and not t.tgisinternal`,

  `select 'routine', p.oid::regprocedure, p.prokind, p.proowner::regrole, p.proacl,
    case when p.prokind <> 'a' then pg_get_functiondef(p.oid) end,
    a.aggtransfn, a.aggfinalfn, a.agginitval, obj_description(p.oid, 'pg_proc')
  from pg_proc as p left join pg_aggregate as a on a.aggfnoid = p.oid
  where p.pronamespace = ${IN_SCHEMA}`,

  `select 'type', t.typname, t.typtype, t.typcategory, t.typowner::regrole, t.typacl,
    case when t.typtype = 'd' then format_type(t.typbasetype, t.typtypmod) end, t.typnotnull,
    t.typdefault, t.typcollation::regcollation,
    (select string_agg(enumlabel, ',' order by enumsortorder) from pg_enum where enumtypid = t.oid),
    (select rngsubtype::regtype from pg_range where rngtypid = t.oid),
    obj_description(t.oid, 'pg_type')
  from pg_type as t where t.typnamespace = ${IN_SCHEMA}`,

  `select 'sequence', c.relname, format_type(s.seqtypid, null), s.seqstart, s.seqincrement,
    s.seqmin, s.seqmax, s.seqcache, s.seqcycle,
    (select d.refobjid::regclass || '.' || d.refobjsubid || ' ' || d.deptype::text
      from pg_depend as d
      where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype in ('a', 'i'))
  from pg_sequence as s join pg_class as c on c.oid = s.seqrelid
  where c.relnamespace = ${IN_SCHEMA}`,

  `select 'policy', p.polname, c.relname, p.polcmd, p.polpermissive, p.polroles::regrole[],
    pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)
  from pg_policy as p join pg_class as c on c.oid = p.polrelid
  where c.relnamespace = ${IN_SCHEMA}`,

  `select 'rule', c.relname, r.rulename, r.ev_enabled, pg_get_ruledef(r.oid)
  from pg_rewrite as r join pg_class as c on c.oid = r.ev_class
  where c.relnamespace = ${IN_SCHEMA}`,

  `select 'statistics', stxname, pg_get_statisticsobjdef(oid), obj_description(oid, 'pg_statistic_ext')
  from pg_statistic_ext where stxnamespace = ${IN_SCHEMA}`,

  // whatever else depends on the schema, by name
  `select 'object', i.type, i.identity
  from pg_depend as d cross join lateral pg_identify_object(d.classid, d.objid, 0) as i
  where d.refclassid = 'pg_namespace'::regclass and d.refobjid = ${IN_SCHEMA}`,

  `select 'default privileges', defaclrole::regrole, defaclobjtype, defaclacl
  from pg_default_acl where defaclnamespace = ${IN_SCHEMA}`,
];
