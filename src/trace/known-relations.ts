import { type ObjectKey, objectKey } from '../catalog/catalog.ts';
import type { Session } from '../connection/session.ts';

/** A relation as it was before the trace; under its id it is found again when it is renamed or gone. */
export interface KnownRelation {
  key: ObjectKey;
  kind: 'table' | 'index' | 'sequence' | 'view' | 'type';
  isPartition: boolean;
  /** Of an index: the id of its table. */
  table: string | undefined;
  /** Undefined where it has no storage. */
  filenode: string | undefined;
  /** Counted before, since the server keeps these numbers for longer than a transaction. */
  scans: number;
  rows: number;
}

/** By id. */
export type KnownRelations = Map<string, KnownRelation>;

/**
 * Lists everything that others may use: not what belongs to the system, and nothing temporary. To be
 * called inside the transaction: the server may set its counters to zero at the end of one.
 */
export async function readKnownRelations(session: Session): Promise<KnownRelations> {
  const rows = await session.run(`
    select c.oid::text as "id",
        n.nspname::text as "schema",
        c.relname::text as "name",
        c.relkind::text as "relkind",
        c.relispartition as "isPartition",
        i.indrelid::text as "table",
        pg_catalog.pg_relation_filenode(c.oid)::text as "filenode",
        pg_catalog.pg_stat_get_xact_numscans(c.oid)::text as "scans",
        pg_catalog.pg_stat_get_xact_tuples_returned(c.oid)::text as "rows"
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    left join pg_catalog.pg_index as i on i.indexrelid = c.oid
    where c.relkind in ('r', 'p', 'f', 'm', 'v', 'i', 'I', 'S', 'c')
        and c.relpersistence <> 't'
        and n.nspname !~ '^pg_'
        and n.nspname <> 'information_schema'`);
  return new Map(
    rows.map((row) => [
      String(row.id),
      {
        key: objectKey(String(row.schema), String(row.name)),
        kind: KINDS[String(row.relkind)] ?? 'table',
        isPartition: row.isPartition === true,
        table: (row.table as string | null) ?? undefined,
        filenode: (row.filenode as string | null) ?? undefined,
        scans: Number(row.scans),
        rows: Number(row.rows),
      },
    ]),
  );
}

const KINDS: Record<string, KnownRelation['kind']> = {
  i: 'index',
  I: 'index',
  S: 'sequence',
  v: 'view',
  c: 'type',
};
