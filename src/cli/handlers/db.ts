import type { Config } from '../../config/resolve.ts';
import { withInspection } from '../../connection/inspection.ts';
import { dropDatabase, ensureDatabase } from '../../database/database.ts';
import { pingDatabase, renderPing, waitForDatabase } from '../../database/ping.ts';
import { readDatabaseSizes, SIZES_VIEW } from '../../database/sizes.ts';
import { EvdbError } from '../../errors.ts';
import { renderReport } from '../../report/render-report.ts';
import { sameCommand } from '../../text/command-line.ts';
import { renderCount, renderDuration } from '../../text/units.ts';
import { loadTable } from '../context.ts';
import type { CommandInput, CommandResult } from '../define.ts';
import { loadConnection, loadDirectConnection } from '../settings.ts';
import { describeDatabase, environmentName } from './consent.ts';
import { loadRenderOptions } from './stats.ts';

export async function handlePing(input: CommandInput): Promise<CommandResult> {
  const { connection } = await loadConnection(input);
  const ping = await pingDatabase(connection);
  return { data: ping, text: renderPing(ping, input.style, await loadTable(input.context)) };
}

export async function handleWait(input: CommandInput): Promise<CommandResult> {
  const { connection } = await loadConnection(input);
  let said = '';
  const answer = await waitForDatabase(connection, {
    timeoutMs: input.flags.timeout as number | undefined,
    onRetry: ({ message }) => {
      if (message !== said) input.context.err(`waiting: ${message}\n`);
      said = message;
    },
  });
  const { database, waitedMs, tries } = answer;
  const after = tries === 1 ? '' : ` (after ${renderDuration(waitedMs)})`;
  return { data: answer, text: `database "${database}" accepts connections${after}` };
}

export async function handleCreate(input: CommandInput): Promise<CommandResult> {
  const { connection } = await loadDirectConnection(input);
  const result = await ensureDatabase(connection);
  const text = result.created
    ? `created database "${result.database}"`
    : `database "${result.database}" exists: nothing to do`;
  return { data: result, text };
}

export async function handleDrop(input: CommandInput): Promise<CommandResult> {
  const { connection } = await loadDirectConnection(input, (config) =>
    requireDropConsent(input, config),
  );
  const result = await dropDatabase(connection, {
    confirm: true,
    force: input.flags.force === true,
  });
  const { database, dropped, endedSessions } = result;
  const ended =
    endedSessions.length > 0 ? ` and ended ${renderCount(endedSessions.length, 'session')}` : '';
  const text = dropped
    ? `dropped database "${database}"${ended}`
    : `database "${database}" does not exist: nothing to do`;
  return { data: result, text };
}

/** Before a server is started or asked. */
function requireDropConsent({ flags }: CommandInput, config: Config): void {
  const name = describeDatabase(config);
  if (config.isProtected) {
    const message = `drop of ${name} is refused: ${environmentName(config)} is protected`;
    throw new EvdbError('PROTECTED_ENVIRONMENT', message, {
      hint: 'Nothing was changed. Where it really has to go, take `protected` out of the config file first.',
    });
  }
  if (flags.confirm) return;
  throw new EvdbError('CONFIRM_REQUIRED', `this drops ${name}, all its schemas and all its data`, {
    hint: `Nothing was changed. When that is meant: ${sameCommand('db drop', { confirm: true })}`,
  });
}

export async function handleSizes(input: CommandInput): Promise<CommandResult> {
  const { connection } = await loadDirectConnection(input);
  const limit = input.flags.limit as number | undefined;
  const report = await withInspection(connection, (session) =>
    readDatabaseSizes(session, { limit }),
  );
  const howOf = await loadRenderOptions(input);
  return { data: report, text: renderReport(report, SIZES_VIEW, howOf()) };
}
