import { Option } from 'commander';
import { type CommandGroup, type CommandSpec, handlersOf } from '../define.ts';
import { connectionOptions, parseCount, parseSeconds, reportOptions } from '../options.ts';

const handler = handlersOf(() => import('../handlers/db.ts'));

const PING: CommandSpec = {
  name: 'ping',
  summary: 'say whether the database answers, how fast, and as what',
  options: connectionOptions(),
  examples: ['db ping', 'db ping --env staging'],
  run: handler('handlePing'),
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
  run: handler('handleWait'),
};

const CREATE: CommandSpec = {
  name: 'create',
  summary: 'create the configured database, unless it exists',
  options: connectionOptions(),
  examples: ['db create', 'db create --url postgres://localhost/events'],
  run: handler('handleCreate'),
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
  run: handler('handleDrop'),
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
  run: handler('handleSizes'),
};

export const DB_COMMANDS: CommandGroup = {
  name: 'db',
  summary: 'reach, wait for, create, drop and measure the database',
  examples: ['db ping', 'db wait --timeout 60s'],
  commands: [PING, WAIT, CREATE, DROP, SIZES],
};
