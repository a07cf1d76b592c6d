import type { ServerNotice, Session } from '../../connection/session.ts';
import { maskSecrets } from '../../sql/mask.ts';
import type { Statement } from '../../sql/statements.ts';
import { displayPath } from '../files/version.ts';
import type { MigrationStep } from '../plan/prepare.ts';
import type { MigrationNotice, OnMigrationProgress } from '../progress.ts';

/*
 * What the server says while the statements of scripts run: `raise notice`, warnings, and that something
 * exists already. A script may say it a hundred thousand times, so only the first of each level are
 * told, and the others counted.
 */

/** Of one migration and one level, so that many notices do not hide a warning. */
const MOST_OF_A_LEVEL = 50;

/** Of one text; a message can be as long as a value. */
const MOST_CHARACTERS = 2_000;

/** More than are sent before an answer is waited for. */
const MOST_UNDER_WAY = 256;

/** Knows which place of a script the texts of one session come from. */
export interface Places {
  /** This text is about to be sent; what the server says while it runs is told as of this place. */
  expect(statement: Pick<Statement, 'text' | 'line' | 'column'>): void;
  /** The same for evdb's own text that runs deferred triggers: told as of the last statement before. */
  expectDeferred(text: string): void;
}

/** Tells of what the server says about the statements of scripts; of evdb's own it tells nothing. */
export interface Notices extends Places {
  /** From now on the server speaks of this step: its script, or a statement of it, begins or begins anew. */
  startTry(step: MigrationStep): void;
  /** The step is done or has failed: says how much was not told of it. */
  end(step: Pick<MigrationStep, 'direction' | 'version' | 'name'>): void;
  /** Listens to one more session that runs statements of the same step. */
  beside(session: Session): Places;
  /** What was told so far, in order. */
  readonly told: MigrationNotice[];
  /** How many were not. */
  readonly untold: number;
}

interface Place {
  line: number;
  column: number;
}

/** What was heard of one step. */
interface Heard {
  step: MigrationStep;
  file: string;
  counts: Map<string, number>;
  told: string[];
  /** What an earlier try of the step has told, and this one will say again. */
  repeats: string[];
  untold: number;
}

/** @param worker where the scripts run */
export function listenToNotices(worker: Session, onProgress: OnMigrationProgress): Notices {
  let current: Heard | undefined;
  const heardOf = new Map<string, Heard>();
  const told: MigrationNotice[] = [];
  let untold = 0;
  const listen = (session: Session) =>
    createPlaces(session, (said, place) => {
      const notice = current && hear(said, place, current);
      if (notice === undefined) return;
      told.push(notice);
      onProgress({ kind: 'notice', notice });
    });
  const places = listen(worker);
  const end: Notices['end'] = (step) => {
    const heard = heardOf.get(keyOf(step));
    heardOf.delete(keyOf(step));
    if (!heard?.untold) return;
    untold += heard.untold;
    const { direction, version, label, name } = heard.step;
    const about = { direction, step: { version, label, name } };
    onProgress({ kind: 'notices-left-out', ...about, count: heard.untold });
  };
  return {
    told,
    get untold() {
      return untold;
    },
    startTry: (step) => {
      const key = keyOf(step);
      // The one before is being committed: nothing more comes of it.
      if (current && keyOf(current.step) !== key) end(current.step);
      current = heardOf.get(key) ?? newHeard(step);
      current.repeats = [...current.told];
      heardOf.set(key, current);
      places.forget();
    },
    expect: places.expect,
    expectDeferred: places.expectDeferred,
    beside: listen,
    end,
  };
}

/** @param tell is called with what the session says of a text that was expected */
function createPlaces(session: Session, tell: (said: ServerNotice, place: Place) => void) {
  // A list and not a map by text: that would hash all of a large file, and keep it.
  let recent: { text: string; place: Place }[] = [];
  let last: Place | undefined;
  session.onNotice((said, text) => {
    // A copy is not told apart from what was expected last.
    const place = text === undefined ? last : recent.findLast((one) => one.text === text)?.place;
    if (place !== undefined) tell(said, place);
  });
  const places: Places = {
    expect: ({ text, line, column }) => {
      if (recent.length >= 2 * MOST_UNDER_WAY) recent = recent.slice(-MOST_UNDER_WAY);
      last = { line, column };
      recent.push({ text, place: last });
    },
    expectDeferred: (text) => {
      if (last) recent.push({ text, place: last });
    },
  };
  const forget = () => {
    recent = [];
    last = undefined;
  };
  return { ...places, forget };
}

function keyOf({ direction, version, name }: Parameters<Notices['end']>[0]): string {
  return `${direction} ${version} ${name}`;
}

function newHeard(step: MigrationStep): Heard {
  const file = displayPath(step.script.path);
  return { step, file, counts: new Map(), told: [], repeats: [], untold: 0 };
}

/** Counts what was said, and gives it where it is to be told. */
function hear(said: ServerNotice, { line, column }: Place, heard: Heard) {
  const { severity, code, message, detail, hint } = said;
  const key = `${line}:${column} ${severity} ${shorten(message)}`;
  const repeat = heard.repeats.indexOf(key);
  if (repeat >= 0) {
    heard.repeats.splice(repeat, 1);
    return undefined;
  }
  const count = heard.counts.get(severity) ?? 0;
  if (count >= MOST_OF_A_LEVEL) {
    heard.untold += 1;
    return undefined;
  }
  heard.counts.set(severity, count + 1);
  heard.told.push(key);
  const { direction, version, label, name } = heard.step;
  const notice: MigrationNotice = {
    ...{ direction, version, label, name },
    location: { file: heard.file, line, column },
    severity,
    ...(code !== undefined && { sqlstate: code }),
    message: shorten(message),
    ...(detail !== undefined && { detail: shorten(detail) }),
    ...(hint !== undefined && { hint: shorten(hint) }),
  };
  return notice;
}

function shorten(text: string): string {
  const isLong = text.length > MOST_CHARACTERS;
  const shown = maskSecrets(isLong ? text.slice(0, 2 * MOST_CHARACTERS) : text);
  return isLong ? `${shown.slice(0, MOST_CHARACTERS)}…` : shown;
}
