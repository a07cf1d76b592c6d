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
