import { listColumns } from '../../connection/inspection.ts';
import type { Session } from '../../connection/session.ts';
import { quoteIdent } from '../../sql/quote.ts';
import type { DoctorCheck, DoctorFinding } from './check.ts';

/** A collation that indexes were built with. */
export interface CollationVersion {
  /** `database` for the one that columns have where nothing else is said. */
  kind: 'database' | 'collation';
  schema: string | null;
  name: string;
  /** Of the operating system or ICU when the indexes were built. */
  recorded: string | null;
  actual: string | null;
}

async function readCollationVersions(session: Session): Promise<CollationVersion[]> {
  const columns = await listColumns(session, 'pg_catalog.pg_database');
  // PostgreSQL 14 does not record it.
  const ofDatabase = columns.has('datcollversion')
    ? `
select 'database' as "kind", null::text as "schema", datname::text as "name", datcollversion as "recorded",
    pg_catalog.pg_database_collation_actual_version(oid) as "actual"
from pg_catalog.pg_database
where datname = pg_catalog.current_database()
union all`
    : '';
  const rows = await session.run(`${ofDatabase}
select 'collation' as "kind", n.nspname::text as "schema", c.collname::text as "name", c.collversion as "recorded",
    pg_catalog.pg_collation_actual_version(c.oid) as "actual"
from pg_catalog.pg_collation as c
join pg_catalog.pg_namespace as n on n.oid = c.collnamespace
where c.collversion is not null
    and c.oid in (select pg_catalog.unnest(i.indcollation::oid[]) from pg_catalog.pg_index as i)
order by 1, 2, 3`);
  return rows as unknown as CollationVersion[];
}

/** Collations that sort otherwise now than when the indexes were built. */
export function judgeCollationVersions(rows: CollationVersion[]): DoctorFinding[] {
  return rows
    .filter(({ recorded, actual }) => recorded !== null && actual !== null && recorded !== actual)
    .map(({ kind, schema, name, recorded, actual }) => {
      const object = schema === null ? name : `${schema}.${name}`;
      const sql = [schema, name].filter((part) => part !== null).map(quoteIdent);
      const reindex =
        kind === 'database'
          ? `reindex database concurrently ${sql.join('.')};`
          : 'Reindex what uses it,';
      return {
        status: 'critical',
        object,
        reason: `${kind} ${object} was indexed with version ${recorded} of its collation, and the system has ${actual}: indexes may miss rows and let duplicates in`,
        fix: `${reindex} then: alter ${kind} ${sql.join('.')} refresh ${kind === 'database' ? 'collation ' : ''}version;`,
      };
    });
}

export const COLLATION_VERSIONS: DoctorCheck = {
  name: 'collation-versions',
  group: 'indexes',
  async examine(session) {
    return {
      findings: judgeCollationVersions(await readCollationVersions(session)),
      summary: 'text is sorted as when the indexes were built',
    };
  },
};
