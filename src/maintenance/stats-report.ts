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
