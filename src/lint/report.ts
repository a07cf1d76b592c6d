import type { Finding } from '../finding.ts';
import { type PipelineReport, promoted } from '../report/pipeline.ts';
import { PLAIN, type Style } from '../report/table.ts';
import { commandLine } from '../text/command-line.ts';
import { renderCount } from '../text/units.ts';
import { wrapWords } from '../text/wrap.ts';
import type { LintReport } from './engine.ts';
import type { LintFinding } from './finding.ts';
import type { Severity } from './rule.ts';

const COLOURS: Record<Severity, keyof Style> = { error: 'bad', warning: 'warn', info: 'dim' };

/**
 * Each finding at its place with the safe way, and a line that counts.
 *
 * @param isVerbose whether to list what is for information too; default: counts it
 */
export function renderLint(report: LintReport, style: Style, isVerbose = false): string {
  const { findings, suppressed, files } = report;
  const counts = renderLintCounts(findings, { suppressed: suppressed.length, isVerbose, style });
  return [
    ...renderLintFindings(listed(findings, isVerbose), style),
    `${renderCount(files.length, 'file')} linted: ${counts}`,
  ].join('\n');
}

/** Without what is for information only, unless that is asked for. */
export function listed<T extends Pick<Finding, 'severity'>>(
  findings: readonly T[],
  isVerbose: boolean,
): readonly T[] {
  return isVerbose ? findings : findings.filter(({ severity }) => severity !== 'info');
}

/** Without the line that counts; what explains a rule is named once. */
export function renderLintFindings(findings: readonly LintFinding[], style: Style): string[] {
  const explained = new Set<string>();
  return findings.map((finding) => {
    const { code, details } = finding;
    const isFirst = details.page !== undefined && !explained.has(code);
    explained.add(code);
    return renderFinding(finding, isFirst, style);
  });
}

function renderFinding(finding: LintFinding, isExplained: boolean, style: Style): string {
  const { severity, code, message, hint, fix, details } = finding;
  const { file, line, column, excerpt } = finding.location;
  const colour = style[COLOURS[severity]];
  return [
    `${colour(severity)} ${style.dim(code)}  ${file}:${line}:${column}: ${message}`,
    ...(excerpt === '' ? [] : [excerpt]),
    ...(hint === '' ? [] : [`  ${style.bold('hint:')} ${hint}`]),
    ...(fix === undefined ? [] : [style.dim(`  --fix can ${fix}`)]),
    ...(details.fixRefusal === undefined
      ? []
      : [style.dim(`  --fix leaves it: ${details.fixRefusal}`)]),
    ...(isExplained ? [style.dim(`  more: ${commandLine('lint', { explain: code })}`)] : []),
  ].join('\n');
}

/**
 * The page about a rule for a terminal: without what marks its examples for tests, and its paragraphs
 * as wide as the terminal.
 *
 * @param width in columns; default: lines end where they do in the file
 */
export function renderRulePage(page: string, width?: number): string {
  const blocks = page.trimEnd().split(/\n(?=```)|(?<=\n```)\n/);
  return blocks
    .map((block) => {
      const [, language, file] = /^```(\w*)[^\n]*?(\d\w*\.sql)?(?=\n)/.exec(block) ?? [];
      if (language === undefined) return width === undefined ? block : reflow(block, width);
      const head = `\`\`\`${language}${file === undefined ? '' : `\n-- ${file}`}`;
      return head + block.slice(block.indexOf('\n'));
    })
    .join('\n');
}

/** Paragraphs and items of lists in new lines; headings and tables stay as they are. */
function reflow(text: string, width: number): string {
  const joined = text.replace(/(?<=\S)\n *(?=[^\s#|-])/g, (found, at: number) => {
    const line = text.slice(text.lastIndexOf('\n', at - 1) + 1, at);
    return /^[#|]/.test(line) ? found : ' ';
  });
  return joined
    .split('\n')
    .flatMap((line) => {
      if (line.startsWith('|')) return [line];
      const indent = line.startsWith('- ') ? '  ' : '';
      const [first = '', ...further] = wrapWords(line, width - indent.length);
      return [first, ...further.map((more) => indent + more)];
    })
    .join('\n');
}

/** A rule as a list shows it. */
export interface ListedRule {
  name: string;
  group: string;
  severity: Severity;
  summary: string;
  /** Whether it is off unless the configuration turns it on. */
  isOptional: boolean;
}

/** The rules by group, with what they find. */
export function renderLintRules(rules: readonly ListedRule[], style: Style): string {
  const width = Math.max(...rules.map(({ name }) => name.length));
  const groups = [...new Set(rules.map(({ group }) => group))];
  return groups
    .map((group) =>
      [
        style.bold(group),
        ...rules
          .filter((rule) => rule.group === group)
          .map(({ name, severity, summary, isOptional }) => {
            const shown = isOptional ? 'off' : severity;
            const colour = isOptional ? style.dim : style[COLOURS[severity]];
            return `  ${name.padEnd(width)}  ${colour(shown.padEnd('warning'.length))}  ${summary}`;
          }),
      ].join('\n'),
    )
    .join('\n\n');
}

/** `1 error, 2 warnings (1 ignored, with a reason)`, or that there is nothing. */
export function renderLintCounts(
  findings: readonly Pick<Finding, 'severity'>[],
  { suppressed, isVerbose, style }: { suppressed: number; isVerbose: boolean; style: Style },
): string {
  const count = (wanted: Severity) => findings.filter(({ severity }) => severity === wanted).length;
  const [errors, warnings, notes] = [count('error'), count('warning'), count('info')];
  const parts = [
    ...(errors + warnings > 0
      ? [renderCount(errors, 'error'), renderCount(warnings, 'warning')]
      : []),
    ...(notes > 0 ? [`${notes} for information${isVerbose ? '' : ' (--verbose lists them)'}`] : []),
  ];
  const verdict = parts.length === 0 ? style.good('no problems') : parts.join(', ');
  const reason = suppressed === 1 ? 'a reason' : 'reasons';
  return suppressed === 0 ? verdict : `${verdict} (${suppressed} ignored, with ${reason})`;
}

/**
 * What lint found, for a pipeline: one check a script.
 *
 * @param isStrict whether warnings are errors, as with `--strict`
 */
export function pipelineOfLint(report: LintReport, isStrict: boolean): PipelineReport {
  const { findings, suppressed, files } = report;
  return {
    command: 'lint',
    checks: files.map((name) => ({ name })),
    findings: findings.map((finding) => {
      const { hint, details, location } = finding;
      const explained =
        details.page && `See \`${commandLine('lint', { explain: finding.code })}\`.`;
      const advice = [hint, explained].filter(Boolean).join(' ');
      return { ...promoted(finding, isStrict), check: location.file, hint: advice };
    }),
    summary: `${renderCount(files.length, 'file')} linted: ${renderLintCounts(findings, { suppressed: suppressed.length, isVerbose: true, style: PLAIN })}`,
  };
}
