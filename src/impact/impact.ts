import type { ObjectKey } from '../catalog/catalog.ts';

/** Table-level lock modes from the weakest to the strongest, as `pg_locks` spells them without `Lock`. */
export const LOCK_MODES = [
  'AccessShare',
  'RowShare',
  'RowExclusive',
  'ShareUpdateExclusive',
  'Share',
  'ShareRowExclusive',
  'Exclusive',
  'AccessExclusive',
] as const;

/** The mode of a table lock, as `pg_locks` spells it without `Lock`: `AccessExclusive`. */
export type LockMode = (typeof LOCK_MODES)[number];

/** Why a lock is taken on a relation other than the statement's own. */
export type LockReason =
  | 'target'
  | 'referenced table'
  | 'referencing table'
  | 'parent'
  | 'partition'
  | 'default partition'
  | 'index'
  | 'dependent'
  | 'sequence';

export interface LockTaken {
  relation: ObjectKey;
  mode: LockMode;
  reason: LockReason;
}

/** Why a table is rewritten. */
export type RewriteReason =
  | 'volatile default'
  | 'serial'
  | 'identity'
  | 'stored generated column'
  | 'constrained domain'
  | 'type change'
  | 'set expression'
  | 'set logged'
  | 'set tablespace'
  | 'set access method'
  | 'vacuum full'
  | 'cluster'
  | 'truncate'
  | 'refresh'
  | 'reindex'
  /** Seen on a server, by what is not known. */
  | 'traced';

/** Why every row is read while the lock is held. */
export type ScanReason =
  | 'set not null'
  | 'not null constraint'
  | 'not null of a new column'
  | 'check constraint'
  | 'check of a column whose type changes'
  | 'foreign key'
  | 'validate constraint'
  | 'primary key columns'
  | 'index build'
  | 'exclusion constraint'
  | 'attach partition'
  | 'default partition'
  | 'domain constraint'
  | 'query'
  /** Seen on a server, by what is not known. */
  | 'traced';

interface Touched<Reason> {
  relation: ObjectKey;
  reason: Reason;
  /** The column or constraint that it is about. */
  subject?: string;
  /** A sentence part for messages: `varchar(10) to varchar(5)`, `default gen_random_uuid()`. */
  detail?: string;
  /** False if it depends on what the catalog does not know. */
  isCertain: boolean;
  /** Index of the subcommand of an `alter table`, from 0. */
  command?: number;
  /** Its place, in UTF-16 units of the statement's text. */
  offset?: number;
}

export type Rewrite = Touched<RewriteReason>;
export type Scan = Touched<ScanReason>;

/** An index that is built while the statement's locks are held. */
export interface Build
  extends Touched<
    'create index' | 'unique' | 'primary key' | 'exclusion' | 'rewrite' | 'type change' | 'reindex'
  > {
  isConcurrent: boolean;
}

/** Why PostgreSQL certainly refuses a statement, or does not do what it asks for. */
export interface Refusal {
  /** Null if there is no error, and the requested object does not exist afterwards. */
  sqlstate: string | null;
  message: string;
  hint: string;
  relation?: ObjectKey;
  /** Its place, in UTF-16 units of the statement's text. */
  offset?: number;
  /** Whether it works outside of a transaction. */
  isOnlyInTransaction?: boolean;
}

/** Rows of a table that a statement changes. */
export interface Change {
  relation: ObjectKey;
  verb: 'insert' | 'update' | 'delete' | 'merge';
  /** Whether it surely is every row. */
  isAll: boolean;
}

/** What a statement does to the database while it runs, as far as others feel it. */
export interface Impact {
  /** Strongest first; the strongest mode on each relation. */
  locks: LockTaken[];
  rewrites: Rewrite[];
  scans: Scan[];
  builds: Build[];
  /** Not those of `truncate`. */
  changes: Change[];
  refusals: Refusal[];
  /** Why the analysis may be incomplete: dynamic SQL, a table that no migration makes. */
  unknowns: string[];
}

export function emptyImpact(): Impact {
  return {
    locks: [],
    rewrites: [],
    scans: [],
    builds: [],
    changes: [],
    refusals: [],
    unknowns: [],
  };
}

export function isStronger(a: LockMode, b: LockMode): boolean {
  return LOCK_MODES.indexOf(a) > LOCK_MODES.indexOf(b);
}

/** What others cannot do to a table while a lock is held on it; '' where nobody feels it. */
export function blockedBy(mode: LockMode): 'reads and writes' | 'writes' | 'schema changes' | '' {
  switch (mode) {
    case 'AccessExclusive':
      return 'reads and writes';
    case 'Exclusive':
    case 'ShareRowExclusive':
    case 'Share':
      return 'writes';
    case 'ShareUpdateExclusive':
      return 'schema changes';
    default:
      return '';
  }
}
