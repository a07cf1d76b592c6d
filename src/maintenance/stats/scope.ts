import type { Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { quoteLiteral } from '../../sql/quote.ts';
import type { Precision } from './exclusive-locks.ts';

export interface StatsOptions {
  /** Only what is in this schema; default: every schema that is not PostgreSQL's own. */
  schema?: string | undefined;
  /** Default `exact`; what is locked is estimated in any case, and marked. */
  precision?: Precision | undefined;
}

/**
 * The condition that keeps a query to what was asked about.
 *
 * @param namespace the alias of pg_namespace in the query
 */
export function renderScope(namespace: string, { schema }: StatsOptions): string {
  return schema === undefined
    ? `${namespace}.nspname !~ '^pg_' and ${namespace}.nspname <> 'information_schema'`
    : `${namespace}.nspname = ${quoteLiteral(schema)}`;
}

/**
 * Refuses a schema that does not exist: an empty report on it would look like good news.
 *
 * @throws {EvdbError} USAGE
 */
export async function requireSchema(session: Session, { schema }: StatsOptions): Promise<void> {
  if (schema === undefined) return;
  const [row] = await session.run(
    `select exists (select from pg_catalog.pg_namespace n where n.nspname = ${quoteLiteral(schema)}) as "isThere"`,
  );
  if (row?.isThere === true) return;
  throw new EvdbError(
    'USAGE',
    `schema "${schema}" does not exist in database "${session.options.database}"`,
    {
      hint: 'Check the spelling; upper and lower case count.',
      details: { schema },
    },
  );
}
