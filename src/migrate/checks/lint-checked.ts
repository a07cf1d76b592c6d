import type { ObjectKey } from '../../catalog/catalog.ts';
import { type LintReport, lintScripts } from '../../lint/engine.ts';
import type { SqlParser } from '../../sql/parser.ts';
import type { RepeatableFile } from '../files/repeatables.ts';
import type { MigrationFile } from '../files/source.ts';
import { isAfter, readLintScripts, withoutShipped } from './lint.ts';
import type { PlanLintFixesOptions } from './lint-fix.ts';

interface LintCheckedOptions extends PlanLintFixesOptions {
  parser: SqlParser;
  /** How many rows the tables of the database have. */
  rows: ReadonlyMap<ObjectKey, number> | undefined;
}

/**
 * Lints migrations that were checked already: what cannot be read was told by that. A fix is offered
 * only where `lint --fix` makes it.
 */
export async function lintChecked(
  files: readonly MigrationFile[],
  again: readonly RepeatableFile[],
  options: LintCheckedOptions,
): Promise<LintReport> {
  const migrations = files.flatMap((file) => {
    const isJudged = isAfter(file, options.startAfter);
    const { upPath, downPath } = file;
    const up = { path: upPath, isDown: false, isJudged };
    return downPath === undefined ? [up] : [up, { path: downPath, isDown: true, isJudged }];
  });
  const listed = [
    ...migrations,
    ...again.map(({ path }) => ({ path, isDown: false, isJudged: true })),
  ];
  const { scripts } = readLintScripts(listed, options);
  const all = lintScripts(scripts, { ...options, isHistoryWhole: true });
  const report = { ...all, findings: withoutShipped(all.findings, scripts) };
  if (report.findings.every(({ fix }) => fix === undefined)) return report;
  const { withFixRefusals } = await import('./lint-fix.ts');
  return withFixRefusals(report, options);
}
