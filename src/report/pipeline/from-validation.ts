import type { ValidationResult } from '../../migrate/validate.ts';
import { renderCount } from '../../text/units.ts';
import { renderLintCounts } from '../lint.ts';
import { PLAIN } from '../style.ts';
import type { PipelineReport, PipelineSeverity } from './pipeline-report.ts';

/** The check of findings that belong to no file, such as a migration whose file is gone. */
const LEDGER = 'ledger';

/**
 * What `validateMigrations` found, for a pipeline: one check a file, and one for the ledger.
 *
 * @param isStrict whether warnings are errors, as with `--strict`
 */
export function pipelineOfValidation(result: ValidationResult, isStrict: boolean): PipelineReport {
  const severities: Record<string, PipelineSeverity> = {
    error: 'error',
    warning: isStrict ? 'error' : 'warning',
  };
  const { findings, files, skipped, migrations } = result;
  const checks = new Set([...files, ...findings.map(({ file }) => file ?? LEDGER)]);
  return {
    command: 'migrate validate',
    checks: [
      ...[...checks].map((name) => ({ name })),
      ...skipped.map(({ check, reason }) => ({ name: check, skipped: reason })),
    ],
    problems: findings.map(({ code, diff, excerpt, file, severity, ...finding }) => ({
      ...finding,
      severity: severities[severity] ?? 'note',
      check: file ?? LEDGER,
      rule: code,
      file,
      excerpt: diff ?? excerpt,
    })),
    summary: `${renderCount(migrations, 'migration')} checked: ${renderLintCounts(findings, { suppressed: result.suppressed.length, isVerbose: true, style: PLAIN })}`,
  };
}
