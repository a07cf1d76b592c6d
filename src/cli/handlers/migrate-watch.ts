import { existsSync, readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../../config/resolve.ts';
import { EvdbError } from '../../errors.ts';
import { migrateDown } from '../../migrate/apply/commands.ts';
import type { MigrationResult } from '../../migrate/apply/migrator.ts';
import type { MigrateUpOptions } from '../../migrate/checks/up.ts';
import { readStatus, type StatusEntry } from '../../migrate/plan/status.ts';
import { sameCommand } from '../../text/command-line.ts';
import { loadStyle } from '../context.ts';
import type { CommandInput, CommandResult } from '../define.ts';
import { EXIT, isInterrupted, withStop } from '../exit-codes.ts';
import { renderError } from '../output.ts';
import { describeTarget, environmentName, loadMigrateOptions } from '../settings.ts';
import { runWithProgress, upWithDatabase } from './migrate.ts';

/**
 * `up --watch`: applies what is saved, until Ctrl-C. The newest migration is rolled back first where
 * its SQL changed. A failure is shown, and the next save tries again.
 */
export async function handleUpWatch(input: CommandInput): Promise<CommandResult> {
  const { context, flags, style } = input;
  const { strict, outOfOrder } = flags as Record<string, never>;
  const { options } = await loadMigrateOptions(input, { mayCreate: true, check: refuseToWatch });
  const errStyle = await loadStyle(context.errColour);
  const exitCode = await withStop(context, { endsUnread: true }, async (signal) => {
    await onEachChange(options.directory, signal, async () => {
      try {
        await bringUpToDate(input, { ...options, strict, outOfOrder, signal });
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof EvdbError)) throw error;
        context.err(`${renderError(error, errStyle)}\n`);
      }
      const folder = relative(context.cwd, options.directory);
      context.out(`${style.dim(`waiting for changes in ${folder} (Ctrl-C ends it)`)}\n`);
    });
    return isInterrupted(signal) ? EXIT.interrupted : EXIT.done;
  });
  return { data: {}, text: '', exitCode, isStream: true };
}

/** What a save rolls back takes the rows of its tables along. */
function refuseToWatch(config: Config): void {
  const target = describeTarget(config);
  const hint = `Apply what is pending with \`${sameCommand('migrate up', {}, { without: ['watch'] })}\`.`;
  if (config.isProtected) {
    const why = `${environmentName(config)} is protected`;
    throw new EvdbError('PROTECTED_ENVIRONMENT', `--watch on ${target} is refused: ${why}`, {
      hint,
    });
  }
  const used = config.migrationConnection ?? config.connection;
  if (used.kind === 'embedded' || used.options.hosts.every(({ host }) => isLocalHost(host))) return;
  throw new EvdbError('USAGE', `--watch is for a database on this machine, not for ${target}`, {
    hint,
  });
}

/** The folder of a socket, or a name or an address of this machine. */
function isLocalHost(host: string): boolean {
  return /^([/@]|localhost$|127\.|::1$)/i.test(host);
}

const POLL_MS = 250;
const SETTLE_MS = 50;

/**
 * Calls `work` at once and after each change of the folder's files, one call at a time. It looks at
 * names, sizes and times, which works on every file system: a system's own notices of changes do not
 * cross the border of a container.
 */
async function onEachChange(
  directory: string,
  signal: AbortSignal,
  work: () => Promise<void>,
): Promise<void> {
  const wait = (ms: number) => sleep(ms, undefined, { signal }).catch(() => undefined);
  let seen: string | undefined;
  while (!signal.aborted) {
    const found = fingerprint(directory);
    if (found !== seen) {
      // An editor may write in several steps.
      await wait(SETTLE_MS);
      if (signal.aborted || fingerprint(directory) !== found) continue;
      seen = found;
      await work();
    }
    await wait(POLL_MS);
  }
}

function fingerprint(directory: string): string {
  try {
    const again = join(directory, 'repeatable');
    const files = [
      ...readdirSync(directory),
      ...(existsSync(again) ? readdirSync(again).map((name) => join('repeatable', name)) : []),
    ];
    const names = files.filter((name) => name.endsWith('.sql')).sort();
    const found = names.map((name) => {
      const { size, mtimeMs, ino } = statSync(join(directory, name));
      return `${name} ${size} ${mtimeMs} ${ino}`;
    });
    return found.join('\n');
  } catch {
    // No folder, or a file that went between the two: another look follows.
    return '';
  }
}

async function bringUpToDate(input: CommandInput, options: MigrateUpOptions): Promise<void> {
  const run = async (
    command: 'up' | 'down',
    work: (all: MigrateUpOptions) => Promise<MigrationResult>,
  ) => {
    const { text } = await runWithProgress(input, options, work, command);
    input.context.out(`${text}\n`);
  };
  const newest = await readNewest(options);
  if (newest?.state === 'changed') await run('down', rollBackNewest);
  await run('up', (all) => upWithDatabase(input, all));
}

async function readNewest(options: MigrateUpOptions): Promise<StatusEntry | undefined> {
  try {
    const { migrations } = await readStatus(options);
    return migrations.findLast(({ state }) => state !== 'pending' && state !== 'outOfOrder');
  } catch (error) {
    // `up` may create it.
    if (error instanceof EvdbError && error.code === 'DATABASE_MISSING') return undefined;
    throw error;
  }
}

/** By the down script of what was applied; the one in the folder may be for what comes next. */
async function rollBackNewest(options: MigrateUpOptions): Promise<MigrationResult> {
  try {
    return await migrateDown({ ...options, fromLedger: true });
  } catch (error) {
    if (!(error instanceof EvdbError) || error.code !== 'MISSING_DOWN') throw error;
    return migrateDown(options);
  }
}
