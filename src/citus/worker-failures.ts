import { codeOf } from '../connection/connection-error.ts';
import { isLockState } from '../connection/retry.ts';
import type { NoticeListener, Row, ServerNotice, Session } from '../connection/session.ts';

/** "failure on connection marked as essential": what the coordinator says where a worker failed. */
const INTERNAL_ERROR = 'XX000';

/**
 * A session of a coordinator whose errors say why a worker failed: where a lock was not available there,
 * Citus reports `XX000` and tells the reason in a warning before it, with its SQLSTATE. The error then has
 * that SQLSTATE, so that it is retried as on any server. Several statements are sent as one message
 * each, because Citus refuses or misreads several in one. Any other session is given back as it is.
 *
 * @param session of whichever server; use only what is returned from here on
 *
 * Source: citusdata/citus, transaction/remote_transaction.c, `MarkRemoteTransactionFailed`, and
 * worker/worker_data_fetch_protocol.c, `ParseTreeRawStmt` ("cannot execute multiple utility events").
 */
export function hearWorkers(session: Session): Session {
  if (!session.facts.isCitus) return session;
  let warned: { notice: ServerNotice; during: string | undefined } | undefined;
  let listener: NoticeListener | undefined;
  session.onNotice((notice, during) => {
    if (notice.code !== undefined && isLockState(notice.code)) warned = { notice, during };
    listener?.(notice, during);
  });
  /** Answers of messages that were sent together come together, so a warning is known by its text. */
  const takeWarning = (text?: string): ServerNotice | undefined => {
    if (warned === undefined || warned.during !== text) return undefined;
    const { notice } = warned;
    warned = undefined;
    return notice;
  };
  const heard = async <T>(work: Promise<T>, text?: string): Promise<T> => {
    try {
      const result = await work;
      // It did no harm.
      takeWarning(text);
      return result;
    } catch (error) {
      throw withReason(error, takeWarning(text));
    }
  };
  const run: Session['run'] = (text) => heard(session.run(text), text);
  const runEach: Session['runEach'] = (texts, onAnswer) => heardEach(texts, run, onAnswer);
  const query: Session['query'] = (...given) => heard(session.query(...given));
  const copyIn: Session['copyIn'] = (...given) => heard(session.copyIn(...given));
  const onNotice: Session['onNotice'] = (given) => {
    listener = given;
  };
  return Object.create(session, {
    run: { value: run },
    runEach: { value: runEach },
    query: { value: query },
    copyIn: { value: copyIn },
    onNotice: { value: onNotice },
  });
}

/** All are sent at once; the first failure is the one that tells, as in one message. */
async function heardEach(
  texts: string[],
  run: Session['run'],
  onAnswer: (index: number) => void,
): Promise<Row[]> {
  const sent = texts.map((text, index) =>
    run(text).then(
      (rows) => {
        onAnswer(index);
        return rows;
      },
      (error: unknown) => {
        throw Object.assign(error as Error, { failedAt: index });
      },
    ),
  );
  const settled = await Promise.allSettled(sent);
  const failed = settled.find((one) => one.status === 'rejected');
  if (failed) throw failed.reason;
  const results = await Promise.all(sent);
  return results.findLast((rows) => rows.length > 0) ?? [];
}

/**
 * The error with the SQLSTATE and the words of the warning before it, where that tells of a lock; pure.
 *
 * @param warned the last warning with an SQLSTATE that is retried, if there was one
 */
export function withReason(error: unknown, warned: ServerNotice | undefined): unknown {
  if (warned === undefined || codeOf(error) !== INTERNAL_ERROR) return error;
  const { message } = error as Error;
  const detail = `On a worker: ${message}`;
  const told = new Error(warned.message, { cause: error });
  return Object.assign(told, error, { code: warned.code, detail, message: warned.message });
}
