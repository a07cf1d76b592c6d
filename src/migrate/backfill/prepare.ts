import { codeOf, isConnectionLoss } from '../../connection/connection-error.ts';
import type { Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import type { SqlParser } from '../../sql/parser.ts';
import { locate } from '../../sql/position.ts';
import type { Statement } from '../../sql/statements.ts';
import { writtenOffset } from '../../sql/variables.ts';
import { commandLine } from '../../text/command-line.ts';
import { renderCount } from '../../text/units.ts';
import { ScriptError, statementError } from '../files/script-error.ts';
import type { Script } from '../files/source.ts';
import {
  type BackfillPlace,
  type BackfillRow,
  doneUpTo,
  readBackfillSql,
} from '../ledger/backfill.ts';
import { BACKFILL_MARK, statementChecksum } from '../ledger/journal.ts';
import type { LedgerRow } from '../ledger/ledger.ts';
import { type Backfill, readBackfill } from './statement.ts';

/** A statement that is ready to run in batches. */
export interface PreparedBackfill extends Backfill {
  /** What the journal knows it by. */
  checksum: string;
  /** Whether it stopped half way and goes on. */
  isResumed: boolean;
}

/** What keeps a script from running in batches, at a place of the script. */
export interface BackfillScriptProblem {
  code: 'BACKFILL_REFUSED';
  severity: 'error';
  message: string;
  line: number;
  column: number;
  hint?: string;
}

/** Checks the script of a backfill without a server. */
export function checkBackfill(
  script: Script,
  statements: Statement[],
  parser: SqlParser,
): BackfillScriptProblem[] {
  const read = readStatement(script, statements, parser);
  return 'problem' in read ? [read.problem] : [];
}

function readStatement(
  { directives, text, large }: Script,
  statements: Statement[],
  parser: SqlParser,
): { backfill: Backfill } | { problem: BackfillScriptProblem } {
  const { backfill: directive } = directives;
  const [statement, second] = statements;
  if (!directive || !statement || second || large) {
    const { line, column } = second ?? { line: 1, column: 1 };
    return {
      problem: {
        ...PROBLEM,
        message: large
          ? 'the file of a backfill is too large'
          : 'a backfill holds one statement, which runs in batches',
        hint: 'Move the other statements into separate migrations.',
        ...{ line, column },
      },
    };
  }
  const read = readBackfill(directive, statement, parser);
  if ('backfill' in read) return read;
  const { offset, ...problem } = read.problem;
  const place = locate(text, statement.start + writtenOffset(statement, offset));
  return { problem: { ...PROBLEM, ...problem, ...place } };
}

const PROBLEM = { code: 'BACKFILL_REFUSED', severity: 'error' } as const;

/**
 * Makes ready what `checkBackfill` has found good.
 *
 * @param row of the ledger, where the script stopped half way in this direction
 * @throws {ScriptError} CHANGED_MIGRATION where it is another statement than the one that stopped
 */
export async function prepareBackfill(
  script: Script,
  statements: Statement[],
  about: {
    parser: SqlParser;
    session: Session;
    place: BackfillPlace;
    name: string;
    row: LedgerRow | undefined;
  },
): Promise<PreparedBackfill> {
  const { parser, session, place, name, row } = about;
  const read = readStatement(script, statements, parser);
  if ('problem' in read) {
    const { code, message, hint, ...at } = read.problem;
    throw new ScriptError(code, message, { script, ...at }, { hint });
  }
  const { backfill } = read;
  const checksum = BACKFILL_MARK + statementChecksum(script, backfill.statement);
  if (row && row.statementChecksums[0] !== checksum) {
    const [known] = (await session.run(readBackfillSql(place)).catch(() => [])) as unknown[];
    throw changed(script, backfill, name, known as BackfillRow | undefined);
  }
  return { ...backfill, checksum, isResumed: row !== undefined };
}

/** Another runner, with another build's file, may be at work: whoever sees this waits for the lock. */
function changed(
  script: Script,
  { statement: { line, column } }: Backfill,
  name: string,
  known: BackfillRow | undefined,
): ScriptError {
  const error = new ScriptError(
    'CHANGED_MIGRATION',
    `${name} stopped halfway, and its statement has changed since${known ? `; ${describeDone(known)}` : ''}`,
    { script, line, column },
    {
      hint: `Put its old text back: \`${commandLine('migrate up')}\` then continues it. If the text was wrong, \`${commandLine('migrate down')}\` rolls the migration back with its down script.`,
    },
  );
  const { rowsChanged, batches } = known ?? {};
  const cursor = known && doneUpTo(known);
  Object.assign(error.details, { isInterrupted: true, rowsChanged, batches, cursor });
  return error;
}

/** Such as `12000 rows of public.events are changed, up to id = 40000`. */
export function describeDone(row: BackfillRow): string {
  const { rowsChanged, tableName, keyColumns } = row;
  const cursor = doneUpTo(row);
  const upTo =
    cursor === null
      ? ''
      : `, up to ${keyColumns.map((column, index) => `${column} = ${cursor[index]}`).join(', ')}`;
  return `${renderCount(rowsChanged, 'row')} of ${tableName} ${rowsChanged === 1 ? 'is' : 'are'} changed${upTo}`;
}

/** Gives what refuses the statement its place in the script. */
export async function withPlaceOf<T>(
  { script, backfill }: { script: Script; backfill: Backfill },
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { line, column } = backfill.statement;
    if (!(error instanceof EvdbError)) {
      const isRefused = codeOf(error) !== undefined && !isConnectionLoss(error);
      // A place in what evdb asked is none of the file.
      const unplaced = Object.assign(error as Error, { position: undefined });
      throw isRefused ? statementError(unplaced, script, backfill.statement) : error;
    }
    if (error.code !== 'BACKFILL_REFUSED') throw error;
    const { code, message, hint } = error;
    throw new ScriptError(code, message, { script, line, column }, { hint });
  }
}
