import { readFileSync } from 'node:fs';
import { packagePath } from '../file-system.ts';
import { LINT_RULES } from '../lint/rules.ts';
import { readLintRulePage } from '../migrate/checks/lint-pages.ts';
import type { RuleHelp } from '../report/pipeline.ts';

/** Pages whose tables say, a line each, what a code means. */
const TABLES = ['docs/reference/errors.md', 'docs/doctor.md'];

/**
 * What the documentation of the package says of a code: the page of a lint rule, or the line of a
 * table. Undefined where it says nothing.
 */
export function findRuleHelp(code: string): RuleHelp | undefined {
  const found = readRulePage(code) ?? readTableLine(code);
  return found && { ...found, url: addressOf(found.page) };
}

function readRulePage(code: string): Omit<RuleHelp, 'url'> | undefined {
  const rule = LINT_RULES.find(({ name }) => name === code);
  if (!rule) return undefined;
  return {
    page: `docs/rules/${code}.md`,
    summary: rule.summary,
    markdown: readLintRulePage(code).trim(),
  };
}

function readTableLine(code: string): Omit<RuleHelp, 'url'> | undefined {
  for (const page of TABLES) {
    const line = readFileSync(packagePath(...page.split('/')), 'utf8')
      .split('\n')
      .find((one) => one.startsWith(`| \`${code}\` `));
    const cells = line?.split(/(?<!\\)\|/).slice(2, -1);
    if (cells) {
      const [summary = ''] = cells.map((cell) => cell.trim()).slice(-1);
      return { page, summary, markdown: summary };
    }
  }
  return undefined;
}

function addressOf(page: string): string {
  const { homepage, version } = JSON.parse(readFileSync(packagePath('package.json'), 'utf8')) as {
    homepage: string;
    version: string;
  };
  return `${homepage.replace(/#.*$/, '')}/blob/v${version}/${page}`;
}
