import { relative } from 'node:path';
import { renderSquash } from '../../migrate/squash/report.ts';
import type { Squash } from '../../migrate/squash/squash.ts';
import type { CommandInput, CommandResult } from '../define.ts';
import { withStop } from '../exit-codes.ts';
import {
  embeddedDirectory,
  findConnection,
  lintOptionsOf,
  loadConfig,
  migrateSettings,
} from '../settings.ts';

export async function handleSquash(input: CommandInput): Promise<CommandResult> {
  const { planSquash, writeSquash } = await import('../../migrate/squash/squash.ts');
  const { flags, context, style } = input;
  const config = await loadConfig(input);
  const { directory: _, ...lint } = await lintOptionsOf(config, flags);
  const { connection } = await findConnection(config, context);
  const isDryRun = flags.dryRun === true;
  const squash = await withStop(context, { said: 'dropping the scratch database' }, (signal) =>
    (isDryRun ? planSquash : writeSquash)({
      ...migrateSettings(config, context),
      ...{ connection, lint, signal },
      to: String(flags.to),
      name: flags.name as string | undefined,
      withoutRows: Array.isArray(flags.withoutRows) ? flags.withoutRows.map(String) : [],
      embeddedDirectory: embeddedDirectory(config),
      onScratch: (message) => context.note(`${message}\n`),
    }),
  );
  const shown = withShortPaths(squash, context.cwd);
  return {
    data: { dryRun: isDryRun, ...shown },
    text: renderSquash(shown, { isDryRun, style }),
    ...(isDryRun && { isVerbatim: true }),
  };
}

function withShortPaths(squash: Squash, from: string): Squash {
  const { path, text } = squash.baseline;
  return {
    ...squash,
    baseline: { path: relative(from, path), text },
    moves: squash.moves.map((move) => ({
      from: relative(from, move.from),
      to: relative(from, move.to),
    })),
  };
}
