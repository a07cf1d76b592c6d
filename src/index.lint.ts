// The declarations speak of Buffer and of Node's events; compilers no longer look for these alone.
/// <reference types="node" preserve="true" />
export { type LintFileSettings, parseServerVersion } from './config/lint-settings.ts';
export type { LintRuleChoices, LintSeverityChoice, LintSeverityCounts } from './lint/choice.ts';
export { assertKnownLintRules, LINT_RULE_GROUPS } from './lint/choice.ts';
export { type LintOptions, type LintReport, lintScripts } from './lint/engine.ts';
export type { LintDetails, LintFinding, SuppressedLintFinding } from './lint/finding.ts';
export type {
  LintEvidence,
  LintRule,
  LintRuleGroup,
  LintScript,
  LintSettings,
  Severity,
} from './lint/rule.ts';
export { LINT_RULES } from './lint/rules.ts';
export type { LintMigrationsOptions, LintSettingsOptions } from './migrate/checks/lint.ts';
export { lintMigrations } from './migrate/checks/lint.ts';
export type {
  LintFixedFile,
  LintFixPlan,
  PlanLintFixesOptions,
  UnfixedFinding,
} from './migrate/checks/lint-fix.ts';
export { planLintFixes, withFixRefusals, writeLintFixes } from './migrate/checks/lint-fix.ts';
export { readLintRulePage } from './migrate/checks/lint-pages.ts';
export { loadSqlParser, type SqlParseFailure, type SqlParser } from './sql/parser.ts';
