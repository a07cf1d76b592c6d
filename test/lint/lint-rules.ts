import { lintScripts } from '../../src/lint/engine.ts';
import type { LintFinding } from '../../src/lint/finding.ts';
import { loadSqlParser } from '../../src/sql/parser.ts';

export interface Situation {
  /** What earlier migrations did. */
  setup?: string;
  /** Major version; default 14. */
  version?: number;
  isTransactional?: boolean;
  /** Rows of tables, as a database tells them. */
  rows?: Record<string, number>;
  smallTableRows?: number;
}

/** What the rule finds in a migration, in the light of the earlier ones. */
export async function findingsOf(
  rule: string,
  script: string,
  { setup = '', version = 14, isTransactional = true, rows, smallTableRows }: Situation = {},
): Promise<(LintFinding & { at: string })[]> {
  const { findings } = lintScripts(
    [
      {
        path: '001_setup.sql',
        text: setup,
        direction: 'up',
        isTransactional: true,
        isJudged: false,
      },
      { path: '002_change.sql', text: script, direction: 'up', isTransactional, isJudged: true },
    ],
    {
      parser: await loadSqlParser(),
      isHistoryWhole: true,
      choices: { rules: {}, groups: {}, only: [rule] },
      settings: { serverVersion: version * 10_000, smallTableRows },
      ...(rows && { rows: new Map(Object.entries(rows)) }),
    },
  );
  const lines = script.split('\n');
  return findings.map((finding) => ({
    ...finding,
    at: [...(lines[finding.line - 1] ?? '')].slice(finding.column - 1).join(''),
  }));
}

/** The findings in short: severity, and the text that each points at. */
export async function verdictsOf(
  rule: string,
  script: string,
  situation?: Situation,
): Promise<string[]> {
  const findings = await findingsOf(rule, script, situation);
  return findings.map(({ severity, at }) => `${severity}: ${at}`);
}
