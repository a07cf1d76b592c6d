import type { Session } from '../connection/session.ts';
import { numbersIn, type ReadRelations } from './read-relations.ts';

/** Notes which views read which columns of what. */
export async function readViews(
  session: Session,
  relations: Promise<ReadRelations>,
): Promise<void> {
  const query = session.run(`
    select r.ev_class::text as "view",
        d.refobjid::text as "relation",
        pg_catalog.string_agg(d.refobjsubid::text, ' ') as "columns"
    from pg_catalog.pg_rewrite as r
    join pg_catalog.pg_depend as d
        on d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
        and d.objid = r.oid
        and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
        and d.refobjid <> r.ev_class
    where r.rulename = '_RETURN'
    group by r.ev_class, d.refobjid`);
  const [byId, rows] = await Promise.all([relations, query]);
  for (const row of rows) {
    const view = byId.get(String(row.view))?.relation;
    const read = byId.get(String(row.relation));
    if (view === undefined || read === undefined) continue;
    read.relation.dependents.add(view.key);
    view.reads ??= new Map();
    const names = numbersIn(row.columns).flatMap((number) => read.columns.get(number) ?? []);
    view.reads.set(read.relation.key, new Set(names));
  }
}
