import { resolve } from 'node:path';
import type { LintReport } from '../../lint/engine.ts';
import { lintMigrations } from '../../migrate/lint.ts';
import { renderLint } from '../../report/lint.ts';
import type { CommandInput, CommandResult } from '../define.ts';
import { EXIT } from '../exit-codes.ts';
import { loadConfig } from '../settings.ts';
import { tuneForParser } from '../v8-flags.ts';

export async function handleLint(input: CommandInput): Promise<CommandResult> {
  await tuneForParser();
  const { args, context, flags, style } = input;
  const config = await loadConfig(input);
  const report = await lintMigrations({
    directory: config.migrationsDir,
    paths: args.map((path) => resolve(context.cwd, path)),
    startAfter: flags.startAfter as string | undefined,
    searchPath: [config.schema, ...config.searchPath],
    choices: { rules: {}, groups: {}, only: listOf(flags.rule) },
  });
  return {
    data: report,
    text: renderLint(report, style),
    exitCode: isFailure(report, flags.strict === true) ? EXIT.found : EXIT.done,
  };
}

function isFailure({ counts }: LintReport, isStrict: boolean): boolean {
  return counts.error > 0 || (isStrict && counts.warning > 0);
}

function listOf(flag: unknown): string[] {
  const given = Array.isArray(flag) ? flag.map(String) : [];
  return given.flatMap((names) => names.split(',').map((name) => name.trim()));
}
