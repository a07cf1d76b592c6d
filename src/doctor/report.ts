import type { Finding } from '../finding.ts';
import { oneLine } from '../report/columns.ts';
import type { PipelineReport } from '../report/pipeline.ts';
import { renderMarkdownTable } from '../report/render-report.ts';
import type { Style } from '../report/table.ts';
import { renderCount } from '../text/units.ts';
import { fitText } from '../text/wrap.ts';
import { STATUSES } from './check.ts';
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
  if (format === 'markdown')
    return `${renderMarkdown(report)}\n\n${renderCounts(report, undefined)}`;
  const text = `${renderGroups(report, options)}\n\n${renderCounts(report, style)}`;
  return fitText(text, options.width);
}

function renderGroups(report: DoctorReport, options: DoctorRenderOptions): string {
  const { checks } = report;
  const groups = [...new Set(checks.map(({ group }) => group))];
  return groups
    .map((group) =>
      [
        options.style.bold(group),
        ...checks
          .filter((check) => check.group === group)
          .flatMap((check) => renderCheck(check, report, options)),
      ].join('\n'),
    )
    .join('\n\n');
}

function renderCheck(
  { check, status, summary, isEstimated }: DoctorCheckReport,
  report: DoctorReport,
  options: DoctorRenderOptions,
): string[] {
  const { style, full = false } = options;
  const findings = report.findings.filter(({ code }) => code === check);
  const ignored = report.suppressed.filter(({ code }) => code === check);
  const isFine = status === 'ok' || status === 'skipped';
  const facts = [
    ...(isFine ? [oneLine(summary)] : []),
    ...(isEstimated ? ['sizes are estimated, because another session holds a lock'] : []),
    ...(ignored.length > 0 ? [`${ignored.length} ignored`] : []),
  ].join('; ');
  const shown = full ? findings : findings.slice(0, SHOWN_FINDINGS);
  const hidden = findings.length - shown.length;
  const head = `${check}${facts === '' ? '' : `: ${facts}`}`;
  return [
    `  ${renderStatus(status, style)} ${head}`,
    ...shown.flatMap((finding) => renderFinding(finding, status, options)),
    ...(hidden > 0 ? [style.dim(`${INDENT}… and ${hidden} more: --full shows all`)] : []),
    ...ignored.flatMap(({ message, reason, until }) => {
      const text = `ignored${until == null ? '' : ` until ${until}`} (${reason}): ${message}`;
      return style.dim(INDENT + oneLine(text));
    }),
  ];
}

function renderFinding(
  { severity, message, hint, fix }: Finding,
  ofCheck: DoctorCheckStatus,
  { style }: DoctorRenderOptions,
): string[] {
  // Said only where a check found different things.
  const status = STATUSES[severity];
  const [symbol, colour] = SYMBOLS[status];
  const isSame = status === ofCheck;
  const line = `${INDENT}${isSame ? '' : `${symbol} `}${oneLine(message)}`;
  const advice = Object.entries({ hint, fix }).flatMap(([name, text]) =>
    text === undefined ? [] : [`${INDENT}  ${style.bold(`${name}:`)} ${oneLine(text)}`],
  );
  return [isSame ? line : style[colour](line), ...advice];
}

function renderMarkdown({ checks, findings }: DoctorReport): string {
  const columns = ['Group', 'Check', 'Status', 'Reason', 'Fix'].map((title) => ({ title }));
  const rows = checks.flatMap(({ group, check, status, summary }) => {
    const found = findings
      .filter(({ code }) => code === check)
      .map(({ severity, message, hint, fix }) => {
        const advice = [hint, fix].filter((part) => part !== undefined).join(' ');
        return [STATUSES[severity], message, advice || '-'] as const;
      });
    return (found.length === 0 ? [[status, summary, '-'] as const] : found).map(
      ([word, reason, fix]) =>
        [group, check, `${SYMBOLS[word][0]} ${word}`, reason, fix].map((text) => ({
          text: oneLine(text),
        })),
    );
  });
  return `## Doctor\n\n${renderMarkdownTable(columns, rows)}`;
}

/** What to do, in one text: first what has to be known, then what can be run. */
function adviceOf({ hint, fix }: Finding): string | undefined {
  const parts = [
    ...(hint === undefined ? [] : [hint]),
    ...(fix === undefined ? [] : [`fix: ${fix}`]),
  ];
  return parts.length === 0 ? undefined : parts.join(' ');
}

function renderCounts(report: DoctorReport, style: Style | undefined): string {
  const { checks, counts } = report;
  const ignored = report.suppressed.length;
  const order: DoctorCheckStatus[] = ['critical', 'warning', 'unknown', 'ok', 'skipped'];
  const parts = order
    .filter((status) => counts[status] > 0)
    .map((status) => {
      const text =
        status === 'warning' ? renderCount(counts[status], status) : `${counts[status]} ${status}`;
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
  return {
    command: 'doctor',
    checks: report.checks.map(({ check, status, summary }) => ({
      name: check,
      ...(status === 'skipped' && { skipped: summary }),
    })),
    findings: report.findings.map((finding) => {
      const { code, severity, message } = finding;
      const hint = adviceOf(finding);
      return {
        ...finding,
        check: code,
        severity: failOn.includes(STATUSES[severity]) ? 'error' : severity,
        message: severity === 'unknown' ? `unknown: ${message}` : message,
        ...(hint !== undefined && { hint }),
      };
    }),
    summary: `${renderCount(report.checks.length, 'check')}: ${Object.entries(report.counts)
      .filter(([, count]) => count > 0)
      .map(([status, count]) => `${count} ${status}`)
      .join(', ')}`,
  };
}
