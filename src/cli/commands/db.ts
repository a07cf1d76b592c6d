import { type Command, Option } from 'commander';
import type { CliContext } from '../context.ts';
import { type CommandInput, type CommandSpec, defineCommand, defineGroup } from '../define.ts';
import { connectionOptions, parseCount, parseSeconds, reportOptions } from '../options.ts';
import type { CliState } from '../run.ts';

type HandlerName = 'handlePing' | 'handleWait' | 'handleCreate' | 'handleDrop' | 'handleSizes';

function lazily(name: HandlerName): CommandSpec['run'] {
  return async (input: CommandInput) => (await import('../handlers/db.ts'))[name](input);
}

const PING: CommandSpec = {
  name: 'ping',
  summary: 'say whether the database answers, how fast, and as what',
  options: connectionOptions(),
  examples: ['db ping', 'db ping --env staging'],
  run: lazily('handlePing'),
};

const WAIT: CommandSpec = {
  name: 'wait',
  summary: 'wait until the database accepts connections',
  description:
    'Tries until the database accepts connections, and exits 4 where it does not in time. A refused password or a missing database ends the wait at once.',
  options: [
    new Option('--timeout <duration>', 'how long to wait (default: 30s)').argParser(parseSeconds),
    ...connectionOptions(),
  ],
  examples: ['db wait', 'db wait --timeout 2min'],
  run: lazily('handleWait'),
};

const CREATE: CommandSpec = {
  name: 'create',
  summary: 'create the configured database, unless it exists',
  options: connectionOptions(),
  examples: ['db create', 'db create --url postgres://localhost/events'],
  run: lazily('handleCreate'),
};

const DROP: CommandSpec = {
  name: 'drop',
  summary: 'drop the configured database with all its data',
  description:
    'Drops the configured database with all its data, where it exists. Refused where somebody is connected, unless --force ends their sessions, and always where the environment is protected.',
  options: [
    new Option('--confirm', 'consent: without it nothing is changed'),
    new Option('--force', 'end the sessions that are connected'),
    ...connectionOptions(),
  ],
  examples: ['db drop --confirm', 'db drop --confirm --force'],
  run: lazily('handleDrop'),
};

const SIZES: CommandSpec = {
  name: 'sizes',
  summary: 'show how big the database, its schemas and its biggest tables are',
  options: [
    new Option('--limit <n>', 'show so many tables at most (default: 10)').argParser(parseCount),
    ...reportOptions(),
    ...connectionOptions(),
  ],
  examples: ['db sizes', 'db sizes --limit 50'],
  run: lazily('handleSizes'),
};

export function addDbCommands(
  program: Command,
  use: { context: CliContext; state: CliState },
): void {
  const group = defineGroup(program, {
    name: 'db',
    summary: 'reach, wait for, create, drop and measure the database',
    examples: ['db ping', 'db wait --timeout 60s'],
  });
  for (const spec of [PING, WAIT, CREATE, DROP, SIZES]) defineCommand(group, spec, use);
}
