import { relative } from 'node:path';
import { EvdbError } from '../../errors.ts';
import type { Expansion } from '../../migrate/expand/expand.ts';
import { renderExpansion } from '../../migrate/expand/report.ts';
import type { ExpandRequest } from '../../migrate/expand/requests.ts';
import type { CommandInput, CommandResult } from '../define.ts';
import { embeddedDirectory, lintOptionsOf, loadMigrateOptions } from '../settings.ts';

export const handleRenameColumn = expanding(({ args: [column = '', to = ''], flags }) => ({
  ...{ recipe: 'rename-column', column, to },
  requireBuild: textOf(flags.requireBuild),
}));

export const handleChangeType = expanding(({ args: [column = '', type = ''], flags }) => ({
  ...{ recipe: 'change-type', column, type, using: textOf(flags.using), back: textOf(flags.back) },
  requireBuild: textOf(flags.requireBuild),
}));

export const handleSetNotNull = expanding(({ args: [column = ''], flags }) => ({
  ...{ recipe: 'set-not-null', column, default: textOf(flags.default) },
  requireBuild: textOf(flags.requireBuild),
}));

export const handleSplitColumn = expanding(({ args: [column = ''], flags }) => {
  const into = Array.isArray(flags.into) ? flags.into.map(String) : [];
  const join = textOf(flags.join);
  if (into.length === 0 || join === undefined) {
    throw new EvdbError('USAGE', 'split-column needs the new columns and the way back', {
      hint: `Give --into for each new column, such as --into "first_name text = split_part(name, ' ', 1)", and --join with what the old column is, such as --join "concat_ws(' ', first_name, last_name)".`,
    });
  }
  const requireBuild = textOf(flags.requireBuild);
  return { recipe: 'split-column', column, into, join, requireBuild };
});

export const handleAddForeignKey = expanding(({ args: [column = '', references = ''], flags }) => {
  const { onDelete, onUpdate } = flags as Record<string, never>;
  return { recipe: 'add-foreign-key', column, references, onDelete, onUpdate };
});

export const handleAddUnique = expanding(({ args: [columns = ''] }) => ({
  recipe: 'add-unique',
  columns,
}));

export const handleAddCheck = expanding(({ args: [table = '', condition = ''], flags }) => ({
  ...{ recipe: 'add-check', table, condition, name: textOf(flags.name) },
}));

function textOf(flag: unknown): string | undefined {
  return flag === undefined ? undefined : String(flag);
}

/** A command that writes the migrations of a request, or prints them. */
function expanding(requestOf: (input: CommandInput) => ExpandRequest) {
  return async (input: CommandInput): Promise<CommandResult> => {
    const { planExpansion, writeExpansion } = await import('../../migrate/expand/expand.ts');
    const { flags, context, style } = input;
    const { config, options } = await loadMigrateOptions(input);
    const { paths: _, ...lint } = { paths: [], ...(await lintOptionsOf(config, flags)) };
    const isDryRun = flags.dryRun === true;
    const expansion = await (isDryRun ? planExpansion : writeExpansion)({
      ...options,
      request: requestOf(input),
      lint,
      numbering: flags.timestamp ? 'timestamp' : flags.sequential ? 'sequential' : undefined,
      embeddedDirectory: embeddedDirectory(config),
      onScratch: (message) => context.note(`${message}\n`),
    });
    const shown = withShortPaths(expansion, context.cwd);
    return {
      data: { dryRun: isDryRun, ...shown },
      text: renderExpansion(shown, { isDryRun, style }),
      ...(isDryRun && { isVerbatim: true }),
    };
  };
}

function withShortPaths(expansion: Expansion, from: string): Expansion {
  const migrations = expansion.migrations.map((migration) => ({
    ...migration,
    files: migration.files.map(({ path, text }) => ({ path: relative(from, path), text })),
  }));
  return { ...expansion, migrations };
}
