import { codeOf } from '../connection/connection-error.ts';
import type { Session } from '../connection/session.ts';

/** The SQLSTATE of our own refusal, which PostgreSQL never uses. */
const NOT_RUN = 'EVDB0';

/**
 * Asks the server whether its own grammar accepts a statement, without running it: the server
 * reads the whole message before it runs the first statement of it, and that one fails here.
 *
 * @param session not inside a transaction
 */
export async function isAcceptedByServer(
  session: Session,
  statementText: string,
): Promise<boolean> {
  try {
    await session.run(
      `do $evdb$ begin raise 'evdb asks for the syntax alone' using errcode = '${NOT_RUN}'; end $evdb$;\n${statementText}`,
    );
  } catch (error) {
    if (session.isClosed) throw error;
    return codeOf(error) === NOT_RUN;
  }
  return false;
}
