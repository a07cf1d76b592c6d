import { type Catalog, createCatalog } from '../../src/catalog/catalog.ts';
import { emptyImpact, type Impact } from '../../src/impact/impact.ts';
import {
  DEFAULT_LINT_SETTINGS,
  type FileState,
  type LintRule,
  type LintSettings,
  type RuleFinding,
} from '../../src/lint/rule.ts';
import { loadSqlParser } from '../../src/sql/parser.ts';
import { splitStatements } from '../../src/sql/statements.ts';

/** What a test of one rule gives it beside the script. */
export interface RuleSurroundings {
  catalog?: Catalog;
  file?: Partial<FileState>;
  settings?: Partial<LintSettings>;
  /** Of every statement. */
  impact?: Partial<Impact>;
}

/** A finding with the text that it points at, up to the end of its line. */
export type PlacedFinding = RuleFinding & { at: string };

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
      file: {
        isTransactional: true,
        direction: 'up',
        fresh: new Set(),
        freshTypes: new Set(),
        held: new Map(),
        enumValues: new Map(),
        timeZoneIsUtc: undefined,
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
