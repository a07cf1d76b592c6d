import { type ObjectKey, objectKey } from '../catalog/catalog.ts';
import type { Row, Session } from '../connection/session.ts';
import {
  type Build,
  type Impact,
  isStronger,
  type LockMode,
  type LockReason,
  type LockTaken,
  type Rewrite,
  type RewriteReason,
  type Scan,
  type ScanReason,
} from '../impact/impact.ts';

/** What the server says of one relation that the transaction has locked. */
interface Signal {
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

/** How often a table was read from end to end, and how many rows that gave. */
export interface TableRead {
  relation: ObjectKey;
  scans: number;
  rows: number;
}

/** What the difference between two readings says. */
interface SignalDifference {
  impact: Impact;
  reads: TableRead[];
}

/**
 * Says what a statement did, from the readings before and after it. What the transaction made
 * itself is left out: nobody else uses it. Sequences have a new file whenever they are altered.
 *
 * @param command the statement's leading keywords, such as `alter table`
 * @param known relations as they were before the transaction, with their present files: kept up to date
 */
export function impactOfSignals(
  { before, after }: { before: Signals; after: Signals },
  known: KnownRelations,
  { command, messages }: { command: string; messages: string[] },
): SignalDifference {
  const files = new Set([...known.values()].map(({ filenode }) => filenode));
  const seen = [...after].flatMap(([id, signal]) => {
    const relation = known.get(id);
    return relation ? [{ id, relation, signal, was: before.get(id) }] : [];
  });
  const locks = seen.flatMap(({ relation, signal, was }) => newLock(relation, signal, was));
  const changed = seen.filter(
    ({ relation, signal }) =>
      relation.kind !== 'sequence' &&
      signal.filenode !== undefined &&
      signal.filenode !== relation.filenode,
  );
  const rewrites = changed
    .filter(({ relation }) => relation.kind === 'table')
    .map(({ relation }): Rewrite => ({ ...certain(relation.key), reason: rewriteReason(command) }));
  const rewritten = new Set(rewrites.map(({ relation }) => relation));
  const builds = [
    ...changed.flatMap(({ relation }) => rebuiltIndex(relation, known, rewritten)),
    ...[...after].flatMap(([id, signal]) =>
      known.has(id) || files.has(signal.filenode) || before.get(id)?.filenode === signal.filenode
        ? []
        : newIndex(signal, known, rewritten),
    ),
  ];
  const reads = seen.flatMap(({ relation, signal, was }) => tableRead(relation, signal, was));
  for (const { relation, signal } of changed) relation.filenode = signal.filenode;
  return {
    impact: {
      locks: sortLocks(locks),
      rewrites,
      scans: remainingScans(reads, { rewrites, builds, command, messages }),
      builds,
      changes: [],
      refusals: [],
      unknowns: [],
    },
    reads,
  };
}

/** The strongest of the modes that were not held before; reading alone is left out. */
function newLock(relation: KnownRelation, signal: Signal, was: Signal | undefined): LockTaken[] {
  const modes = signal.modes.filter((mode) => mode !== 'AccessShare' && !was?.modes.includes(mode));
  const mode = strongestOf(modes);
  return mode === undefined ? [] : [{ relation: relation.key, mode, reason: lockReason(relation) }];
}

/** The strongest mode that is held on each relation which was there before the transaction. */
export function heldLocks(signals: Signals, known: KnownRelations): LockTaken[] {
  return sortLocks(
    [...signals].flatMap(([id, signal]) => {
      const relation = known.get(id);
      return relation ? newLock(relation, signal, undefined) : [];
    }),
  );
}

function strongestOf(modes: LockMode[]): LockMode | undefined {
  return modes.reduce<LockMode | undefined>(
    (best, mode) => (best === undefined || isStronger(mode, best) ? mode : best),
    undefined,
  );
}

function sortLocks(locks: LockTaken[]): LockTaken[] {
  return locks.sort((a, b) => {
    if (a.mode !== b.mode) return isStronger(a.mode, b.mode) ? -1 : 1;
    return a.relation < b.relation ? -1 : 1;
  });
}

function lockReason({ kind, isPartition }: KnownRelation): LockReason {
  if (kind === 'index' || kind === 'sequence') return kind;
  return isPartition ? 'partition' : 'target';
}

function certain(relation: ObjectKey) {
  return { relation, isCertain: true };
}

function rewriteReason(command: string): RewriteReason {
  switch (command) {
    case 'truncate':
    case 'cluster':
      return command;
    case 'refresh materialized view':
      return 'refresh';
    default:
      return 'traced';
  }
}

function rebuiltIndex(
  { kind, key, table }: KnownRelation,
  known: KnownRelations,
  rewritten: Set<ObjectKey>,
): Build[] {
  const owner = known.get(table ?? '')?.key;
  if (kind !== 'index' || owner === undefined) return [];
  return [
    {
      ...certain(owner),
      reason: rewritten.has(owner) ? 'rewrite' : 'reindex',
      subject: key,
      isConcurrent: false,
    },
  ];
}

/** An index on a table of before: a new one, or one that was made again under a new id. */
function newIndex({ index }: Signal, known: KnownRelations, rewritten: Set<ObjectKey>): Build[] {
  const owner = known.get(index?.table ?? '')?.key;
  if (index === undefined || owner === undefined) return [];
  return [
    {
      ...certain(owner),
      reason: rewritten.has(owner) ? 'rewrite' : 'create index',
      subject: index.key,
      isConcurrent: false,
    },
  ];
}

function tableRead(relation: KnownRelation, signal: Signal, was: Signal | undefined): TableRead[] {
  const scans = signal.scans - (was ?? relation).scans;
  if (relation.kind !== 'table' || scans <= 0) return [];
  return [{ relation: relation.key, scans, rows: signal.rows - (was ?? relation).rows }];
}

/** Building an index and writing a table anew read the table too; what remains reads it for itself. */
function remainingScans(
  reads: TableRead[],
  {
    rewrites,
    builds,
    command,
    messages,
  }: { rewrites: Rewrite[]; builds: Build[]; command: string; messages: string[] },
): Scan[] {
  const by = (list: { relation: ObjectKey }[], wanted: ObjectKey) =>
    list.filter(({ relation }) => relation === wanted).length;
  return reads
    .filter(({ relation, scans }) => by(rewrites, relation) === 0 && scans > by(builds, relation))
    .map(({ relation }) => ({ ...certain(relation), reason: scanReason(command, messages) }));
}

function scanReason(command: string, messages: string[]): ScanReason {
  if (QUERIES.has(command)) return 'query';
  return messages.some((message) => message.startsWith('validating foreign key'))
    ? 'foreign key'
    : 'traced';
}

const QUERIES = new Set(['select', 'insert', 'update', 'delete', 'merge', 'with', 'copy', 'table']);

/** A relation as it was before the trace; under its id it is found again when it is renamed or gone. */
interface KnownRelation {
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
