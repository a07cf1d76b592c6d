import type { Session } from '../../connection/session.ts';
import { locate } from '../../sql/position.ts';
import { lackingCharacter } from '../files/file-errors.ts';
import type { MigrationStep } from '../plan/prepare.ts';
import type { StepImpact } from './impact-plan.ts';

const ASCII = /^[\0-\x7f]*$/;

/**
 * Adds that the server refuses a script with a character that the encoding of its database lacks: in a
 * statement, or in a comment, which the ledger keeps too. The server is asked by the same conversion
 * that the script meets when it is sent.
 *
 * @param session not inside a transaction
 */
export async function addLackingCharacter(
  impact: StepImpact,
  { script, statements }: MigrationStep,
  session: Session,
): Promise<void> {
  if (script.large || ASCII.test(script.text)) return;
  const character = await findLacking(script.text, session);
  if (character === undefined) return;
  const done = impact.statementsDone;
  const at = statements.findIndex(({ text }, i) => i >= done && text.includes(character));
  const offset = statements[at]?.text.indexOf(character);
  const { line, column } = locate(script.text, script.text.indexOf(character));
  const where = `at line ${line}, column ${column}${offset === undefined ? ', which the ledger keeps with the file' : ''}`;
  impact.statements[offset === undefined ? 0 : at - done]?.refusals.unshift({
    sqlstate: '22P05',
    message: `the encoding of the database has no "${character}" (${where})`,
    hint: 'Take it out, or write it as an escape.',
    ...(offset !== undefined && { offset }),
  });
}

async function findLacking(text: string, session: Session): Promise<string | undefined> {
  try {
    await session.query('select $1::pg_catalog.text is null', [text], false);
    return undefined;
  } catch (error) {
    const character = lackingCharacter(error);
    if (character === undefined) throw error;
    return character;
  }
}
