import type { ObjectKey } from '../catalog/catalog.ts';
import { lintScripts } from '../lint/engine.ts';
import type { LintFinding } from '../lint/finding.ts';
import type { SqlParser } from '../sql/parser.ts';
import type { LintSettingsOptions } from './lint.ts';
import { isAfter, readLintScripts } from './lint-scripts.ts';
import { withoutShipped } from './shipped.ts';
import type { MigrationFile } from './source.ts';
import type { Finding } from './validate.ts';

export interface LintCheckedOptions extends LintSettingsOptions {
  parser: SqlParser;
  /** How many rows the tables of the database have. */
  rows?: ReadonlyMap<ObjectKey, number> | undefined;
}

/** Lints migrations that were checked already: what cannot be read was told by that. */
export function lintChecked(files: readonly MigrationFile[], options: LintCheckedOptions) {
  const listed = files.flatMap((file) => {
    const isJudged = isAfter(file, options.startAfter);
    const { upPath, downPath } = file;
    const up = { path: upPath, isDown: false, isJudged };
    return downPath === undefined ? [up] : [up, { path: downPath, isDown: true, isJudged }];
  });
  const { scripts } = readLintScripts(listed);
  const report = lintScripts(scripts, { ...options, isHistoryWhole: true });
  return { ...report, findings: withoutShipped(report.findings, scripts) };
}

/**
 * What both found, by file and place. What the checks refuse is left out of what lint says of the
 * same statement.
 *
 * @param files in the order to tell them
 */
export function mergeFindings(
  files: readonly string[],
  checked: readonly Finding[],
  linted: readonly LintFinding[],
): Finding[] {
  const refused = new Set(checked.map((finding) => placeOf(finding)));
  const more = linted
    .filter((finding) => !isTold(finding, refused))
    .map(({ rule, ...finding }): Finding => ({ ...finding, code: rule }));
  const order = new Map(files.map((file, index) => [file, index]));
  const rank = ({ file = '' }: Finding) => order.get(file) ?? -1;
  return [...checked, ...more].sort(
    (a, b) =>
      rank(a) - rank(b) || (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0),
  );
}

const TOLD_BY_CHECKS = new Set(['syntax-error', 'transaction-control', 'concurrently-in-tx']);

function isTold(finding: LintFinding, refused: ReadonlySet<string>): boolean {
  return TOLD_BY_CHECKS.has(finding.rule) && refused.has(placeOf(finding));
}

function placeOf({ file, line, column }: Pick<Finding, 'file' | 'line' | 'column'>): string {
  return [file, line, column].join(':');
}
