import { hash } from 'node:crypto';
import type { Finding, FindingLocation } from '../finding.ts';
import {
  excerptOf,
  LEVELS,
  type PipelineCheck,
  type PipelinePlace,
  type PipelineReport,
  type RuleHelp,
  renderComment,
  repositoryPath,
} from './pipeline.ts';

/** The formats for pipelines; `human` and `json` are every command's own. */
export type PipelineFormat = 'sarif' | 'github' | 'gitlab' | 'junit' | 'markdown';

const RENDERERS: Record<PipelineFormat, (report: PipelineReport, place: PipelinePlace) => string> =
  {
    sarif: renderSarif,
    github: renderGithub,
    gitlab: renderGitlab,
    junit: renderJunit,
    markdown: renderComment,
  };

/**
 * Writes what a command found in one of the formats that pipelines read. Pure.
 *
 * @example renderPipeline('sarif', pipelineOfStatus(status), place)
 */
export function renderPipeline(
  format: PipelineFormat,
  report: PipelineReport,
  place: PipelinePlace,
): string {
  return RENDERERS[format](report, place);
}

/**
 * Workflow commands that GitHub Actions shows as annotations on the lines of a pull request, and
 * the summary as plain text.
 *
 * @see https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
 */
function renderGithub(report: PipelineReport, place: PipelinePlace): string {
  // GitHub shows ten annotations of a step: what is for information only would take their place.
  const lines = report.findings
    .filter(({ severity }) => severity !== 'info')
    .map((finding) => annotation(finding, place));
  // Text of others must not become a command of the workflow.
  return [...lines, report.summary.replace(/^::/gm, ' ::')].join('\n');
}

function annotation(finding: Finding, place: PipelinePlace): string {
  const { severity, code, message, hint, location } = finding;
  const { diff } = (finding.details ?? {}) as { diff?: string };
  const written = Object.entries({
    ...(location && annotatedPlace(location, place)),
    title: `evdb: ${code}`,
  })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${escapeProperty(String(value))}`);
  const text = [message, hint, diff].filter(Boolean).join('\n');
  return `::${LEVELS[severity]} ${written.join(',')}::${escapeData(text)}`;
}

function annotatedPlace(
  { file, line, column, endLine, endColumn }: FindingLocation,
  place: PipelinePlace,
) {
  // A column without an end makes GitHub drop both, and columns only hold within one line.
  const isOneLine = endLine === undefined || endLine === line;
  return {
    ...{ file: repositoryPath(file, place), line, endLine, col: column },
    endColumn: isOneLine ? endColumn : undefined,
  };
}

function escapeData(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function escapeProperty(text: string): string {
  return escapeData(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}

const GITLAB_SEVERITIES = { error: 'critical', warning: 'minor', note: 'info' };

/**
 * A report for GitLab's code quality widget.
 *
 * @see https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
 */
function renderGitlab(report: PipelineReport, place: PipelinePlace): string {
  const fingerprints = fingerprintsOf(report.findings, place);
  const issues = report.findings.map(({ message, hint, code, severity, location }, index) => ({
    description: hint ? `${message}${/[.!?]$/.test(message) ? ' ' : '. '}${hint}` : message,
    check_name: code,
    fingerprint: fingerprints[index],
    severity: GITLAB_SEVERITIES[LEVELS[severity]],
    location: {
      path: repositoryPath(location?.file ?? place.fallbackFile, place),
      lines: {
        begin: location?.line ?? 1,
        ...(location?.endLine !== undefined && { end: location.endLine }),
      },
    },
  }));
  return JSON.stringify(issues, null, 2);
}

/**
 * An id for each finding that stays when lines above it move, so that a pipeline tells new ones
 * from old ones. Equal findings in one file are counted, because GitLab shows only one of a kind.
 */
function fingerprintsOf(findings: readonly Finding[], place: PipelinePlace): string[] {
  const seen = new Map<string, number>();
  return findings.map(({ code, message, location, details }) => {
    const path = repositoryPath(location?.file ?? place.fallbackFile, place);
    const { fingerprint } = (details ?? {}) as { fingerprint?: string };
    const base = fingerprint ?? hash('sha256', [path, code, message].join('\0'), 'hex');
    const before = seen.get(base) ?? 0;
    seen.set(base, before + 1);
    return before === 0 ? base : hash('sha256', `${base}\0${before}`, 'hex');
  });
}

/**
 * A JUnit report with a test case for each check: errors are failures, warnings and notes are
 * output, what was not looked at is skipped.
 */
function renderJunit(report: PipelineReport, place: PipelinePlace): string {
  const name = `evdb ${report.command}`;
  const cases = report.checks.map((check) => ({
    check,
    findings: located(report.findings, place).filter((finding) => finding.check === check.name),
  }));
  const failures = cases.filter(({ findings }) => findings.some(isError)).length;
  const skipped = cases.filter(({ check, findings }) => isSkipped(check, findings)).length;
  const counts = `tests="${cases.length}" failures="${failures}" errors="0"`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="${escapeXml(name)}" ${counts}>`,
    `  <testsuite name="${escapeXml(name)}" ${counts} skipped="${skipped}">`,
    ...cases.map(({ check, findings }) => testCase(name, check, findings)),
    '  </testsuite>',
    '</testsuites>',
  ].join('\n');
}

