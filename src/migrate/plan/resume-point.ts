import { EvdbError } from '../../errors.ts';
import type { Statement } from '../../sql/statements.ts';
import { commandLine } from '../../text/command-line.ts';
import { ScriptError } from '../files/script-error.ts';
import type { Script } from '../files/source.ts';
import { statementChecksum } from '../ledger/journal.ts';
import type { MigrationDirection } from '../progress.ts';
import { isBackfillRow, type MigrationStatus } from './compare.ts';
import { fullName } from './plan.ts';

/** Where a no-transaction script that stopped halfway continues. */
export interface ResumePoint {
  /** So many statements are committed; the next one has this index. */
  statementsDone: number;
  /** Whether the next one was begun, so that it may be done, or half done. */
  isNextStarted: boolean;
}

/**
 * Finds where the script of a migration goes on, undefined where it starts from its beginning.
 *
 * @throws {EvdbError} INCOMPLETE_MIGRATION where it may not go on
 * @throws {ScriptError} CHANGED_MIGRATION at a statement that ran and is a different one now
 */
export function readResumePoint(
  { direction, status }: { direction: MigrationDirection; status: MigrationStatus },
  script: Script,
  statements: Statement[],
): ResumePoint | undefined {
  const { row } = status;
  if (row?.state !== (direction === 'up' ? 'applying' : 'reverting')) return undefined;
  const { statementsDone, statementStarted, statementChecksums: known } = row;
  if (known.length === 0) throw withoutJournal(status);
  if (isBackfillRow(row)) throw interrupted(noLongerBackfill(script, status));
  if (!script.directives.noTransaction)
    throw interrupted(noLongerWithoutTransaction(script, status));
  const begun = statementStarted ?? statementsDone;
  for (let index = 0; index < begun; index++) {
    const statement = statements[index];
    const isSame = statement && statementChecksum(script, statement) === known[index];
    if (isSame) continue;
    throw interrupted(changedStatement(script, status, { statement, index, statementsDone }));
  }
  return { statementsDone, isNextStarted: statementStarted !== null };
}

/** Another runner, with another build's file, may be at work: whoever sees this waits for the lock. */
function interrupted(error: ScriptError): ScriptError {
  Object.assign(error.details, { isInterrupted: true });
  return error;
}

function changedStatement(
  script: Script,
  status: MigrationStatus,
  at: { statement: Statement | undefined; index: number; statementsDone: number },
): ScriptError {
  const what = at.statement ? 'is a different one now' : 'is no longer in the file';
  const when = at.index < at.statementsDone ? 'ran' : 'was begun';
  const { line = 1, column = 1 } = at.statement ?? {};
  return new ScriptError(
    'CHANGED_MIGRATION',
    `statement ${at.index + 1} of ${fullName(status)} ${what}, after it ${when}`,
    { script, line, column },
    {
      hint:
        at.index < at.statementsDone
          ? `Put its old text back: what has run cannot be changed, only what comes after it. Where that is not possible, \`${commandLine('migrate down')}\` rolls the migration back with its down script.`
          : `Put its old text back, so that evdb can find out whether it is done; or settle that first: ${commandLine('migrate repair', { as: 'not-done' }, { args: [status.label] })}`,
    },
  );
}

/** Its rows up to the cursor would be changed twice. */
function noLongerBackfill(script: Script, status: MigrationStatus): ScriptError {
  return new ScriptError(
    'CHANGED_MIGRATION',
    `${fullName(status)} stopped halfway as a backfill, and its file no longer says that it is one`,
    { script, line: 1, column: 1 },
    { hint: 'Put the line `-- evdb: backfill …` back that it began with.' },
  );
}

function noLongerWithoutTransaction(script: Script, status: MigrationStatus): ScriptError {
  return new ScriptError(
    'CHANGED_MIGRATION',
    `${fullName(status)} stopped half way, and now no longer says that it runs without a transaction`,
    { script, line: 1, column: 1 },
    { hint: 'Put the line back that it began with: -- evdb: no-transaction' },
  );
}

function withoutJournal(status: MigrationStatus): EvdbError {
  return new EvdbError(
    'INCOMPLETE_MIGRATION',
    `${fullName(status)} stopped half way with an older evdb, which did not write down what had run`,
    {
      hint: `Roll it back with \`${commandLine('migrate down')}\`, which runs its down script, and apply it again with \`${commandLine('migrate up')}\`.`,
      details: { version: status.version },
    },
  );
}
