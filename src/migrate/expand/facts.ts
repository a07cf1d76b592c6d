import { EvdbError } from '../../errors.ts';

/*
 * What a recipe has to know of a table. Names and definitions are SQL text as a migration writes them:
 * quoted where that is needed, without the schema that the migrations belong to.
 */

export interface ColumnFacts {
  /** As the catalogs have it. */
  name: string;
  /** As SQL writes it. */
  sql: string;
  type: string;
  /** What stands behind the type: `collate "C"`; '' for nothing. */
  collation: string;
  isNotNull: boolean;
  default: string | undefined;
  /** Whether the default is the same value for every row. */
  isDefaultConstant: boolean;
  generated: boolean;
  identity: 'always' | 'by default' | undefined;
  /** The sequence that goes away with it, and what differs from a plain one. */
  sequence: { sql: string; type: string; options: string } | undefined;
  comment: string | undefined;
  /** Such as `grant select (location) on events to app`, with `$` for the column. */
  grants: string[];
  /** Such as `set statistics 500`. */
  settings: string[];
}

export interface IndexFacts {
  name: string;
  sql: string;
  /** `CREATE INDEX …` as PostgreSQL writes it. */
  definition: string;
  columns: string[];
  isUnique: boolean;
  comment: string | undefined;
  /** The constraint that it belongs to. */
  constraint: ConstraintFacts | undefined;
  isReplicaIdentity: boolean;
}

export interface ConstraintFacts {
  name: string;
  sql: string;
  kind: 'primary key' | 'unique' | 'check' | 'foreign key' | 'exclusion' | 'not null';
  definition: string;
  columns: string[];
  isValidated: boolean;
  comment: string | undefined;
}

/** A foreign key of another table, or of the same one, that refers to columns of this one. */
export interface IncomingKey {
  name: string;
  sql: string;
  /** The table that has it. */
  table: string;
  definition: string;
  referencedColumns: string[];
  isValidated: boolean;
  comment: string | undefined;
}

export interface TableFacts {
  name: string;
  /** As a migration writes it: `events`, or `other.events`. */
  sql: string;
  /** What stands before the name of its indexes: `other.`, or nothing in the schema of the migrations. */
  qualifier: string;
  columns: ColumnFacts[];
  indexes: IndexFacts[];
  constraints: ConstraintFacts[];
  incoming: IncomingKey[];
  /** Why it cannot be changed step by step, such as that it is partitioned. */
  obstacle: string | undefined;
  /** What uses a column and nothing here writes again: `view open_events`. */
  users: { column: string; what: string }[];
  /** Functions whose text has the name of a column, where it seems to be the one of this table. */
  mentions: { column: string; what: string }[];
  /** Triggers that fire for each changed row, by when. */
  triggers: { name: string; isBefore: boolean }[];
  /** The columns by which a backfill walks; empty for the primary key, undefined where there is no key. */
  walk: string[] | undefined;
  /** Names that are taken: by relations of its schema, and by functions of that of the migrations. */
  taken: Set<string>;
  /** As in server_version_num. */
  serverVersion: number;
}

/** @throws {EvdbError} EXPAND_REFUSED where the table has no such column */
export function columnNamed({ columns, sql }: TableFacts, name: string): ColumnFacts {
  const found = columns.find((column) => column.name === name);
  if (found) return found;
  throw new EvdbError('EXPAND_REFUSED', `table ${sql} has no column ${name}`, {
    hint: `It has: ${columns.map((column) => column.sql).join(', ')}.`,
  });
}
