import type { Asked, Row } from '../../connection/session.ts';
import type { NamedFigure, ServerFigures } from './throttle.ts';
import type { WalkedTable } from './walked-table.ts';

/** Reads what the server shows of how it copes. */
export interface FiguresReader {
  read(): Promise<ServerFigures>;
}

/** What the role may see, which does not change while a backfill runs. */
interface Rights {
  seesAll: boolean;
  seesArchive: boolean;
  archives: boolean;
  cleans: boolean;
}

/**
 * @param session of the role that runs the backfill, which may not see everything
 * @param own backends that do not count as others
 */
export async function createFiguresReader(
  session: Asked,
  { oid }: WalkedTable,
  own: () => readonly number[],
): Promise<FiguresReader> {
  const [row] = await session.run(rightsSql(oid));
  const rights = row as unknown as Rights;
  return {
    read: async () => {
      const [figures] = await session.run(figuresSql(oid, rights, own()));
      return toFigures(figures ?? {}, rights);
    },
  };
}

function rightsSql(oid: string): string {
  return `select
    pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'usage') as "seesAll",
    pg_catalog.has_function_privilege('pg_catalog.pg_ls_archive_statusdir()', 'execute') as "seesArchive",
    pg_catalog.current_setting('archive_mode') <> 'off' as "archives",
    pg_catalog.current_setting('autovacuum') = 'on' and not exists (
        select
        from pg_catalog.pg_class
        where oid = ${oid}::oid and 'autovacuum_enabled=false' = any (reloptions)
    ) as "cleans"`;
}

function figuresSql(
  oid: string,
  { seesAll, seesArchive, archives }: Rights,
  own: readonly number[],
) {
  const mine = own.length === 0 ? '0' : own.join(', ');
  const ready =
    archives && seesArchive
      ? `(select pg_catalog.count(*)::int from pg_catalog.pg_ls_archive_statusdir() where name like '%.ready')`
      : 'null';
  const active = `(
        select pg_catalog.count(*)::int
        from pg_catalog.pg_stat_activity
        where state = 'active' and backend_type = 'client backend' and pid not in (${mine})
    )`;
  return `select
    (
        select pg_catalog.json_agg(pg_catalog.json_build_object(
            'name', coalesce(nullif(application_name, ''), client_addr::text, pid::text),
            'lagMs', extract(epoch from replay_lag) * 1000,
            'bytes', pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), replay_lsn)
        ))
        from pg_catalog.pg_stat_replication
        where replay_lsn is not null
    ) as "standbys",
    (select pg_catalog.count(*)::int from pg_catalog.pg_stat_replication where state is null) as "hiddenStandbys",
    (
        select pg_catalog.json_agg(pg_catalog.json_build_object(
            'name', slot_name,
            'lagMs', null,
            'bytes', pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), confirmed_flush_lsn)
        ))
        from pg_catalog.pg_replication_slots
        where slot_type = 'logical' and confirmed_flush_lsn is not null
    ) as "slots",
    ${ready} as "archiveFiles",
    ${seesAll ? active : 'null'} as "activeSessions",
    (
        select pg_catalog.sum(pg_catalog.pg_stat_get_dead_tuples(relid))::float8
        from (
            select ${oid}::oid as relid
            union
            select relid from pg_catalog.pg_partition_tree(${oid}::oid)
        ) as t
    ) as "deadRows"`;
}

function toFigures(row: Row, { seesArchive, archives, cleans }: Rights): ServerFigures {
  const { standbys, hiddenStandbys, slots, archiveFiles, activeSessions, deadRows } = row;
  return {
    standbys: Number(hiddenStandbys) > 0 ? null : ((standbys ?? []) as NamedFigure[]),
    slots: (slots ?? []) as NamedFigure[],
    archiveFiles: archives ? (seesArchive ? Number(archiveFiles) : null) : 0,
    activeSessions: activeSessions === null ? null : Number(activeSessions),
    // Without autovacuum, waiting would not end.
    deadRows: cleans ? (deadRows === null ? null : Number(deadRows)) : 0,
  };
}

/**
 * How many sessions wait for locks that a backend holds.
 *
 * @param own backends that do not count as others
 */
export function waitersSql(pid: number, own: readonly number[]): string {
  return `select pg_catalog.count(distinct pid)::int as "waiting"
from pg_catalog.pg_locks
where not granted and pid not in (${[pid, ...own].join(', ')}) and ${pid} = any (pg_catalog.pg_blocking_pids(pid))`;
}
