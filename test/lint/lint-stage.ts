import { type LintOptions, type LintReport, lintScripts } from '../../src/lint/engine.ts';
import type { LintScript } from '../../src/lint/rule.ts';
import { loadSqlParser } from '../../src/sql/parser.ts';

const parser = await loadSqlParser();

/** Makes a script that goes up in a transaction and is judged, unless it says otherwise. */
export function script(text: string, changes: Partial<LintScript> = {}): LintScript {
  return {
    path: 'migrations/002_b.sql',
    text,
    direction: 'up',
    isTransactional: !text.startsWith('-- evdb: no-transaction'),
    isJudged: true,
    ...changes,
  };
}

export interface LintStageOptions extends Partial<LintOptions> {
  /** Earlier migrations, which are not judged. */
  before?: string;
  /** The only rules that are on. */
  only?: string[];
}

/** Lints one script, in the light of earlier ones where they are given. */
export function lint(
  text: string | LintScript,
  { before, only = [], ...options }: LintStageOptions = {},
): LintReport {
  const history = before === undefined ? [] : [script(before, { isJudged: false })];
  const judged = typeof text === 'string' ? script(text) : text;
  const choices = { rules: {}, groups: {}, only };
  return lintScripts([...history, judged], { parser, choices, ...options });
}

/** `rule line:column` of each finding. */
export function places({ findings }: LintReport): string[] {
  return findings.map(({ rule, line, column }) => `${rule} ${line}:${column}`);
}

/** `rule severity` of each finding. */
export function verdicts({ findings }: LintReport): string[] {
  return findings.map(({ rule, severity }) => `${rule} ${severity}`);
}
