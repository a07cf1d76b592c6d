import {
  renderBytes,
  renderDuration,
  renderNumber,
  renderPercent,
  renderTime,
} from '../text/units.ts';

/** What a value is, which decides how people see it; `--json` has it as it is. */
export type Unit = 'text' | 'bytes' | 'count' | 'ms' | 'percent' | 'ratio' | 'time' | 'flag';

/** `good` is green, `warning` yellow, `critical` red, `muted` dim. */
export type Tone = 'good' | 'warning' | 'critical' | 'muted';

/** One column of a report. */
export interface ReportColumn<T> {
  header: string;
  /** `percent` takes 0 to 100, `ratio` 0 to 1, `bytes` and `ms` whole or fractional numbers. */
  value: (row: T, at?: number, rows?: T[]) => string | number | boolean | Date | null;
  /** Default `text`. */
  unit?: Unit;
  /** A narrow terminal drops the highest first; 0, the default, is never dropped. */
  priority?: number;
  /**
   * What becomes of a text that is too long: `cuts`, the default, takes a part away, `wraps` goes on
   * in the next line, for sentences and commands, and `whole` is never narrower.
   */
  text?: 'cuts' | 'wraps' | 'whole';
  /** What most rows say, such as `yes`; where all of them do, the column goes first. */
  usual?: string;
  tone?: (row: T) => Tone | undefined;
}

/** How a report is shown to people. */
export interface ReportView<T> {
  title: string;
  columns: ReportColumn<T>[];
  /** What an empty report means, such as "no unused indexes in 34 days of statistics". */
  empty: (report: StatsReport<T>) => string;
}

type Value = string | number | boolean | Date | null;

const NUMERIC: ReadonlySet<Unit> = new Set(['bytes', 'count', 'ms', 'percent', 'ratio']);

/** Numbers stand flush right, so that their digits can be compared. */
export function isNumeric(unit: Unit): boolean {
  return NUMERIC.has(unit);
}

/** A value as people read it, in one line; what is not known is a dash. */
export function renderValue(value: Value, unit: Unit): string {
  if (value === null) return '-';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (value instanceof Date) return renderTime(value.toISOString());
  // whole numbers beyond 2^53 come as text
  const number = typeof value === 'number' || /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : null;
  if (number === null || !Number.isFinite(number) || unit === 'text') return oneLine(String(value));
  switch (unit) {
    case 'bytes':
      return renderBytes(number);
    case 'count':
      return renderNumber(value);
    case 'ms':
      return renderDuration(number);
    case 'percent':
      return renderPercent(number);
    case 'ratio':
      return renderPercent(number * 100);
    default:
      return oneLine(String(value));
  }
}

/** Control characters, also those that turn the direction of writing, would act on the terminal. */
const ACTING = /[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu;

/** The text on one line, harmless to terminals; the lines of a tree at its start stay. */
export function oneLine(text: string): string {
  const indent = /^[ │├└─]*(?=\S)/.exec(text)?.[0] ?? '';
  const line = text.slice(indent.length).replace(/\s+/gu, ' ').trim();
  return indent + line.replace(ACTING, (found) => `\\u{${found.codePointAt(0)?.toString(16)}}`);
}

/** Something to know before one believes a report. */
export interface ReportNote {
  /** `unknown`: an input is hidden from this role, so that the report may lack something. */
  level: 'info' | 'warning' | 'unknown';
  text: string;
  /** What to do about it, such as a grant. */
  hint?: string | undefined;
}

/** What one command on statistics found. */
export interface StatsReport<T> {
  rows: T[];
  /** Since when the server counts these numbers; null if it does not count, or does not say. */
  countedSince: Date | null;
  notes: ReportNote[];
}
