// Lint for tests: whole scripts, one rule by its name, one rule by itself; then the pages about rules.

import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Catalog, createCatalog } from '../../src/catalog/catalog.ts';
import { emptyImpact, type Impact } from '../../src/impact/impact.ts';
import { type LintOptions, type LintReport, lintScripts } from '../../src/lint/engine.ts';
import type { LintFinding } from '../../src/lint/finding.ts';
import {
  DEFAULT_LINT_SETTINGS,
  type FileState,
  type LintRule,
  type LintScript,
  type LintSettings,
  type RuleFinding,
} from '../../src/lint/rule.ts';
import { loadSqlParser } from '../../src/sql/parser.ts';
import { splitStatements } from '../../src/sql/statements.ts';

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

interface LintStageOptions extends Partial<LintOptions> {
  /** Earlier migrations, which are not judged. */
  before?: string;
  /** The only rules that are on. */
  only?: string[];
}

/** A finding as tests speak of it: its rule and tables, with all else that is known on one level. */
export function flat({ code, objects, location, details, ...finding }: LintFinding) {
  const { file, line, column, endLine, endColumn } = location;
  const { group, lock, blocks, evidence, page } = details;
  return {
    ...{ ...finding, rule: code, tables: objects, file, line, column, endLine, endColumn },
    ...{ group, lock, blocks, evidence, page },
    // They take longer than all the rest.
    get excerpt() {
      return location.excerpt;
    },
    get fingerprint() {
      return details.fingerprint;
    },
  };
}

export type FlatFinding = ReturnType<typeof flat>;

/** A report with its findings on one level. */
type FlatReport = ReturnType<typeof flatReport>;

function flatReport(report: LintReport) {
  return {
    ...report,
    findings: report.findings.map(flat),
    suppressed: report.suppressed.map((one) => ({ ...flat(one), reason: one.reason })),
  };
}

/** Lints one script, in the light of earlier ones where they are given. */
export function lint(
  text: string | LintScript,
  { before, only = [], ...options }: LintStageOptions = {},
): FlatReport {
  const history = before === undefined ? [] : [script(before, { isJudged: false })];
  const judged = typeof text === 'string' ? script(text) : text;
  const choices = { rules: {}, groups: {}, only };
  return flatReport(lintScripts([...history, judged], { parser, choices, ...options }));
}

/** `rule line:column` of each finding. */
export function places({ findings }: FlatReport): string[] {
  return findings.map(({ rule, line, column }) => `${rule} ${line}:${column}`);
}

/** `rule severity` of each finding. */
export function verdicts({ findings }: FlatReport): string[] {
  return findings.map(({ rule, severity }) => `${rule} ${severity}`);
}

