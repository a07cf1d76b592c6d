import type { Session } from '../connection/session.ts';
import type { Statement } from '../sql/statements.ts';
import { displayPath } from './display-path.ts';
import type { OnProgress } from './progress.ts';
import type { Script } from './source.ts';

/** More of one file would hide what else is told. */
const MOST_OF_A_FILE = 20;

/** Tells what the server says while the statements of scripts run: `raise warning` and its like. */
export interface Notices {
  /** The statement is about to be sent; what the server says while it runs is told as of its place. */
  expect(statement: Pick<Statement, 'text' | 'line'>, script: Pick<Script, 'path'>): void;
}

interface Place {
  file: string;
  line: number;
}

/** @param worker whose own statements, which are evdb's, are not told of */
export function listenToNotices(worker: Session, onProgress: OnProgress): Notices {
  const places = new Map<string, Place>();
  const counts = new Map<string, number>();
  let last: Place | undefined;
  let current: string | undefined;
  worker.onNotice((notice, text) => {
    // A copy is not told apart from what was expected last.
    const place = text === undefined ? last : places.get(text);
    if (place === undefined) return;
    const count = (counts.get(place.file) ?? 0) + 1;
    counts.set(place.file, count);
    if (count > MOST_OF_A_FILE + 1) return;
    const { severity, code, message, detail, hint } = notice;
    const isLast = count > MOST_OF_A_FILE;
    const said = isLast
      ? { severity: 'WARNING', message: 'what else the server says of this file is not shown' }
      : { severity, message, ...{ sqlstate: code, detail, hint } };
    onProgress({ kind: 'notice', ...place, ...said });
  });
  return {
    expect: ({ text, line }, { path }) => {
      // the texts of a file before cannot come any more
      if (current !== path) places.clear();
      current = path;
      last = { file: displayPath(path), line };
      places.set(text, last);
    },
  };
}
