import {
  type PipelinePlace,
  type PipelineProblem,
  type PipelineReport,
  repositoryPath,
} from './pipeline-report.ts';

/**
 * Workflow commands that GitHub Actions shows as annotations on the lines of a pull request, and
 * the summary as plain text.
 *
 * @see https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
 */
export function renderGithub(report: PipelineReport, place: PipelinePlace): string {
  // GitHub shows ten annotations of a step: what is for information only would take their place.
  const lines = report.problems
    .filter(({ severity }) => severity !== 'note')
    .map((problem) => annotation(problem, place));
  // Text of others must not become a command of the workflow.
  return [...lines, report.summary.replace(/^::/gm, ' ::')].join('\n');
}

function annotation(problem: PipelineProblem, place: PipelinePlace): string {
  const { severity, rule, message, hint, file, line, column, endLine, endColumn } = problem;
  // A column without an end makes GitHub drop both, and columns only hold within one line.
  const isOneLine = endLine === undefined || endLine === line;
  const properties = {
    file: file === undefined ? undefined : repositoryPath(file, place),
    line: file === undefined ? undefined : line,
    endLine: file === undefined ? undefined : endLine,
    col: file === undefined ? undefined : column,
    endColumn: file === undefined || !isOneLine ? undefined : endColumn,
    title: `evdb: ${rule}`,
  };
  const written = Object.entries(properties)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${escapeProperty(String(value))}`);
  const text = hint ? `${message}\n${hint}` : message;
  return `::${severity} ${written.join(',')}::${escapeData(text)}`;
}

function escapeData(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function escapeProperty(text: string): string {
  return escapeData(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}
