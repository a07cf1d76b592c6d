import { PROTO_COLUMN, type StatementResult } from '../connection/driver.ts';
import { EvdbError } from '../errors.ts';
import type { StatementFacts } from './statement-cache.ts';

/** A borrowed connection; of no use once it was returned. */
export interface PoolConnection extends Queryable {
  /**
   * Runs a tagged template, whose values become parameters, and resolves to the rows.
   *
   * @example const [user] = await connection.sql<User>`select * from users where id = ${id}`;
   */
  sql<T = Row>(strings: TemplateStringsArray, ...values: unknown[]): Promise<T[]>;
}

/** Gives a way of running statements the tagged template beside it. */
export function withTemplate(query: Queryable['query']): PoolConnection {
  return {
    query,
    sql: async <T = Row>(strings: TemplateStringsArray, ...values: unknown[]) => {
      const { text, params } = planStatement(strings, ...values);
      return (await query<T>(text, params)).rows;
    },
  };
}

/** Makes a property of it like all others. */
function giveProto(row: unknown): void {
  const values = row as Record<string, unknown>;
  const value = values[PROTO_COLUMN];
  delete values[PROTO_COLUMN];
  const property = { value, configurable: true, enumerable: true, writable: true };
  Object.defineProperty(values, '__proto__', property);
}

/**
 * Leaves behind what only the driver needs, such as the key that cancels statements. A text gives the
 * same columns nearly each time, which all its results share.
 */
export function toQueryResult<T>(result: StatementResult, facts: StatementFacts): QueryResult<T> {
  const { columns, command, count } = result;
  // `slice` would ask the driver's class for its species, which costs more than the copy.
  const rows = new Array<T>(result.length);
  for (let i = 0; i < rows.length; i++) rows[i] = result[i] as T;
  let { fields } = facts;
  if (!fields || !isSame(fields, columns)) {
    fields = fieldsOf(columns ?? []);
    facts.fields = fields;
    if (fields.some(({ name }) => name === '__proto__')) rows.forEach(giveProto);
  }
  return { rows, rowCount: count ?? rows.length, command: command ?? '', fields };
}

/** False for those that have a column named `__proto__`, which the driver calls otherwise. */
function isSame(
  fields: readonly Field[],
  columns: StatementResult['columns'] | undefined,
): boolean {
  if (fields.length !== (columns?.length ?? 0)) return false;
  for (let i = 0; i < fields.length; i++) {
    const field = fields[i];
    const column = columns?.[i];
    if (field?.name !== column?.name || field?.dataTypeID !== column?.type) return false;
  }
  return true;
}

function fieldsOf(columns: StatementResult['columns']): readonly Field[] {
  return Object.freeze(
    columns.map(({ name, type }) =>
      Object.freeze({ name: name === PROTO_COLUMN ? '__proto__' : name, dataTypeID: type }),
    ),
  );
}

export function returned(what: 'connection' | 'transaction'): EvdbError {
  return new EvdbError(
    'CONNECTION_RETURNED',
    `this ${what} is over: its connection went back to the pool`,
    {
      hint: 'Await every query inside the callback, and do not keep what it was given.',
    },
  );
}

export function controlledByHand(where: string): EvdbError {
  return new EvdbError('TRANSACTION_CONTROL', `${where} begins or ends a transaction by hand`, {
    hint: 'Use pool.withTransaction, and transaction.savepoint inside it.',
  });
}

/** A tagged template as a statement: each value becomes a parameter, never text. */
interface Statement {
  text: string;
  params: unknown[];
}

const texts = new WeakMap<TemplateStringsArray, string>();

/**
 * Turns a tagged template into a statement with parameters.
 *
 * @throws {EvdbError} USAGE where it is not called as a template
 * @example planStatement`select * from users where id = ${7}` // text 'select … id = $1', params [7]
 */
export function planStatement(strings: TemplateStringsArray, ...params: unknown[]): Statement {
  if (!Array.isArray(strings?.raw)) {
    throw new EvdbError('USAGE', 'sql was called like a function', {
      hint: 'Write it as a template, sql`select …`, or use query(text, params).',
    });
  }
  const known = texts.get(strings);
  if (known !== undefined) return { text: known, params };
  const text = strings.reduce((before, after, index) => `${before}$${index}${after}`);
  texts.set(strings, text);
  return { text, params };
}

/** One row, its values by column name. */
export type Row = Record<string, unknown>;

export interface Field {
  name: string;
  /** Oid of the type, as in pg_type. */
  dataTypeID: number;
}

/** What one statement gave. */
export interface QueryResult<T = Row> {
  rows: T[];
  /** Rows that were returned or changed; 0 for statements that do neither. */
  rowCount: number;
  /** The server's word for the statement, such as `SELECT` or `INSERT`. */
  command: string;
  readonly fields: readonly Field[];
}

/** Whatever runs a single statement: a pool, a borrowed connection or a transaction. */
export interface Queryable {
  query<T = Row>(text: string, params?: readonly unknown[]): Promise<QueryResult<T>>;
}
