import type postgres from 'postgres';

const OWN = "n.nspname = 'app'";

/** What a schema `app` holds, each as one line, in no words of evdb. */
const LINES: Record<string, string> = {
  relations: `
    select c.oid::regclass, c.relkind, c.relpersistence, c.reloptions, c.relreplident, c.relrowsecurity,
      c.relforcerowsecurity, pg_get_expr(c.relpartbound, c.oid), pg_get_partkeydef(c.oid),
      c.reloftype::regtype, obj_description(c.oid, 'pg_class')
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where ${OWN} and c.relkind not in ('i', 'I')`,
  columns: `
    select a.attrelid::regclass, row_number() over (partition by a.attrelid order by a.attnum), a.attname,
      format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated, a.attislocal,
      a.attinhcount, a.attcollation::regcollation, a.attstorage, coalesce(a.attstattarget, -1),
      array(select o from unnest(a.attoptions) o where o not like 'pg_attver=%'),
      pg_get_expr(d.adbin, d.adrelid), col_description(a.attrelid, a.attnum)
    from pg_attribute a
    join pg_class c on c.oid = a.attrelid
    join pg_namespace n on n.oid = c.relnamespace
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where ${OWN} and a.attnum > 0 and not a.attisdropped and c.relkind not in ('i', 'I')`,
  constraints: `
    select coalesce(nullif(o.conrelid, 0)::regclass::text, nullif(o.contypid, 0)::regtype::text), o.conname,
      o.contype, o.convalidated, o.conislocal, o.coninhcount, o.connoinherit and o.contype in ('c', 'n'), o.condeferrable, o.condeferred,
      pg_get_constraintdef(o.oid), obj_description(o.oid, 'pg_constraint')
    from pg_constraint o join pg_namespace n on n.oid = o.connamespace
    where ${OWN} and not (o.contype = 'f' and o.conparentid <> 0)`,
  indexes: `
    select i.indrelid::regclass, pg_get_indexdef(i.indexrelid), i.indisprimary, i.indisvalid, i.indisreplident,
      i.indisclustered, obj_description(i.indexrelid, 'pg_class'),
      (select h.inhparent::regclass from pg_inherits h where h.inhrelid = i.indexrelid)
    from pg_index i
    join pg_class c on c.oid = i.indexrelid
    join pg_namespace n on n.oid = c.relnamespace
    where ${OWN}`,
  inheritance: `
    select h.inhrelid::regclass, h.inhparent::regclass, h.inhseqno
    from pg_inherits h
    join pg_class c on c.oid = h.inhrelid
    join pg_namespace n on n.oid = c.relnamespace
    where ${OWN} and c.relkind not in ('i', 'I')`,
  triggers: `
    select t.tgrelid::regclass, pg_get_triggerdef(t.oid), t.tgenabled, t.tgparentid <> 0
    from pg_trigger t
    join pg_class c on c.oid = t.tgrelid
    join pg_namespace n on n.oid = c.relnamespace
    where ${OWN} and not t.tgisinternal`,
  rules: `
    select c.oid::regclass, pg_get_ruledef(r.oid), r.ev_enabled
    from pg_rewrite r
    join pg_class c on c.oid = r.ev_class
    join pg_namespace n on n.oid = c.relnamespace
    where ${OWN}`,
  policies: `select * from pg_policies where schemaname = 'app'`,
  sequences: `
    select s.seqrelid::regclass, s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmax, s.seqmin, s.seqcycle,
      (select concat(d.deptype, d.refobjid::regclass, a.attname)
        from pg_depend d
        join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
        where d.classid = 'pg_class'::regclass and d.objid = s.seqrelid and d.deptype in ('a', 'i'))
    from pg_sequence s
    join pg_class c on c.oid = s.seqrelid
    join pg_namespace n on n.oid = c.relnamespace
    where ${OWN}`,
  types: `
    select t.oid::regtype, t.typtype, t.typnotnull, t.typdefault, format_type(t.typbasetype, t.typtypmod),
      array(select e.enumlabel from pg_enum e where e.enumtypid = t.oid order by e.enumsortorder)
    from pg_type t join pg_namespace n on n.oid = t.typnamespace
    where ${OWN} and t.typtype in ('d', 'e', 'c')`,
  statistics: `
    select pg_get_statisticsobjdef(s.oid), s.stxstattarget
    from pg_statistic_ext s join pg_namespace n on n.oid = s.stxnamespace
    where ${OWN}`,
  publications: `
    select p.pubname, r.prrelid::regclass, pg_get_expr(r.prqual, r.prrelid), r.prattrs
    from pg_publication p join pg_publication_rel r on r.prpubid = p.oid`,
};

/** All of a schema `app`, for comparing. */
export async function describeCatalog(sql: postgres.Sql): Promise<Record<string, string[]>> {
  const described: Record<string, string[]> = {};
  for (const [what, query] of Object.entries(LINES)) {
    const rows = await sql.unsafe(`select x::text as line from (${query}) as x order by 1`);
    described[what] = rows.map(({ line }) => line as string);
  }
  return described;
}
