import { Option } from 'commander';
import type { Config } from '../../config/resolve.ts';
import { EvdbError } from '../../errors.ts';
import { sameCommand } from '../../text/command-line.ts';
import { renderCount, renderDuration } from '../../text/units.ts';
import { loadRenderOptions, loadTable } from '../context.ts';
import type { CommandGroup, CommandInput, CommandResult, CommandSpec } from '../define.ts';
import { connectionOptions, parseCount, parseSeconds, reportOptions } from '../options.ts';
import {
  databaseName,
  describeDatabase,
  environmentName,
  loadConnection,
  loadDirectConnection,
} from '../settings.ts';

const PING: CommandSpec = {
  name: 'ping',
  summary: 'say whether the database answers, how fast, and as what',
  options: connectionOptions,
  examples: ['db ping', 'db ping --env staging'],
  run: handlePing,
};

const WAIT: CommandSpec = {
  name: 'wait',
  summary: 'wait until the database accepts connections',
  description:
    'Tries until the database accepts connections, and exits 4 where it does not in time. A refused password or a missing database ends the wait at once.',
  options: () => [
    new Option('--timeout <duration>', 'how long to wait (default: 30s)').argParser(parseSeconds),
    ...connectionOptions(),
  ],
  examples: ['db wait', 'db wait --timeout 2min'],
  run: handleWait,
};

const CREATE: CommandSpec = {
  name: 'create',
  summary: 'create the configured database, unless it exists',
  options: connectionOptions,
  examples: ['db create', 'db create --url postgres://localhost/events'],
  run: handleCreate,
};

const DROP: CommandSpec = {
  name: 'drop',
  summary: 'drop the configured database with all its data',
  description:
    'Drops the configured database with all its data, where it exists. Refused while other sessions are connected, unless --force ends them, and always where the environment is protected.',
  options: () => [
    new Option('--confirm', 'consent: without it nothing is changed'),
    new Option('--force', 'end the sessions that are connected'),
    ...connectionOptions(),
  ],
  examples: ['db drop --confirm', 'db drop --confirm --force'],
  run: handleDrop,
};

const SIZES: CommandSpec = {
  name: 'sizes',
  summary: 'show how big the database, its schemas and its biggest tables are',
  options: () => [
    new Option('--limit <n>', 'how many tables to show (default: 10)').argParser(parseCount),
    ...reportOptions(),
    ...connectionOptions(),
  ],
  examples: ['db sizes', 'db sizes --limit 50'],
  run: handleSizes,
};

export const DB_COMMANDS: CommandGroup = {
  name: 'db',
  summary: 'reach, wait for, create, drop and measure the database',
  examples: ['db ping', 'db wait --timeout 60s'],
  commands: [PING, WAIT, CREATE, DROP, SIZES],
};

async function handlePing(input: CommandInput): Promise<CommandResult> {
  const { pingDatabase, renderPing } = await import('../../database/ping.ts');
  const { connection } = await loadConnection(input);
  const ping = await pingDatabase(connection);
  return { data: ping, text: renderPing(ping, input.style, await loadTable(input.context)) };
}

async function handleWait(input: CommandInput): Promise<CommandResult> {
  const { waitForDatabase } = await import('../../database/ping.ts');
  const { connection } = await loadConnection(input);
  let said = '';
  const answer = await waitForDatabase(connection, {
    timeoutMs: input.flags.timeout as number | undefined,
    onRetry: ({ message }) => {
      if (message !== said) input.context.note(`waiting: ${message}\n`);
      said = message;
    },
  });
  const { database, waitedMs, tries } = answer;
  const after = tries === 1 ? '' : ` (after ${renderDuration(waitedMs)})`;
  return { data: answer, text: `database "${database}" accepts connections${after}` };
}

async function handleCreate(input: CommandInput): Promise<CommandResult> {
  const { ensureDatabase } = await import('../../database/database.ts');
  const { connection } = await loadDirectConnection(input);
  const result = await ensureDatabase(connection);
  const text = result.created
    ? `created database "${result.database}"`
    : `database "${result.database}" exists: nothing to do`;
  return { data: result, text };
}

async function handleDrop(input: CommandInput): Promise<CommandResult> {
  const { dropDatabase } = await import('../../database/database.ts');
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
      hint: 'Nothing was changed. To drop it anyway, remove `protected` from the config file first.',
    });
  }
  if (flags.confirm) return;
  throw new EvdbError('CONFIRM_REQUIRED', `this drops ${name}, all its schemas and all its data`, {
    hint: `Nothing was changed. If that is intended: ${sameCommand('db drop', { confirm: true })}`,
    details: { typed: databaseName(config) },
  });
}

async function handleSizes(input: CommandInput): Promise<CommandResult> {
  const { withInspection } = await import('../../connection/inspection.ts');
  const { readDatabaseSizes, SIZES_VIEW } = await import('../../database/sizes.ts');
  const { renderReport } = await import('../../report/render-report.ts');
  const { connection } = await loadDirectConnection(input);
  const limit = input.flags.limit as number | undefined;
  const report = await withInspection(connection, (session) =>
    readDatabaseSizes(session, { limit }),
  );
  const howOf = await loadRenderOptions(input);
  return { data: report, text: renderReport(report, SIZES_VIEW, howOf()) };
}
