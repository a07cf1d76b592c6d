import { quoteLiteral } from '../../sql/quote.ts';
import { type ColumnChange, constraintSql, createIndexSql, incomingSql } from './definitions.ts';
import type { ColumnFacts, ConstraintFacts, IncomingKey, IndexFacts, TableFacts } from './facts.ts';

/** What hangs on one column of a table. */
export interface ColumnParts {
  primaryKey: IndexFacts | undefined;
  /** Unique constraints, by their indexes. */
  unique: IndexFacts[];
  /** Indexes of their own. */
  indexes: IndexFacts[];
  checks: ConstraintFacts[];
  /** Foreign keys of this table that the column is a part of. */
  foreignKeys: ConstraintFacts[];
  /** Foreign keys that refer to it. */
  incoming: IncomingKey[];
  exclusions: ConstraintFacts[];
}

export function partsOf(table: TableFacts, { name }: ColumnFacts): ColumnParts {
  const indexes = table.indexes.filter(({ columns }) => columns.includes(name));
  const constraints = table.constraints.filter(({ columns }) => columns.includes(name));
  const ofKind = (kind: ConstraintFacts['kind']) => constraints.filter((one) => one.kind === kind);
  return {
    primaryKey: indexes.find(({ constraint }) => constraint?.kind === 'primary key'),
    unique: indexes.filter(({ constraint }) => constraint?.kind === 'unique'),
    indexes: indexes.filter(({ constraint }) => constraint === undefined),
    checks: ofKind('check'),
    foreignKeys: ofKind('foreign key'),
    exclusions: ofKind('exclusion'),
    incoming: table.incoming.filter(({ referencedColumns }) => referencedColumns.includes(name)),
  };
}

/** A comment as SQL; nothing where there is none. */
export function commentSql(on: string, comment: string | undefined): string[] {
  return comment === undefined ? [] : [`comment on ${on} is ${plainLiteral(comment)}`];
}

/** Without the `E` that only a few texts need. */
function plainLiteral(text: string): string {
  return /[\\\n]/.test(text) ? quoteLiteral(text) : `'${text.replaceAll("'", "''")}'`;
}

/** What `alter table` and `grant` say of a column besides its type, its default and whether it may be null. */
export function columnExtrasSql(table: TableFacts, column: ColumnFacts, as = column.sql): string[] {
  return [
    ...column.settings.map((setting) => `alter table ${table.sql} alter column ${as} ${setting}`),
    ...commentSql(`column ${table.sql}.${as}`, column.comment),
    ...column.grants.map((grant) =>
      grant.replace('($)', `(${as})`).replace(' on @ ', ` on ${table.sql} `),
    ),
  ];
}

/**
 * Forbids null in a column again. From PostgreSQL 18 on that is a constraint with a name, which a renamed
 * column or table keeps from before.
 */
export function restoreNotNullSql({ constraints, ...table }: TableFacts, column: ColumnFacts) {
  if (!column.isNotNull) return [];
  const alter = `alter table ${table.sql}`;
  const own = constraints.find(
    ({ kind, columns }) => kind === 'not null' && columns.join() === column.name,
  );
  const usual = `${table.name}_${column.name}_not_null`;
  if (!own || (own.name === usual && own.isValidated)) {
    return [`${alter} alter column ${column.sql} set not null`];
  }
  const notValid = own.isValidated ? '' : ' not valid';
  return [`${alter} add constraint ${own.sql} ${constraintSql(own)}${notValid}`];
}

/** What follows a unique constraint's columns and is no part of its index. */
export function deferrability({ definition }: ConstraintFacts): string {
  const found = / (?:NOT )?DEFERRABLE.*$/.exec(definition.replace(/ NOT VALID$/, ''));
  return found ? found[0].toLowerCase() : '';
}

/**
 * Makes again what hung on a column, in one transaction: for a down script, on a table that was
 * checked to be small.
 */
export function restorePartsSql(table: TableFacts, parts: ColumnParts): string[] {
  const { primaryKey, unique, indexes, checks, foreignKeys, incoming } = parts;
  const alter = `alter table ${table.sql}`;
  const keys = [...(primaryKey ? [primaryKey] : []), ...unique];
  return [
    ...keys.flatMap((index) => {
      const { constraint } = index;
      if (!constraint) return [];
      const kind = constraint.kind;
      return [
        createIndexSql(index, table, { name: index.sql, concurrently: false }),
        `${alter} add constraint ${constraint.sql} ${kind} using index ${index.sql}${deferrability(constraint)}`,
        ...commentSql(`constraint ${constraint.sql} on ${table.sql}`, constraint.comment),
        ...commentSql(`index ${table.qualifier}${index.sql}`, index.comment),
      ];
    }),
    ...indexes.flatMap((index) => [
      createIndexSql(index, table, { name: index.sql, concurrently: false }),
      ...commentSql(`index ${table.qualifier}${index.sql}`, index.comment),
    ]),
    ...[...checks, ...foreignKeys].flatMap((constraint) => [
      `${alter} add constraint ${constraint.sql} ${constraintSql(constraint)}${constraint.isValidated ? '' : ' not valid'}`,
      ...commentSql(`constraint ${constraint.sql} on ${table.sql}`, constraint.comment),
    ]),
    ...incoming.flatMap((key) => addIncomingSql(key, key.sql)),
  ];
}

/** A foreign key that refers to a column of the table, or to another one that stands in for it. */
export function addIncomingSql(
  key: IncomingKey,
  name: string,
  { change, notValid = false }: { change?: ColumnChange; notValid?: boolean } = {},
): string[] {
  return [
    `alter table ${key.table} add constraint ${name} ${incomingSql(key.definition, change)}${notValid || key.definition.endsWith(' NOT VALID') ? ' not valid' : ''}`,
    ...commentSql(`constraint ${name} on ${key.table}`, key.comment),
  ];
}

/**
 * Gives a new column the default, the identity or the sequence of the one that is gone.
 *
 * @param given the default, where it is not that of the column
 */
export function takeOverDefaultSql(
  table: TableFacts,
  column: ColumnFacts,
  to: string,
  given = column.default,
): string[] {
  const alter = `alter table ${table.sql} alter column ${to}`;
  const { identity, sequence } = column;
  if (identity && sequence) {
    const options = [`sequence name ${sequence.sql}`, sequence.options].filter(Boolean).join(' ');
    return [
      `${alter} add generated ${identity} as identity (${options})`,
      `select setval(${plainLiteral(sequence.sql)}, current_setting('evdb.next_value')::bigint, false)`,
    ];
  }
  return given === undefined ? [] : [`${alter} set default ${given}`];
}

/** Notes where an identity goes on, or parts a sequence from the column that goes away. */
export function keepSequenceSql(table: TableFacts, column: ColumnFacts, to: string): string[] {
  const { identity, sequence } = column;
  if (!sequence) return [];
  if (!identity) return [`alter sequence ${sequence.sql} owned by ${table.sql}.${to}`];
  const step = /increment by (-?\d+)/.exec(sequence.options)?.[1] ?? '1';
  return [
    `-- Where the numbers go on.
select set_config('evdb.next_value', (last_value + case when is_called then ${step} else 0 end)::text, true)
from ${sequence.sql}`,
  ];
}

/** A down script that works under a lock on the table is for a small one. */
export function smallTableGate(table: TableFacts): string {
  return `require select pg_relation_size(${plainLiteral(table.sql)}) < pg_size_bytes('100 MB')`;
}
