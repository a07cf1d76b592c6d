import { EvdbError } from '../errors.ts';

/** One row, its values by column name. */
export type ResultRow = Record<string, unknown>;

/** A column of a result. */
export interface ResultField {
  name: string;
  /** Oid of the type, as in pg_type. */
  dataTypeID: number;
  /** What the type was narrowed by, such as the length of a varchar, as in pg_attribute; -1 for nothing. */
  dataTypeModifier: number;
}

/** The result of one statement. */
export interface QueryResult<T = ResultRow> {
  rows: T[];
  /** Rows that were returned or changed; 0 for statements that do neither. */
  rowCount: number;
  /** The server's word for the statement, such as `SELECT` or `INSERT`. */
  command: string;
  readonly fields: readonly ResultField[];
}

/** Anything that runs a single statement: a pool, one of its connections or a transaction. */
export interface Queryable {
  query<T = ResultRow>(text: string, params?: readonly unknown[]): Promise<QueryResult<T>>;
}

/** A connection that a callback holds; unusable once it was returned. */
export interface PoolConnection extends Queryable {
  /**
   * Runs a tagged template, whose values become parameters, and resolves to the rows.
   *
   * @example const [user] = await connection.sql<User>`select * from users where id = ${id}`;
   */
  sql<T = ResultRow>(strings: TemplateStringsArray, ...values: unknown[]): Promise<T[]>;
}

/** Gives a way of running statements the tagged template beside it. */
export function withTemplate(query: Queryable['query']): PoolConnection {
  return {
    query,
    sql: async <T = ResultRow>(strings: TemplateStringsArray, ...values: unknown[]) => {
      const { text, params } = planStatement(strings, ...values);
      return (await query<T>(text, params)).rows;
    },
  };
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
