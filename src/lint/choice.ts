import { EvdbError } from '../errors.ts';
import { commandLine } from '../text/command-line.ts';
import { renderSuggestion } from '../text/words.ts';
import type { LintRule, LintRuleGroup, Severity } from './rule.ts';

/** The configured severity of a rule or of a group; `off` leaves it out. */
export type LintSeverityChoice = Severity | 'off';

/**
 * The configured severities of rules and groups, by their names; `only`, unless empty, leaves out
 * all others.
 */
export interface LintRuleChoices {
  rules: Readonly<Record<string, LintSeverityChoice>>;
  groups: Readonly<Partial<Record<LintRuleGroup, LintSeverityChoice>>>;
  /** Only these rules; empty for all. */
  only: readonly string[];
}

export const NO_CHOICES: LintRuleChoices = { rules: {}, groups: {}, only: [] };

/** A rule that is on. */
export interface ChosenRule {
  rule: LintRule;
  /** Overrules what its findings say. */
  severity: Severity | undefined;
}

/** The rules that are on: a rule's own entry counts before that of its group. */
export function chooseRules(all: readonly LintRule[], choices: LintRuleChoices): ChosenRule[] {
  const { rules, groups, only } = choices;
  return all.flatMap((rule): ChosenRule[] => {
    const isAsked = only.includes(rule.name);
    if (only.length > 0 && !isAsked) return [];
    const choice = rules[rule.name] ?? groups[rule.group];
    if (choice === undefined)
      return rule.isOptional && !isAsked ? [] : [{ rule, severity: undefined }];
    if (choice !== 'off') return [{ rule, severity: choice }];
    return isAsked ? [{ rule, severity: undefined }] : [];
  });
}

/**
 * What becomes of a rule in a down script: that destroys what its migration made, by design, and
 * the old application is what runs after it. Locks are felt all the same, but a way back must exist.
 */
export function severityInDown(rule: LintRule, severity: Severity): Severity | undefined {
  const fate = rule.inDown ?? FATE_OF_GROUP[rule.group];
  if (fate === 'off') return undefined;
  if (fate === 'same') return severity;
  return severity === 'error' ? 'warning' : 'info';
}

const FATE_OF_GROUP: Record<LintRuleGroup, NonNullable<LintRule['inDown']>> = {
  locks: 'weaker',
  data: 'off',
  compat: 'off',
  tx: 'same',
  style: 'off',
};

/** How many findings there are of each severity. */
export type LintSeverityCounts = Record<Severity, number>;

export function countSeverities(findings: readonly { severity: Severity }[]): LintSeverityCounts {
  const counts = { error: 0, warning: 0, info: 0 };
  for (const { severity } of findings) counts[severity]++;
  return counts;
}

/**
 * Checks that rules and groups with these names exist.
 *
 * @param source what names them, for the message, such as `--rule` or `lint.rules`
 * @throws {EvdbError} `code`, with the most similar name
 * @example
 * const names = LINT_RULES.map(({ name }) => name);
 * assertKnownLintRules(['add-required-column'], names, { source: '--rule', code: 'USAGE' });
 */
export function assertKnownLintRules(
  names: readonly string[],
  known: readonly string[],
  { source, code }: { source: string; code: 'USAGE' | 'CONFIG_INVALID' },
): void {
  for (const name of names) {
    if (known.includes(name)) continue;
    throw new EvdbError(code, `${source}: there is no "${name}"${renderSuggestion(name, known)}`, {
      hint: `To see the rules and their groups, run: ${commandLine('lint', { 'list-rules': true })}`,
      details: { name, known },
    });
  }
}

/** The groups of lint rules, in the order in which lists show them. */
export const LINT_RULE_GROUPS = [
  'locks',
  'data',
  'compat',
  'tx',
  'style',
] as const satisfies LintRuleGroup[];
