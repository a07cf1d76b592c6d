import { isConnectionLoss } from '../../connection/connection-error.ts';
import { classifyStatement } from '../../sql/kind.ts';
import { loadParser } from '../../sql/parser.ts';
import type { Statement } from '../../sql/statements.ts';
import { commandLine } from '../../text/command-line.ts';
import { type ApplyContext, stepName } from '../apply-context.ts';
import { fullName } from '../plan.ts';
import type { Step } from '../prepare.ts';
import { insertHistorySql } from '../record.ts';
import { ScriptError, statementError } from '../script-error.ts';
import { type Running, settleStarted } from './alone.ts';
import { reopenJournalSql, replaceScriptSql, statementChecksum } from './journal.ts';
import type { ResumePoint } from './resume-point.ts';
import { refuseTemporaryObjects, settingsOf } from './session-state.ts';

/**
 * Takes a script up again that stopped half way: makes the settings of its session again, finds
 * out what became of the statement that was under way, and writes down that it goes on.
 *
 * @returns the index of the first statement to run
 * @throws {ScriptError} INCOMPLETE_MIGRATION where it cannot be known what became of that statement
 */
export async function takeUp(step: Step, resume: ResumePoint, running: Running): Promise<number> {
  const { statementsDone, isNextStarted } = resume;
  const parser = await loadParser();
  const done = step.statements.slice(0, statementsDone);
  refuseTemporaryObjects(step, done, parser);
  for (const statement of settingsOf(done, parser)) await makeAgain(statement, step, running);
  const next = step.statements[statementsDone];
  const wasDone = isNextStarted && next ? await settle(next, step, running) : undefined;
  const from = wasDone ? statementsDone + 1 : statementsDone;
  await recordResumption(step, from, running.context);
  running.context.onProgress({
    kind: 'resumed',
    step: stepName(step),
    statementsDone: from,
    statementsTotal: step.statements.length,
  });
  return from;
}

async function makeAgain(statement: Statement, step: Step, { context }: Running): Promise<void> {
  try {
    await context.worker.run(statement.text);
  } catch (error) {
    throw isConnectionLoss(error) ? error : statementError(error, step.script, statement);
  }
}

async function settle(statement: Statement, step: Step, running: Running): Promise<boolean> {
  const isDone = await settleStarted(statement, step, running);
  if (isDone === undefined) throw undecided(statement, step);
  return isDone;
}

function undecided(statement: Statement, step: Step): ScriptError {
  const { index, line, column, command } = statement;
  const { label } = classifyStatement(statement);
  const repair = (as: string) => commandLine('migrate repair', { as }, { args: [step.label] });
  const total = step.statements.length;
  const error = new ScriptError(
    'INCOMPLETE_MIGRATION',
    `${fullName(step)} stopped in its statement ${index + 1} of ${total} (${label}), and whether that was done cannot be known`,
    { script: step.script, line, column },
    {
      hint: `${whyUndecided(command)} Look at the database. Where it is done: \`${repair('done')}\`; where it has to run again: \`${repair('not-done')}\`; or take the migration back: \`${commandLine('migrate down')}\`.`,
    },
  );
  const { version } = step;
  const where = { statement: index + 1, statementsDone: index, statementsTotal: total };
  Object.assign(error.details, { version, ...where });
  return error;
}

function whyUndecided(command: string): string {
  if (command === 'call' || command === 'do')
    return 'It commits on its own, so a part of it may be there.';
  if (command === 'create index')
    return 'The index is there, but the server did not say whether it is the same one.';
  return 'It ran outside of any transaction, and leaves nothing in the catalog that would tell.';
}

async function recordResumption(step: Step, from: number, context: ApplyContext): Promise<void> {
  const { observer, key, provenance } = context;
  const { version, label, name, script, entry, statements, direction } = step;
  const checksums = statements.map((statement) => statementChecksum(script, statement));
  const next = statements[from];
  const where = next
    ? `at statement ${from + 1} of ${statements.length}: ${classifyStatement(next).label}`
    : 'behind its last statement';
  const history = insertHistorySql(
    key,
    {
      action: 'resumed',
      ...{ version, label, name, checksum: script.checksum },
      detail: `${direction}, ${where}`,
    },
    provenance,
  );
  // Written twice it says the same.
  await observer.record(
    `begin; ${entry ? replaceScriptSql(key, entry) : ''} ${reopenJournalSql(key, version, checksums)} ${history} commit;`,
    'false',
  );
}
