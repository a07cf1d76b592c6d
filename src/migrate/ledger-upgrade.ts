import { codeOf } from '../connection/connection-error.ts';
import { withLockRetries } from '../connection/retry.ts';
import { describeUser, type Session } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import { upgradeLedgerSql } from './ledger-schema.ts';

/**
 * Brings a ledger of an older format up to date, in one transaction with short lock timeouts. The
 * caller holds the ledger's lock and has seen under it that the format is older.
 *
 * @throws {EvdbError} PERMISSION_DENIED with the statements that its owner has to run
 */
export async function upgradeLedger(
  session: Session,
  schema: string,
  signal?: AbortSignal,
): Promise<void> {
  const sql = upgradeLedgerSql(schema);
  try {
    await withLockRetries(({ lockTimeoutMs }) => attempt(session, sql, lockTimeoutMs), { signal });
  } catch (error) {
    throw codeOf(error) === '42501' ? denied(session, schema, error) : error;
  }
}

async function attempt(session: Session, sql: string, lockTimeoutMs: number): Promise<void> {
  try {
    await session.run(`begin; set local lock_timeout = ${lockTimeoutMs}; ${sql} commit;`);
  } catch (error) {
    if (!session.isClosed) await session.run('rollback').catch(() => undefined);
    throw error;
  }
}

function denied({ facts }: Session, schema: string, cause: unknown): EvdbError {
  return new EvdbError(
    'PERMISSION_DENIED',
    `the ledger in schema "${schema}" was made by an older evdb, and ${describeUser(facts)} may not bring it up to date`,
    {
      hint: `Let its owner run any command of this evdb that writes, or: begin; ${oneLine(upgradeLedgerSql(schema))} commit;`,
      cause,
    },
  );
}

function oneLine(sql: string): string {
  return sql.replaceAll(/\s+/g, ' ');
}
