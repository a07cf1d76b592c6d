import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { LintRule } from '../../src/lint/rule.ts';
import { LINT_RULES } from '../../src/lint/rules.ts';
import { listRulePages, RULE_PAGES, readRulePage } from './lint-kit.ts';

const SEVERITIES = { error: 'an error', warning: 'a warning', info: 'information' };

function sentenceOf({ summary, group, severity, isOptional }: LintRule): string {
  const first = summary.charAt(0).toUpperCase() + summary.slice(1);
  return isOptional
    ? `${first}. Group \`${group}\`, off by default, ${SEVERITIES[severity]} where it is on.`
    : `${first}. Group \`${group}\`, ${SEVERITIES[severity]} by default.`;
}

describe.each(LINT_RULES.map((rule) => [rule.name, rule] as const))(
  'the page about %s',
  (name, rule) => {
    test('begins with what the rule says of itself', () => {
      const [title, , sentence] = readRulePage(name).text.split('\n');
      expect([title, sentence]).toEqual([`# ${name}`, sentenceOf(rule)]);
    });

    test('tells what is found, why it hurts, and what to do instead', () => {
      const { headings, good } = readRulePage(name);
      expect(headings).toEqual([
        'What it finds',
        'Why it hurts',
        'Versions',
        'Example',
        'Instead',
        'What is exempt',
        'When it is intentional',
      ]);
      expect(good.length).toBeGreaterThan(0);
    });

    test('names the files of its safe way in the order in which they run', () => {
      for (const major of [14, 18]) {
        const names = readRulePage(name).good.filter(({ runsOn }) => runsOn(major));
        expect(names.map((one) => one.name)).toEqual(names.map((one) => one.name).sort());
      }
    });

    test('shows how to suppress it', () => {
      expect(readRulePage(name).text).toContain(`-- evdb: ignore ${name}: <reason>`);
    });
  },
);

test('every page is about a rule', () => {
  const names = LINT_RULES.map(({ name }) => name);
  expect(listRulePages().filter((page) => !names.includes(page))).toEqual([]);
});

test('links lead from page to page', () => {
  const pages = [...listRulePages(), 'README'];
  const broken = pages.flatMap((page) => {
    const text = readFileSync(`${RULE_PAGES}${page}.md`, 'utf8');
    const targets = [...text.matchAll(/\]\(([a-zA-Z0-9-]+)\.md(?:#[a-z-]+)?\)/g)];
    return targets.filter(([, target = '']) => !pages.includes(target)).map(([link]) => link);
  });
  expect(broken).toEqual([]);
});

// `EVDB_UPDATE_RULE_INDEX=1` writes the table instead of comparing it.
test('the index lists every rule', () => {
  const path = `${RULE_PAGES}README.md`;
  const text = readFileSync(path, 'utf8');
  const table = /(?<=<!-- rules:[^\n]*-->\n\n)[\s\S]*?(?=\n*<!-- \/rules -->)/;
  if (process.env.EVDB_UPDATE_RULE_INDEX === '1') {
    writeFileSync(path, text.replace(table, renderIndex()));
  } else expect(table.exec(text)?.[0]).toBe(renderIndex());
});

function renderIndex(): string {
  const rows = LINT_RULES.map(({ name, group, severity, isOptional, summary }) => [
    `[${name}](${name}.md)`,
    group,
    isOptional ? `${severity}, off` : severity,
    summary,
  ]);
  const all = [['rule', 'group', 'severity', 'what it finds'], ...rows];
  const widths = [0, 1, 2, 3].map((column) =>
    Math.max(...all.map((row) => (row[column] ?? '').length)),
  );
  const line = (cells: string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  return [line(all[0] ?? []), rule, ...rows.map(line)].join('\n');
}
