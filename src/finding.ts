/**
 * The one shape of everything that a check finds, as `--json` gives it: lint, validate, plan, doctor,
 * rules, drift, adopt, status. `Details` is what one kind of check knows beside that.
 */
export interface Finding<Details extends object = object> {
  /** What was found: a rule of lint, an error's code, a check of doctor, a rule of the event schema. */
  code: string;
  /** `unknown`: it could not be looked at, which is not the same as being in order. */
  severity: 'error' | 'warning' | 'info' | 'unknown';
  message: string;
  /** What to do, as one or two sentences. */
  hint?: string;
  /** Where it stands; absent where it stands in no file. */
  location?: FindingLocation;
  /** The tables, indexes, settings and so on that it is about, qualified where they have a schema. */
  objects: string[];
  /** What mends it: SQL, a command, or what `--fix` would do. Absent where that takes a decision. */
  fix?: string;
  details?: Details;
}

/** A place in a file; lines and columns count from 1, columns in code points. */
export interface FindingLocation {
  /** Relative to the working folder where that is shorter. */
  file: string;
  line?: number;
  column?: number;
  /** Behind the last character. */
  endLine?: number;
  endColumn?: number;
  /** The line with a caret. */
  excerpt?: string;
}

/** One that does not count, because somebody has said so. */
export type SuppressedFinding<Details extends object = object> = Finding<Details> & {
  reason: string;
  /** The last day on which that holds; null for ever. */
  until?: string | null;
};
