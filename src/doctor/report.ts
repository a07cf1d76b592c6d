import { oneLine } from '../report/columns.ts';
import type { PipelineReport, PipelineSeverity } from '../report/pipeline.ts';
import { renderMarkdownTable } from '../report/render-report.ts';
import type { Style } from '../report/table.ts';
import { renderCount } from '../text/units.ts';
import { wrapWords } from '../text/width.ts';
import type { DoctorFinding } from './check.ts';
import type { DoctorCheckReport, DoctorCheckStatus, DoctorReport } from './doctor.ts';

export interface DoctorRenderOptions {
  style: Style;
  /** Of the terminal, in columns; default: as wide as it gets. */
  width?: number | undefined;
  /** Default `text`. */
  format?: 'text' | 'markdown' | undefined;
  /** Shows every finding; default: the first ten of each check. */
  full?: boolean | undefined;
}

const SYMBOLS: Record<DoctorCheckStatus, [symbol: string, colour: keyof Style]> = {
  ok: ['✓', 'good'],
  warning: ['!', 'warn'],
  critical: ['✗', 'bad'],
  unknown: ['?', 'warn'],
  skipped: ['-', 'dim'],
};

/** `✗ critical`, as wide as the longest. */
function renderStatus(status: DoctorCheckStatus, style: Style): string {
  const [symbol, colour] = SYMBOLS[status];
  return style[colour](`${symbol} ${status.padEnd('critical'.length)}`);
}

const SHOWN_FINDINGS = 10;
const INDENT = '    ';

/**
 * The findings of `runDoctor` by group, each with its reason and what mends it, and a line that
 * counts. What is ignored is listed too: nobody should forget it.
 */
export function renderDoctor(report: DoctorReport, options: DoctorRenderOptions): string {
  const { style, format = 'text' } = options;
  const body = format === 'markdown' ? renderMarkdown(report) : renderGroups(report, options);
  return `${body}\n\n${renderCounts(report, format === 'markdown' ? undefined : style)}`;
}

function renderGroups({ checks }: DoctorReport, options: DoctorRenderOptions): string {
  const groups = [...new Set(checks.map(({ group }) => group))];
  return groups
    .map((group) =>
      [
        options.style.bold(group),
        ...checks
          .filter((check) => check.group === group)
          .flatMap((check) => renderCheck(check, options)),
      ].join('\n'),
    )
    .join('\n\n');
}

function renderCheck(report: DoctorCheckReport, options: DoctorRenderOptions): string[] {
  const { style, width = Number.POSITIVE_INFINITY, full = false } = options;
  const { check, status, summary, findings, ignored, isEstimated } = report;
  const isFine = status === 'ok' || status === 'skipped';
  const facts = [
    ...(isFine ? [oneLine(summary)] : []),
    ...(isEstimated ? ['sizes are estimated, because somebody holds a lock'] : []),
    ...(ignored.length > 0 ? [`${ignored.length} ignored`] : []),
  ].join('; ');
  const shown = full ? findings : findings.slice(0, SHOWN_FINDINGS);
  const hidden = findings.length - shown.length;
  const head = `${check}${facts === '' ? '' : `: ${facts}`}`;
  const [first = '', ...further] = wrapWords(head, width - LABEL);
  return [
    `  ${renderStatus(status, style)} ${first}`,
    ...further.map((line) => `${' '.repeat(LABEL)}${line}`),
    ...shown.flatMap((finding) => renderFinding(finding, status, options)),
    ...(hidden > 0 ? [style.dim(`${INDENT}… and ${hidden} more: --full shows all`)] : []),
    ...ignored.flatMap((finding) => {
      const until = finding.until === null ? '' : ` until ${finding.until}`;
      const text = `ignored${until} (${finding.ignoredBecause}): ${finding.reason}`;
      return hang(text, INDENT, width).map((line) => style.dim(line));
    }),
  ];
}

/** Two blanks, the symbol, a blank, the word, a blank. */
const LABEL = 2 + 2 + 'critical'.length + 1;

function renderFinding(
  { status, reason, fix }: DoctorFinding,
  ofCheck: DoctorCheckStatus,
  { style, width = Number.POSITIVE_INFINITY }: DoctorRenderOptions,
): string[] {
  // Said only where a check found different things.
  const [symbol, colour] = SYMBOLS[status];
  const lines = hang(`${status === ofCheck ? '' : `${symbol} `}${reason}`, INDENT, width);
  const fixes = fix === null ? [] : hang(`fix: ${fix}`, `${INDENT}  `, width);
  return [
    ...(status === ofCheck ? lines : lines.map((line) => style[colour](line))),
    ...fixes.map((line) =>
      line.replace(/^( +)fix:/, (_, blanks) => `${blanks}${style.bold('fix:')}`),
    ),
  ];
}

function hang(text: string, indent: string, width: number): string[] {
  const room = Math.max(20, width - indent.length - 2);
  return wrapWords(oneLine(text), room).map(
    (line, index) => `${indent}${index === 0 ? '' : '  '}${line}`,
  );
}

function renderMarkdown({ checks }: DoctorReport): string {
  const columns = ['Group', 'Check', 'Status', 'Reason', 'Fix'].map((title) => ({ title }));
  const rows = checks.flatMap(({ group, check, status, summary, findings }) => {
    const lines =
      findings.length === 0
        ? [{ status, reason: summary, fix: null }]
        : findings.map((finding) => ({ ...finding }));
    return lines.map((line) =>
      [group, check, `${SYMBOLS[line.status][0]} ${line.status}`, line.reason, line.fix ?? '-'].map(
        (text) => ({ text: oneLine(text) }),
      ),
    );
  });
  return `## Doctor\n\n${renderMarkdownTable(columns, rows)}`;
}

function renderCounts({ checks, counts }: DoctorReport, style: Style | undefined): string {
  const ignored = checks.reduce((sum, check) => sum + check.ignored.length, 0);
  const order: DoctorCheckStatus[] = ['critical', 'warning', 'unknown', 'ok', 'skipped'];
  const parts = order
    .filter((status) => counts[status] > 0)
    .map((status) => {
      const text = `${counts[status]} ${status}`;
      return style && status !== 'skipped' ? style[SYMBOLS[status][1]](text) : text;
    });
  const end = ignored === 0 ? '' : `; ${renderCount(ignored, 'finding')} ignored`;
  return `${renderCount(checks.length, 'check')}: ${parts.join(', ')}${end}`;
}

/**
 * What `runDoctor` found, for a pipeline.
 *
 * @param failOn of which status a finding is an error, beside critical
 */
export function pipelineOfDoctor(
  report: DoctorReport,
  failOn: readonly DoctorCheckStatus[] = [],
): PipelineReport {
  const severityOf = (status: DoctorCheckStatus): PipelineSeverity =>
    status === 'critical' || failOn.includes(status) ? 'error' : 'warning';
  return {
    command: 'doctor',
    checks: report.checks.map(({ check, status, summary }) => ({
      name: check,
      ...(status === 'skipped' && { skipped: summary }),
    })),
    problems: report.checks.flatMap(({ check, findings }) =>
      findings.map(({ status, reason, fix }) => ({
        check,
        rule: check,
        severity: severityOf(status),
        message: status === 'unknown' ? `unknown: ${reason}` : reason,
        ...(fix !== null && { hint: `fix: ${fix}` }),
      })),
    ),
    summary: `${renderCount(report.checks.length, 'check')}: ${Object.entries(report.counts)
      .filter(([, count]) => count > 0)
      .map(([status, count]) => `${count} ${status}`)
      .join(', ')}`,
  };
}
