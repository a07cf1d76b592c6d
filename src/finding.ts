/**
 * The type of all findings, as in `--json`: lint, validate, plan, doctor, rules, drift, adopt,
 * status. `Details` is what one kind of check adds.
 */
export interface Finding<Details extends object = object> {
  /**
   * The kind of finding: a lint rule, an error code, a check of doctor, a rule of the event schema.
   */
  code: string;
  /** `unknown`: it could not be examined, which is not the same as being in order. */
  severity: 'error' | 'warning' | 'info' | 'unknown';
  message: string;
  /** What to do, as one or two sentences. */
  hint?: string;
  /** Its place in a file; absent if it is in no file. */
  location?: FindingLocation;
  /** The tables, indexes, settings and so on that it is about, qualified if they have a schema. */
  objects: string[];
  /** The fix: SQL, a command, or what `--fix` would do. Absent if that needs a decision. */
  fix?: string;
  details?: Details;
}

/** A place in a file; lines and columns count from 1, columns in code points. */
export interface FindingLocation {
  /** Relative to the working folder if that is shorter. */
  file: string;
  line?: number;
  column?: number;
  /** After the last character. */
  endLine?: number;
  endColumn?: number;
  /** The line with a caret. */
  excerpt?: string;
}

/** A finding that does not count, because it was suppressed. */
export type SuppressedFinding<Details extends object = object> = Finding<Details> & {
  reason: string;
  /** The last day on which that applies; null for no end. */
  until?: string | null;
};
