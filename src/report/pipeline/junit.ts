import type { PipelineCheck, PipelineProblem, PipelineReport } from './pipeline-report.ts';

/**
 * A JUnit report with a test case for each check: errors are failures, warnings and notes are
 * output, what was not looked at is skipped.
 */
export function renderJunit(report: PipelineReport): string {
  const name = `evdb ${report.command}`;
  const cases = report.checks.map((check) => ({
    check,
    problems: report.problems.filter((problem) => problem.check === check.name),
  }));
  const failures = cases.filter(({ problems }) => problems.some(isError)).length;
  const skipped = cases.filter(({ check, problems }) => isSkipped(check, problems)).length;
  const counts = `tests="${cases.length}" failures="${failures}" errors="0"`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="${escapeXml(name)}" ${counts}>`,
    `  <testsuite name="${escapeXml(name)}" ${counts} skipped="${skipped}">`,
    ...cases.map(({ check, problems }) => testCase(name, check, problems)),
    '  </testsuite>',
    '</testsuites>',
  ].join('\n');
}

function isError({ severity }: PipelineProblem): boolean {
  return severity === 'error';
}

function isSkipped({ skipped }: PipelineCheck, problems: PipelineProblem[]): boolean {
  return skipped !== undefined && !problems.some(isError);
}

function testCase(suite: string, check: PipelineCheck, problems: PipelineProblem[]): string {
  const head = `    <testcase classname="${escapeXml(suite)}" name="${escapeXml(check.name)}"`;
  const errors = problems.filter(isError);
  const others = problems.filter((problem) => !isError(problem));
  const [first] = errors;
  const parts = [
    ...(isSkipped(check, problems)
      ? [`      <skipped>${escapeXml(check.skipped ?? '')}</skipped>`]
      : []),
    // One failure a case is all that some readers understand.
    ...(first === undefined
      ? []
      : [
          `      <failure type="${escapeXml(first.rule)}" message="${escapeXml(first.message)}">${escapeXml(
            errors.map(describe).join('\n\n'),
          )}</failure>`,
        ]),
    ...(others.length === 0
      ? []
      : [`      <system-out>${escapeXml(others.map(describe).join('\n\n'))}</system-out>`]),
  ];
  return parts.length === 0 ? `${head}/>` : [`${head}>`, ...parts, '    </testcase>'].join('\n');
}

function describe({ severity, rule, message, hint, excerpt, ...at }: PipelineProblem): string {
  const place = [at.file, at.line, at.column].filter((part) => part !== undefined).join(':');
  return [
    `${severity} ${rule}${place === '' ? '' : `  ${place}`}`,
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
