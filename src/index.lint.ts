// The declarations speak of Buffer and of Node's events; compilers no longer look for these alone.
/// <reference types="node" preserve="true" />
export type { LintFileSettings } from './config/lint-settings.ts';
export { parseServerVersion } from './config/lint-settings.ts';
export type { RuleChoices, SeverityChoice, SeverityCounts } from './lint/choice.ts';
export { assertKnown, GROUPS } from './lint/choice.ts';
export type { LintOptions, LintReport } from './lint/engine.ts';
export { lintScripts } from './lint/engine.ts';
export type { LintFinding } from './lint/finding.ts';
export type { Evidence, LintScript, LintSettings, Rule, RuleGroup, Severity } from './lint/rule.ts';
export { RULES } from './lint/rules.ts';
export type { LintMigrationsOptions, LintSettingsOptions } from './migrate/checks/lint.ts';
export { lintMigrations } from './migrate/checks/lint.ts';
export type {
  FixedFile,
  FixPlan,
  LeftFinding,
  PlanFixesOptions,
} from './migrate/checks/lint-fix.ts';
export { planLintFixes, writeFixes } from './migrate/checks/lint-fix.ts';
export { readRulePage } from './migrate/checks/rule-page.ts';
export type { ParseFailure, SqlParser } from './sql/parser.ts';
export { loadParser } from './sql/parser.ts';
