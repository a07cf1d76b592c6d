import { codeOf, queryError } from '../connection/connection-error.ts';
import type { Session } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import type { ReportNote } from '../report/columns.ts';
import { renderDuration } from '../text/units.ts';

/** One topic of an overview. */
export interface OverviewSection<T> {
  /** `unknown`: it could not be read, which is not the same as empty; `absent`: there is none. */
  state: 'known' | 'unknown' | 'absent';
  /** Null unless it is known. */
  data: T | null;
  /** Why it is unknown or absent, and what would help; null if it is known. */
  reason: ReportNote | null;
  durationMs: number;
}

/**
 * Reads one topic. What the server refuses makes it unknown and leaves the others as they are; a
 * fault in evdb and a lost connection end the run.
 */
export async function readSection<T>(
  session: Session,
  timeoutMs: number,
  read: (session: Session) => Promise<T>,
): Promise<OverviewSection<T>> {
  const startedAt = performance.now();
  const end = (section: Omit<OverviewSection<T>, 'durationMs'>) => ({
    ...section,
    durationMs: performance.now() - startedAt,
  });
  try {
    return end({ state: 'known', data: await read(session), reason: null });
  } catch (thrown) {
    const error = queryError(thrown);
    const isOver = session.isClosed || codeOfEvdb(error) === 'CONNECTION_LOST';
    if (!(error instanceof EvdbError) || isOver) throw error;
    if (error.code === 'EVENT_SCHEMA_MISSING') {
      return end({ state: 'absent', data: null, reason: reasonOf('info', error) });
    }
    return end({ state: 'unknown', data: null, reason: explain(error, timeoutMs) });
  }
}

function codeOfEvdb(error: unknown): string | undefined {
  return error instanceof EvdbError ? error.code : undefined;
}

function explain(error: EvdbError, timeoutMs: number): ReportNote {
  if (codeOf(error.cause ?? error) !== '57014') return reasonOf('unknown', error);
  const text = `it takes longer than ${renderDuration(timeoutMs)} and was cancelled`;
  return { level: 'unknown', text };
}

function reasonOf(level: ReportNote['level'], { message, hint }: EvdbError): ReportNote {
  return { level, text: message, ...(hint !== undefined && { hint }) };
}

/** Something that is not there, which is no fault. */
export function absent<T>(text: string): OverviewSection<T> {
  return { state: 'absent', data: null, reason: { level: 'info', text }, durationMs: 0 };
}