function isError({ severity }: Finding): boolean {
  return severity === 'error';
}

function isSkipped({ skipped }: PipelineCheck, findings: readonly Finding[]): boolean {
  return skipped !== undefined && !findings.some(isError);
}

function testCase(suite: string, check: PipelineCheck, findings: readonly Finding[]): string {
  const head = `    <testcase classname="${escapeXml(suite)}" name="${escapeXml(check.name)}"`;
  const errors = findings.filter(isError);
  const others = findings.filter((finding) => !isError(finding));
  const [first] = errors;
  const parts = [
    ...(isSkipped(check, findings)
      ? [`      <skipped>${escapeXml(check.skipped ?? '')}</skipped>`]
      : []),
    // One failure a case is all that some readers understand.
    ...(first === undefined
      ? []
      : [
          `      <failure type="${escapeXml(first.code)}" message="${escapeXml(first.message)}">${escapeXml(
            errors.map(describe).join('\n\n'),
          )}</failure>`,
        ]),
    ...(others.length === 0
      ? []
      : [`      <system-out>${escapeXml(others.map(describe).join('\n\n'))}</system-out>`]),
  ];
  return parts.length === 0 ? `${head}/>` : [`${head}>`, ...parts, '    </testcase>'].join('\n');
}

/** Findings with their files as the repository knows them. */
function located<T extends Finding>(findings: readonly T[], place: PipelinePlace): T[] {
  return findings.map((finding) => {
    const { location } = finding;
    if (!location) return finding;
    return { ...finding, location: { ...location, file: repositoryPath(location.file, place) } };
  });
}

function describe(finding: Finding): string {
  const { severity, code, message, hint, location } = finding;
  const { file, line, column } = location ?? {};
  const place = [file, line, column].filter((part) => part !== undefined).join(':');
  const excerpt = excerptOf(finding);
  return [
    `${LEVELS[severity]} ${code}${place === '' ? '' : `  ${place}`}`,
    message,
    ...(excerpt ? [excerpt] : []),
    ...(hint ? [hint] : []),
  ].join('\n');
}

/** XML 1.0 has no way to write most control characters, and half a surrogate pair is none at all. */
function escapeXml(text: string): string {
  return (
    text
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      .replaceAll('"', '&quot;')
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what has to go
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '\ufffd')
      .replace(/\p{Surrogate}/gu, '\ufffd')
  );
}

/**
 * A SARIF 2.1.0 log, as GitHub code scanning and editors read it.
 *
 * @see https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
 */
function renderSarif(report: PipelineReport, place: PipelinePlace): string {
  const rules = [...new Set(report.findings.map(({ code }) => code))].sort();
  const fingerprints = fingerprintsOf(report.findings, place);
  const log = {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'evdb',
            semanticVersion: place.toolVersion,
            rules: rules.map((id) => sarifRule(id, place.findHelp?.(id))),
          },
        },
        automationDetails: { id: `evdb ${report.command}/` },
        columnKind: 'unicodeCodePoints',
        originalUriBaseIds: { ROOT: { description: { text: "The repository's root." } } },
        results: report.findings.map((finding, index) =>
          sarifResult(finding, { rules, place, fingerprint: fingerprints[index] ?? '' }),
        ),
      },
    ],
  };
  return JSON.stringify(log, null, 2);
}

/** GitHub shows `markdown` beside the finding; other readers take `text`. */
function sarifRule(id: string, help: RuleHelp | undefined): object {
  if (!help) return { id, shortDescription: { text: describeRule(id) } };
  return {
    id,
    shortDescription: { text: describeRule(id) },
    fullDescription: { text: help.summary },
    helpUri: help.url,
    help: { text: `${help.summary}\n${help.url}`, markdown: help.markdown },
  };
}

/** `set-not-null` and `CHANGED_MIGRATION` as words. */
function describeRule(id: string): string {
  return id.toLowerCase().replace(/[-_]/g, ' ');
}

function sarifResult(
  { code, severity, message, hint, location }: Finding,
  at: { rules: string[]; place: PipelinePlace; fingerprint: string },
): object {
  const region = location && sarifRegion(location);
  return {
    ruleId: code,
    ruleIndex: at.rules.indexOf(code),
    level: LEVELS[severity],
    message: { text: hint ? `${message}\n${hint}` : message },
    locations: [
      {
        physicalLocation: {
          artifactLocation: {
            uri: encodePath(repositoryPath(location?.file ?? at.place.fallbackFile, at.place)),
            uriBaseId: 'ROOT',
          },
          ...(region && { region }),
        },
      },
    ],
    partialFingerprints: { 'evdb/v1': at.fingerprint },
  };
}

function sarifRegion({ line, column, endLine, endColumn }: FindingLocation): object | undefined {
  if (line === undefined) return undefined;
  return {
    startLine: line,
    ...(column !== undefined && { startColumn: column }),
    ...(endLine !== undefined && { endLine }),
    ...(endColumn !== undefined && { endColumn }),
  };
}

function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}
