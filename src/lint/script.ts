/** One script to lint, with what is known of it beside its text. */
export interface LintScript {
  /** As shown to people; slashes stay as they are. */
  path: string;
  /** With `\n` line ends. */
  text: string;
  direction: 'up' | 'down';
  /** False for `-- evdb: no-transaction`. */
  isTransactional: boolean;
  /** Whether its findings are wanted; the others only tell what the database holds by then. */
  isJudged: boolean;
  /** Whether another tool runs it, which may leave transactions to the script; default false. */
  isForeign?: boolean;
  /** Whether the text only stands for that of a large file, and must never be written. */
  isOutline?: boolean;
}
