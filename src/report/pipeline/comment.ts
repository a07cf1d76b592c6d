import {
  type PipelinePlace,
  type PipelineProblem,
  type PipelineReport,
  type PipelineSeverity,
  repositoryPath,
} from './pipeline-report.ts';

const ICONS: Record<PipelineSeverity, string> = { error: '❌', warning: '⚠️', note: 'ℹ️' };

/** GitHub takes 65,536 characters; the end has to fit as well. */
const LONGEST = 60_000;

/**
 * Markdown for a comment on a pull request. The first line is a marker by which a later run finds
 * its own comment.
 */
export function renderComment(report: PipelineReport, place: PipelinePlace): string {
  const failed = report.problems.some(({ severity }) => severity === 'error');
  const head = [
    `<!-- evdb ${report.command} -->`,
    `### ${failed ? ICONS.error : '✅'} evdb ${report.command}`,
    '',
    escapeMarkdown(report.summary),
    '',
    '',
  ].join('\n');
  // What is for information only is counted in the summary.
  const order: PipelineSeverity[] = ['error', 'warning'];
  const sorted = order.flatMap((wanted) =>
    report.problems.filter(({ severity }) => severity === wanted),
  );
  return cut(head, [
    ...sorted.map((problem) => renderProblem(problem, place)),
    ...(report.body ? [report.body] : []),
  ]);
}

function renderProblem(
  { severity, rule, message, hint, excerpt, file, line }: PipelineProblem,
  place: PipelinePlace,
): string {
  const where =
    file === undefined
      ? ''
      : `${code([repositoryPath(file, place), line].filter((part) => part !== undefined).join(':'))} `;
  return [
    `${ICONS[severity]} ${where}**${escapeMarkdown(rule)}**: ${escapeMarkdown(message)}`,
    ...(excerpt ? ['', fence(excerpt)] : []),
    ...(hint ? ['', `> ${escapeMarkdown(hint).replaceAll('\n', '\n> ')}`] : []),
    '',
  ].join('\n');
}

function cut(head: string, parts: string[]): string {
  let text = head;
  for (const [index, part] of parts.entries()) {
    if (text.length + part.length > LONGEST) {
      return `${text}\n… and ${parts.length - index} more, which the log of the job shows.\n`;
    }
    text += `${part}\n`;
  }
  return text.trimEnd();
}

/** A fence longer than any that the text holds. */
export function fence(text: string): string {
  const longest = Math.max(2, ...(text.match(/`+/g) ?? []).map((run) => run.length));
  const mark = '`'.repeat(longest + 1);
  return `${mark}\n${text}\n${mark}`;
}

function code(text: string): string {
  return text.includes('`') ? `\`\` ${text} \`\`` : `\`${text}\``;
}

/** A name from a migration must not become a link, a mention or HTML. */
function escapeMarkdown(text: string): string {
  return text
    .replace(/[\\`*_[\]|#~]/g, '\\$&')
    .replaceAll('<', '&lt;')
    .replace(/@(?=\w)/g, '@\u200b');
}
