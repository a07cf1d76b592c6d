import type { StatsReport } from '../maintenance/stats-report.ts';

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
