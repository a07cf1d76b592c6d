import type { Asked } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { commandLine } from '../../text/command-line.ts';
import { finishStatementSql, forgetStartedSql } from '../ledger/journal.ts';
import type { LedgerRow } from '../ledger/ledger.ts';
import { insertHistorySql } from '../ledger/record.ts';
import { fullName } from '../plan/plan.ts';
import type { ApplyContext } from './context.ts';

/** What somebody who has looked says of a statement that was interrupted. */
export type Verdict = 'done' | 'not-done';

/**
 * Settles what evdb could not find out: whether the statement in which a no-transaction migration
 * was interrupted is done. The next `up`, or `down` where it was being taken back, goes on behind
 * it, or runs it again.
 *
 * @param context of a runner, which holds the lock (`withRunner`)
 * @param row of the interrupted migration, as read under that lock
 * @param reason kept in the history
 * @returns the number of the statement, from 1
 * @throws {EvdbError} USAGE where no statement of it is in doubt
 * @example
 * await withRunner(session, options, (context, rows) =>
 *   resolveInterrupted(context, rowOf(rows, '7'), { as: 'done', reason: 'looked at the table' }));
 */
export async function resolveInterrupted(
  { observer, key, provenance }: Pick<ApplyContext, 'key' | 'provenance'> & { observer: Asked },
  row: LedgerRow,
  { as, reason }: { as: Verdict; reason?: string | undefined },
): Promise<number> {
  const { version, label, name, checksum, statementStarted } = row;
  if (statementStarted === null) throw nothingInDoubt(row);
  const statement = { index: statementStarted - 1 };
  const sql = as === 'done' ? finishStatementSql : forgetStartedSql;
  const said = `statement ${statementStarted} of ${row.statementsTotal} is ${as === 'done' ? 'done' : 'not done'}`;
  const history = insertHistorySql(
    key,
    {
      action: 'repaired',
      ...{ version, label, name, checksum },
      detail: reason === undefined ? said : `${said}: ${reason}`,
    },
    provenance,
  );
  await observer.run(`begin; ${sql(key, version, statement)} ${history} commit;`);
  return statementStarted;
}

/** For a verdict on a migration of which no statement is in doubt. */
export function nothingInDoubt(row: LedgerRow): EvdbError {
  const isWhole = row.state === 'applied';
  return new EvdbError(
    'USAGE',
    `${fullName(row)} ${isWhole ? 'is applied whole' : 'stopped half way, but between two statements'}: none of them is in doubt`,
    {
      hint: isWhole
        ? 'There is nothing to settle.'
        : `Run \`${commandLine(row.state === 'reverting' ? 'migrate down' : 'migrate up')}\`: it goes on from there.`,
      details: { version: row.version, state: row.state },
    },
  );
}
