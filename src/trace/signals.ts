import { type ObjectKey, objectKey } from '../catalog/catalog.ts';
import type { Row, Session } from '../connection/session.ts';
import type { LockMode } from '../impact/impact.ts';

/** What the server says of one relation that the transaction has locked. */
export interface Signal {
  modes: LockMode[];
  /** How often it was read from end to end in this transaction, and how many rows that gave. */
  scans: number;
  rows: number;
  filenode: string | undefined;
  /** Of an index that is still there. */
  index: { key: ObjectKey; table: string } | undefined;
}

/** By the relation's id. */
export type Signals = Map<string, Signal>;

/**
 * Reads what the transaction has done so far. Only what is locked can have been read or written, so
 * the cost is in the number of locks and not of tables; and locks are held by id, so that a relation
 * that was dropped is still there. The messages of a statement between two readings are debug1.
 */
export async function readSignals(session: Session): Promise<Signals> {
  const rows = await session.run(`set local client_min_messages = error;
    select l.relation::text as "id",
        l.modes as "modes",
        coalesce(pg_catalog.pg_stat_get_xact_numscans(l.relation), 0)::text as "scans",
        coalesce(pg_catalog.pg_stat_get_xact_tuples_returned(l.relation), 0)::text as "rows",
        pg_catalog.pg_relation_filenode(c.oid)::text as "filenode",
        c.relkind = 'i' as "isIndex",
        n.nspname::text as "schema",
        c.relname::text as "name",
        i.indrelid::text as "table"
    from (
        select relation, pg_catalog.string_agg(mode, ' ') as modes
        from pg_catalog.pg_locks
        where pid = pg_catalog.pg_backend_pid()
            and locktype = 'relation'
            and database = (
                select oid
                from pg_catalog.pg_database
                where datname = pg_catalog.current_database()
            )
        group by relation
    ) as l
    left join pg_catalog.pg_class as c on c.oid = l.relation
    left join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    left join pg_catalog.pg_index as i on i.indexrelid = c.oid;
    set local client_min_messages = debug1`);
  return new Map(rows.map((row) => [String(row.id), signalOf(row)]));
}

function signalOf(row: Row): Signal {
  return {
    modes: String(row.modes)
      .split(' ')
      .map((mode) => mode.replace(/Lock$/, '') as LockMode),
    scans: Number(row.scans),
    rows: Number(row.rows),
    filenode: (row.filenode as string | null) ?? undefined,
    index:
      row.isIndex === true
        ? { key: objectKey(String(row.schema), String(row.name)), table: String(row.table) }
        : undefined,
  };
}
