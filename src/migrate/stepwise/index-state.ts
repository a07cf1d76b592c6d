import type { Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts';
import type { WrittenName } from '../../sql/tree.ts';
import type { ReindexScope } from './lone-statement.ts';

/** An index as the catalog has it. */
export interface IndexState {
  oid: string;
  /** Qualified and quoted, ready for a statement. */
  name: string;
  isValid: boolean;
  /** Another session that is building an index on the same table, perhaps this one. */
  builderPid: number | null;
}

/** The oid of a relation as the session's search_path finds it; null where there is none. */
export function relationSql({ schema, name }: WrittenName): string {
  const written = [...(schema === undefined ? [] : [schema]), name].map(quoteIdent).join('.');
  return `pg_catalog.to_regclass(${quoteLiteral(written)})`;
}

/** Finds the index of a name that a table has or would get: indexes live in its schema. */
export async function findIndex(
  session: Session,
  table: WrittenName,
  name: string,
): Promise<IndexState | undefined> {
  const [found] = await listIndexes(
    session,
    `c.relname = ${quoteLiteral(name)}::pg_catalog.name
    and c.relnamespace = (select relnamespace from pg_catalog.pg_class where oid = ${relationSql(table)})`,
  );
  return found;
}

/** The valid indexes of a table, oldest first. */
export function listValidIndexes(session: Session, table: WrittenName): Promise<IndexState[]> {
  return listIndexes(session, `i.indrelid = ${relationSql(table)} and i.indisvalid`);
}

/** The invalid indexes of a table. */
export function listInvalidIndexes(session: Session, table: WrittenName): Promise<IndexState[]> {
  return listIndexes(session, `i.indrelid = ${relationSql(table)} and not i.indisvalid`);
}

/** What an interrupted `reindex concurrently` leaves: new indexes that were never used, and old ones. */
export function listReindexLeftovers(session: Session, scope: ReindexScope): Promise<IndexState[]> {
  return listIndexes(
    session,
    `not i.indisvalid and c.relname ~ '_cc(new|old)[0-9]*$' and ${inScope(scope)}`,
  );
}

function inScope(scope: ReindexScope): string {
  switch (scope.of) {
    case 'index':
      return `i.indrelid in (
        select parent.indrelid from pg_catalog.pg_index as parent
        where parent.indexrelid = ${relationSql(scope.relation)}
            or parent.indexrelid in (select relid from pg_catalog.pg_partition_tree(${relationSql(scope.relation)}))
    )`;
    case 'table':
      return `i.indrelid in (
        select member.oid from pg_catalog.pg_class as root
        join pg_catalog.pg_class as member
            on member.oid in (root.oid, root.reltoastrelid)
            or member.oid in (select relid from pg_catalog.pg_partition_tree(root.oid))
        where root.oid = ${relationSql(scope.relation)}
    )`;
    case 'schema':
      return `n.nspname = ${quoteLiteral(scope.name)}`;
    case 'database':
      return 'true';
  }
}

async function listIndexes(session: Session, where: string): Promise<IndexState[]> {
  const rows = await session.run(`
select
    i.indexrelid::text as "oid",
    pg_catalog.format('%I.%I', n.nspname, c.relname) as "name",
    i.indisvalid as "isValid",
    (
        select pg_catalog.min(l.pid)
        from pg_catalog.pg_locks as l
        join pg_catalog.pg_stat_progress_create_index as building on building.pid = l.pid
        where l.locktype = 'relation'
            and l.database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
            and l.relation = i.indrelid
            and l.mode = 'ShareUpdateExclusiveLock'
            and l.granted
            and l.pid <> pg_catalog.pg_backend_pid()
    ) as "builderPid"
from pg_catalog.pg_index as i
join pg_catalog.pg_class as c on c.oid = i.indexrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where c.relkind = 'i' and ${where}
order by i.indexrelid`);
  return rows as unknown as IndexState[];
}

/**
 * Drops an invalid index without blocking anybody.
 *
 * @throws {EvdbError} LOCKED where somebody may be building it right now
 */
export async function dropInvalidIndex(session: Session, index: IndexState): Promise<void> {
  if (index.builderPid !== null) {
    throw new EvdbError(
      'LOCKED',
      `the index ${index.name} is not valid yet, and pid ${index.builderPid} is building an index on its table`,
      { hint: 'Run the command again when that is done.', details: { pid: index.builderPid } },
    );
  }
  await session.run(`drop index concurrently if exists ${index.name}`);
}