interface Situation {
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
): Promise<(FlatFinding & { at: string })[]> {
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
  return findings.map(flat).map((finding) => ({
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

/** What a test of one rule gives it beside the script. */
export interface RuleSurroundings {
  catalog?: Catalog;
  file?: Partial<FileState>;
  settings?: Partial<LintSettings>;
  /** Of every statement. */
  impact?: Partial<Impact>;
}

/** A finding with the text that it points at, up to the end of its line. */
type PlacedFinding = RuleFinding & { at: string };

/** What one rule says of each statement of a script, nothing being known of what ran before. */
export async function checkScript(
  rule: LintRule,
  script: string,
  { catalog = createCatalog(), file, settings, impact }: RuleSurroundings = {},
): Promise<PlacedFinding[]> {
  const parser = await loadSqlParser();
  const statements = splitStatements(script);
  return statements.flatMap((statement) => {
    const tree = parser.parse(statement.text);
    if (tree === null) throw new Error(`does not parse: ${statement.text}`);
    const found = rule.check({
      statement,
      text: statement.text,
      tree,
      start: statement.start,
      isEmbedded: false,
      impact: { ...emptyImpact(), ...impact },
      catalog,
      parse: (text) => parser.parse(text),
      file: {
        isTransactional: true,
        isBackfill: false,
        isGatedContract: false,
        direction: 'up',
        fresh: new Set(),
        freshTypes: new Set(),
        held: new Map(),
        enumValues: new Map(),
        timeZoneIsUtc: undefined,
        checksBodies: true,
        statements,
        trees: statements.map(({ text }) => parser.parse(text)),
        ...file,
      },
      settings: { ...DEFAULT_LINT_SETTINGS, ...settings },
    });
    return found.map((one) => ({
      ...one,
      at: statement.text.slice(one.offset ?? 0).split('\n')[0] ?? '',
    }));
  });
}

/** Name and severity of each finding, the rule's own severity where it has none. */
export function severitiesOf(rule: LintRule, findings: readonly RuleFinding[]): string[] {
  return findings.map(({ severity = rule.severity }) => severity);
}

/** The folder with a page for each rule. */
export const RULE_PAGES = fileURLToPath(new URL('../../docs/rules/', import.meta.url));

/** A migration of a page, that runs on some versions. */
interface PageScript {
  sql: string;
  /** Of the file, without `.sql`. */
  name: string;
  runsOn(major: number): boolean;
}

/** What a page about a rule says, as far as it can be tried. */
export interface RulePage {
  rule: string;
  text: string;
  headings: string[];
  /** The database that the example is for. */
  setup: string;
  bad: {
    sql: string;
    /** Of the finding, from 1. */
    line: number;
    /** The SQLSTATE with which PostgreSQL refuses it. */
    fails: string | undefined;
    /** Whether the safe way ends with the same structure. */
    isSame: boolean;
    runsOn(major: number): boolean;
  };
  good: PageScript[];
}

/** Names of the rules that have a page. */
export function listRulePages(): string[] {
  return readdirSync(RULE_PAGES)
    .filter((name) => name.endsWith('.md') && name !== 'README.md')
    .map((name) => name.slice(0, -3))
    .sort();
}

/**
 * Reads a page. Its SQL blocks say what they are behind the language: `setup`, `bad`, or `good` with
 * the name of a file; then `line=2`, `fails=25001`, `same`, and `pg>=18` or `pg<18`.
 */
export function readRulePage(rule: string): RulePage {
  const text = readFileSync(`${RULE_PAGES}${rule}.md`, 'utf8');
  const blocks = [...text.matchAll(/^```sql (\S+)([^\n]*)\n([\s\S]*?)^```$/gm)].map(
    ([, role = '', words = '', sql = '']) => ({ role, words: words.trim().split(/\s+/), sql }),
  );
  const only = (role: string) => {
    const [block, ...others] = blocks.filter((one) => one.role === role);
    if (!block || others.length > 0) throw new Error(`${rule}.md: there is one block "${role}"`);
    return block;
  };
  const bad = only('bad');
  return {
    rule,
    text,
    headings: [...text.matchAll(/^## (.*)$/gm)].map(([, heading = '']) => heading),
    setup: only('setup').sql,
    bad: {
      sql: bad.sql,
      line: Number(settingIn(bad.words, 'line') ?? 1),
      fails: settingIn(bad.words, 'fails'),
      isSame: bad.words.includes('same'),
      runsOn: conditionIn(bad.words),
    },
    good: blocks
      .filter(({ role }) => role === 'good')
      .map(({ words, sql }) => ({
        sql,
        name: (words[0] ?? '').replace(/\.sql$/, ''),
        runsOn: conditionIn(words),
      })),
  };
}

function settingIn(words: readonly string[], name: string): string | undefined {
  return words.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1);
}

function conditionIn(words: readonly string[]): (major: number) => boolean {
  const [, relation, version] = words.join(' ').match(/pg(>=|<)(\d+)/) ?? [];
  if (version === undefined) return () => true;
  return relation === '<'
    ? (major) => major < Number(version)
    : (major) => major >= Number(version);
}
