import type { Finding } from '../finding.ts';

/** What a command found, in the form that every format for pipelines is made from. */
export interface PipelineReport {
  /** Such as `migrate validate`. */
  command: string;
  /** All that was looked at, also what is fine: test cases of JUnit. */
  checks: PipelineCheck[];
  findings: PipelineFinding[];
  /** One line for people: `2 migrations checked: 1 error`. */
  summary: string;
  /** More for a pull request, below the findings, as Markdown. */
  body?: string | undefined;
}

export interface PipelineCheck {
  /** Unique within the report; findings name it. */
  name: string;
  /** Why it was not looked at. */
  skipped?: string | undefined;
}

/** A finding, and the check that found it. */
export interface PipelineFinding extends Finding {
  /** The name of a `PipelineCheck`. */
  check: string;
}

/** With `--strict` a warning fails the command. */
export function promoted<T extends Finding>(finding: T, isStrict: boolean): T {
  return isStrict && finding.severity === 'warning' ? { ...finding, severity: 'error' } : finding;
}

/** How the formats call a severity: none of them knows more. */
export const LEVELS = {
  error: 'error',
  warning: 'warning',
  unknown: 'warning',
  info: 'note',
} as const;

/** The line with a caret, or what differs: shown as it is. */
export function excerptOf({ location, details }: Finding): string | undefined {
  const { diff } = (details ?? {}) as { diff?: string };
  return diff ?? location?.excerpt;
}

/** What the documentation says of a code. */
export interface RuleHelp {
  /** One clause. */
  summary: string;
  markdown: string;
  /** From the root of the package. */
  page: string;
  /** Where the page can be read. */
  url: string;
}

/** What the formats have to know of the place where evdb runs. */
export interface PipelinePlace {
  toolVersion: string;
  /** Default: no code has help. */
  findHelp?: (code: string) => RuleHelp | undefined;
  /** The working folder below the repository's root, with `/`; '' where it is the root. */
  prefix: string;
  /** Absolute path of the repository's root. */
  root: string;
  /** Stands for the file of findings that have none, where a format asks for one. */
  fallbackFile: string;
}

/** The path as a repository knows it: from its root, with `/`. */
export function repositoryPath(file: string, { prefix, root }: PipelinePlace): string {
  const path = file.replaceAll('\\', '/');
  const base = `${root.replaceAll('\\', '/').replace(/\/$/, '')}/`;
  if (path.startsWith(base)) return path.slice(base.length);
  if (/^(\/|[A-Za-z]:\/)/.test(path)) return path;
  const parts: string[] = [];
  for (const part of `${prefix}/${path}`.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..' && parts.length > 0) parts.pop();
    else parts.push(part);
  }
  return parts.join('/');
}

/** The command that failed before it could look, as a report of its own. */
export function failureReport(
  command: string,
  error: { code: string; message: string; hint?: string | undefined; details?: unknown },
): PipelineReport {
  const { file, line, column } = (error.details ?? {}) as Record<string, unknown>;
  const check = command === '' ? 'evdb' : `evdb ${command}`;
  return {
    command,
    checks: [{ name: check }],
    findings: [
      {
        ...{ check, code: error.code, severity: 'error', message: error.message, objects: [] },
        ...(error.hint !== undefined && { hint: error.hint }),
        ...(typeof file === 'string' && {
          location: {
            file,
            ...(typeof line === 'number' && { line }),
            ...(typeof column === 'number' && { column }),
          },
        }),
      },
    ],
    summary: `${check} failed: ${error.message}`,
  };
}

const ICONS = { error: '❌', warning: '⚠️', note: 'ℹ️' };

/** GitHub takes 65,536 characters; the end has to fit as well. */
const LONGEST = 60_000;

/**
 * Markdown for a comment on a pull request. The first line is a marker by which a later run finds
 * its own comment.
 */
export function renderComment(report: PipelineReport, place: PipelinePlace): string {
  const failed = report.findings.some(({ severity }) => severity === 'error');
  const head = [
    `<!-- evdb ${report.command} -->`,
    `### ${failed ? ICONS.error : '✅'} evdb ${report.command}`,
    '',
    escapeMarkdown(report.summary),
    '',
    '',
  ].join('\n');
  // What is for information only is counted in the summary.
  const sorted = (['error', 'warning'] as const).flatMap((level) =>
    report.findings.filter(({ severity }) => LEVELS[severity] === level),
  );
  return cut(head, [
    ...sorted.map((finding) => renderFinding(finding, place)),
    ...(report.body ? [report.body] : []),
  ]);
}

function renderFinding(finding: Finding, place: PipelinePlace): string {
  const { severity, code, message, hint, location } = finding;
  const { file, line } = location ?? {};
  const where =
    file === undefined
      ? ''
      : `${codeSpan([repositoryPath(file, place), line].filter((part) => part !== undefined).join(':'))} `;
  const excerpt = excerptOf(finding);
  return [
    `${ICONS[LEVELS[severity]]} ${where}**${escapeMarkdown(code)}**: ${escapeMarkdown(message)}`,
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

function codeSpan(text: string): string {
  return text.includes('`') ? `\`\` ${text} \`\`` : `\`${text}\``;
}

/** A name from a migration must not become a link, a mention or HTML. */
function escapeMarkdown(text: string): string {
  return text
    .replace(/[\\`*_[\]|#~]/g, '\\$&')
    .replaceAll('<', '&lt;')
    .replace(/@(?=\w)/g, '@\u200b');
}
