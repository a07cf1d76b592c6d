import type { ImpactPlan } from '../../migrate/impact-plan.ts';
import type { BudgetFinding, BudgetVerdict } from '../../migrate/judge-budget.ts';
import { renderCount } from '../../text/units.ts';
import { renderImpactPlan } from '../impact-plan.ts';
import { PLAIN } from '../style.ts';
import { fence } from './comment.ts';
import type { PipelineProblem, PipelineReport, PipelineSeverity } from './pipeline-report.ts';

/**
 * What `judgeBudget` said of a plan, for a pipeline; each migration is a test case. The plan itself
 * goes into the comment.
 */
export function pipelineOfPlan(
  plan: ImpactPlan,
  verdict: BudgetVerdict | undefined,
): PipelineReport {
  const { steps } = plan;
  const { violations = [], unknowns = [], budget } = verdict ?? {};
  const unknown = budget?.failsOnUnknown ? 'error' : 'warning';
  const nameOf = ({ label, name }: { label: string; name: string }) => `${label}_${name}`;
  const checkOf = ({ file }: BudgetFinding) => {
    const step = steps.find((one) => one.file === file);
    return step ? nameOf(step) : file;
  };
  const problem = (finding: BudgetFinding, severity: PipelineSeverity): PipelineProblem => ({
    ...{ check: checkOf(finding), rule: `budget-${finding.limit}`, severity },
    ...{ message: finding.message, file: finding.file, line: finding.line },
  });
  const problems = [
    ...violations.map((finding) => problem(finding, 'error')),
    ...unknowns.map((finding) => problem(finding, unknown)),
  ];
  const planned = `${renderCount(steps.length, 'migration')} planned`;
  return {
    command: 'migrate plan',
    checks: [...new Set(steps.map(nameOf))].map((name) => ({ name })),
    problems,
    summary: verdict
      ? `${planned}: ${verdict.isKept ? 'within the budget' : 'over the budget'}`
      : `${planned}, held against no budget`,
    ...(steps.length > 0 && {
      body: fence(renderImpactPlan(plan, { nothing: '', verbose: false, style: PLAIN })),
    }),
  };
}
