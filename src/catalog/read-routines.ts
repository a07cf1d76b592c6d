import type { Session } from '../connection/session.ts';
import { type Catalog, objectKey, type Routine } from './catalog.ts';
import { type ReadRelations, USER_SCHEMAS } from './read-relations.ts';

const VOLATILITIES: Record<string, Routine['volatility']> = {
  i: 'immutable',
  s: 'stable',
  v: 'volatile',
};

/** Fills in the functions and procedures, of several with one name the most volatile. */
export async function readRoutines(session: Session, catalog: Catalog): Promise<void> {
  const rows = await session.run(`
    select distinct on (n.nspname, p.proname)
        n.nspname::text as "schema",
        p.proname::text as "name",
        p.provolatile::text as "volatility",
        l.lanname::text as "language"
    from pg_catalog.pg_proc as p
    join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
    join pg_catalog.pg_language as l on l.oid = p.prolang
    where ${USER_SCHEMAS}
        and p.prokind in ('f', 'p')
    -- Immutable, stable, volatile are in the order of their letters.
    order by n.nspname, p.proname, p.provolatile desc`);
  for (const row of rows) {
    const key = objectKey(String(row.schema), String(row.name));
    const volatility = VOLATILITIES[String(row.volatility)] ?? 'volatile';
    catalog.routines.set(key, { key, volatility, language: String(row.language) });
  }
}

/** Notes the triggers of users, and what they call. */
export async function readTriggers(
  session: Session,
  relations: Promise<ReadRelations>,
): Promise<void> {
  const query = session.run(`
    select t.tgrelid::text as "table",
        t.tgname::text as "name",
        n.nspname::text as "schema",
        p.proname::text as "routine"
    from pg_catalog.pg_trigger as t
    join pg_catalog.pg_proc as p on p.oid = t.tgfoid
    join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
    -- Before 15, those that a partition has from its table count as internal too.
    where not t.tgisinternal or (t.tgparentid <> 0 and t.tgconstraint = 0)`);
  const [byId, rows] = await Promise.all([relations, query]);
  for (const row of rows) {
    const relation = byId.get(String(row.table))?.relation;
    if (relation === undefined) continue;
    relation.triggers ??= new Map();
    relation.triggers.set(String(row.name), objectKey(String(row.schema), String(row.routine)));
  }
}
