import type { ConnectionOptions } from '../connection/options.ts';
import { openSession, type Session } from '../connection/session.ts';
import { quoteIdent, quoteLiteral } from '../sql/quote.ts';

/**
 * Makes the roles of a server on the embedded one, so that migrations can grant something to them.
 * They may not log in, and stay: they belong to no database.
 */
export async function copyRoles(
  from: ConnectionOptions,
  scratch: Session,
  signal: AbortSignal | undefined,
): Promise<void> {
  const target = await openSession(from, { signal });
  try {
    const rows = await target.run(
      `select rolname::text as "name" from pg_catalog.pg_roles where rolname !~ '^pg_' order by 1`,
    );
    for (const { name } of rows) await ensureRole(scratch, String(name));
  } finally {
    await target.close();
  }
}

async function ensureRole(scratch: Session, name: string): Promise<void> {
  const known = await scratch.run(
    `select from pg_catalog.pg_roles where rolname = ${quoteLiteral(name)}`,
  );
  if (known.length === 0) await scratch.run(`create role ${quoteIdent(name)} nologin`);
}
