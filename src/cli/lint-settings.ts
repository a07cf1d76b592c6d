import type { Config } from '../config/resolve.ts';
import { assertKnown, GROUPS, type RuleChoices } from '../lint/choice.ts';
import type { LintSettings } from '../lint/rule.ts';
import { RULES } from '../lint/rules.ts';
import type { LintMigrationsOptions } from '../migrate/checks/lint.ts';
import type { Flags } from './define.ts';

/**
 * How migrations are judged: the config file, and flags over it.
 *
 * @throws {EvdbError} CONFIG_INVALID, USAGE for rules and groups that are not there
 */
export function lintOptionsOf(config: Config, flags: Flags): Omit<LintMigrationsOptions, 'paths'> {
  const startAfter = (flags.startAfter as string | undefined) ?? config.lint.startAfter;
  return {
    directory: config.migrationsDir,
    startAfter,
    searchPath: [config.schema, ...config.searchPath],
    settings: settingsOf(config, flags),
    choices: choicesOf(config, flags),
  };
}

function settingsOf({ lint }: Config, flags: Flags): Partial<LintSettings> {
  const { smallTableRows, maxLockTimeoutMs } = lint;
  const serverVersion = (flags.serverVersion as number | undefined) ?? lint.serverVersion;
  return {
    ...(smallTableRows !== undefined && { smallTableRows }),
    ...(maxLockTimeoutMs !== undefined && { maxLockTimeoutMs }),
    ...(serverVersion !== undefined && { serverVersion }),
  };
}

function choicesOf({ lint }: Config, flags: Flags): RuleChoices {
  const names = RULES.map(({ name }) => name);
  const given = Array.isArray(flags.rule) ? flags.rule.map(String) : [];
  const only = given.flatMap((list) => list.split(',').map((name) => name.trim()));
  const inFile = (source: string) => ({ source, code: 'CONFIG_INVALID' as const });
  assertKnown(Object.keys(lint.rules), names, inFile('lint.rules'));
  assertKnown(Object.keys(lint.groups), GROUPS, inFile('lint.groups'));
  assertKnown(only, names, { source: '--rule', code: 'USAGE' });
  return { rules: lint.rules, groups: lint.groups, only };
}
