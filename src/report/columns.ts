import { renderDuration, renderTime } from '../text/units.ts';

/** What a value is, which decides how people see it; `--json` has it as it is. */
export type Unit = 'text' | 'bytes' | 'count' | 'ms' | 'percent' | 'ratio' | 'time' | 'flag';

/** `good` is green, `warning` yellow, `critical` red, `muted` dim. */
export type Tone = 'good' | 'warning' | 'critical' | 'muted';

/** One column of a report. */
export interface ReportColumn<T> {
  header: string;
  /** `percent` takes 0 to 100, `ratio` 0 to 1, `bytes` and `ms` whole or fractional numbers. */
  value: (row: T) => string | number | boolean | Date | null;
  /** Default `text`. */
  unit?: Unit;
  /** A narrow terminal drops the highest first; 0, the default, is never dropped. */
  priority?: number;
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
      return renderSpan(number);
    case 'percent':
      return renderPercent(number);
    case 'ratio':
      return renderPercent(number * 100);
    default:
      return oneLine(String(value));
  }
}

/** `512 B`, `8.0 kB`, `12 MB`: powers of 1024 under the names that PostgreSQL gives them. */
export function renderBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let size = bytes;
  let index = 0;
  // 9.95 would round to 10.0, and 1023.5 to 1024
  while (Math.abs(size) >= 1023.5 && index < units.length - 1) {
    size /= 1024;
    index += 1;
  }
  const digits = index > 0 && Math.abs(size) < 9.95 ? 1 : 0;
  return `${size.toFixed(digits)} ${units[index]}`;
}

/** With a comma between thousands, and at most two decimals. */
function renderNumber(value: number | string): string {
  const text = typeof value === 'number' && !Number.isInteger(value) ? value.toFixed(2) : value;
  const [whole = '', fraction] = String(text).split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ',');
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}

/** Never says 100 % where something is missing, nor 0 % where something is there. */
function renderPercent(percent: number): string {
  if (percent > 99.9 && percent < 100) return '>99.9 %';
  if (percent > 0 && percent < 0.1) return '<0.1 %';
  return `${percent.toFixed(1)} %`;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** As `renderDuration`, and from an hour on `3 h 20 min`, `34 d 2 h`. */
export function renderSpan(durationMs: number): string {
  if (durationMs < 0) return `-${renderSpan(-durationMs)}`;
  if (durationMs === 0) return '0 ms';
  if (durationMs < HOUR_MS - 500) return renderDuration(durationMs);
  if (durationMs < DAY_MS - 30_000) {
    const minutes = Math.round(durationMs / 60_000);
    return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  }
  const hours = Math.round(durationMs / HOUR_MS);
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** Control characters, also those that turn the direction of writing, would act on the terminal. */
const ACTING = /[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu;

/** The text on one line, harmless to terminals; blanks at its start stay, as they indent a tree. */
export function oneLine(text: string): string {
  const indent = /^ *(?=\S)/.exec(text)?.[0] ?? '';
  const line = text.replace(/\s+/gu, ' ').trim();
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
  /** Since when the server counts what the report is about; null where it does not count, or does not say. */
  countedSince: Date | null;
  notes: ReportNote[];
}
