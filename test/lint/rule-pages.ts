import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The folder with a page for each rule. */
export const RULE_PAGES = fileURLToPath(new URL('../../docs/rules/', import.meta.url));

/** A migration of a page, that runs on some versions. */
export interface PageScript {
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
