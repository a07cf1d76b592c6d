import type { Session } from '../../connection/session.ts';
import { quoteLiteral } from '../../sql/quote.ts';

/**
 * Which columns of the system catalog this server has; asking beats comparing version numbers,
 * since forks and managed servers differ.
 *
 * @param columns as `pg_index.indnullsnotdistinct`
 */
export async function findCatalogColumns(
  session: Session,
  columns: readonly `${string}.${string}`[],
): Promise<Set<string>> {
  // By relation and name, as the catalog is indexed: a large database has 100,000 columns.
  const wanted = columns.map((column) => {
    const [relation, name] = column.split('.');
    const oid = `pg_catalog.to_regclass(${quoteLiteral(`pg_catalog.${relation}`)})`;
    return `(${quoteLiteral(column)}, ${oid}, ${quoteLiteral(name ?? '')}::name)`;
  });
  const rows = await session.run(
    `select w.label as name
     from (values ${wanted.join(', ')}) w (label, relation, name)
     join pg_catalog.pg_attribute a
       on a.attrelid = w.relation and a.attname = w.name and not a.attisdropped`,
  );
  return new Set(rows.map((row) => String(row.name)));
}
