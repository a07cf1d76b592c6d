import type { Session } from '../connection/session.ts';
import { quoteLiteral } from '../sql/quote.ts';

/**
 * Lists the columns that a system view has on this server, because releases and versions of
 * extensions add, rename and drop them.
 *
 * @param relation qualified and quoted where needed, such as `pg_catalog.pg_stat_activity`
 * @returns empty where there is no such relation
 */
export async function listColumns(
  session: Session,
  relation: string,
): Promise<ReadonlySet<string>> {
  const rows = await session.run(`
select attname as "name"
from pg_catalog.pg_attribute
where attrelid = pg_catalog.to_regclass(${quoteLiteral(relation)})
    and attnum > 0
    and not attisdropped`);
  return new Set(rows.map(({ name }) => String(name)));
}
