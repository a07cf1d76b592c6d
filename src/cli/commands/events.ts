import { Option } from 'commander';
import { type CommandGroup, type CommandSpec, handlersOf } from '../define.ts';
import {
  eventSchemaOptions,
  parseMoment,
  parseSeconds,
  parseWithin,
  reportOptions,
} from '../options.ts';

const handler = handlersOf(() => import('../handlers/events.ts'));

function findOptions(): Option[] {
  return [
    new Option('--from <time>', 'not before this time (default: now)').argParser(parseMoment),
    new Option('--until <time>', 'before this time').argParser(parseMoment),
    new Option('--past', 'also events that have begun').conflicts('from'),
    new Option('--location <words>', 'words that the location must contain'),
    new Option('--inactive', 'also events that are inactive'),
    new Option('--free', 'only events with free seats'),
    new Option('--limit <n>', 'show at most this many events')
      .argParser(parseWithin(1, 100))
      .default(20),
    new Option('--after <cursor>', 'the next page: the cursor that the previous page gave'),
    ...reportOptions(),
    ...eventSchemaOptions(),
  ];
}

const LIST: CommandSpec = {
  name: 'list',
  summary: 'list events, the soonest first',
  options: findOptions,
  examples: ['events list', 'events list --free --until 2026-12-31'],
  run: handler('handleList'),
};

const SEARCH: CommandSpec = {
  name: 'search',
  summary: 'find events by words, the best first',
  arguments: [['<words...>', 'such as: jazz berlin, "jazz night", jazz or blues, jaz*']],
  options: findOptions,
  examples: ['events search jazz berlin', 'events search \'"jazz night"\' --past'],
  run: handler('handleSearch'),
};

const SHOW: CommandSpec = {
  name: 'show',
  summary: 'show one event',
  arguments: [['<event>', 'id of the event']],
  options: eventSchemaOptions,
  examples: ['events show 42'],
  run: handler('handleShow'),
};

const STATS: CommandSpec = {
  name: 'stats',
  summary: 'count the seats and registrations of one event',
  arguments: [['<event>', 'id of the event']],
  options: eventSchemaOptions,
  examples: ['events stats 42'],
  run: handler('handleStats'),
};

const PEOPLE: [string, string][] = [
  ['<event>', 'id of the event'],
  ['<user...>', 'ids of the users'],
];

const REGISTER: CommandSpec = {
  name: 'register',
  summary: 'register users for an event',
  description:
    'Registers users for an event; several go in one batch that takes exactly the seats that are left. Exits 1 when any of them was refused; the others stay registered.',
  arguments: PEOPLE,
  options: () => [
    new Option('--waitlist', 'wait where no seat is free'),
    new Option('--hold <duration>', 'hold the seat for so long instead of confirming it').argParser(
      parseSeconds,
    ),
    ...eventSchemaOptions(),
  ],
  examples: ['events register 42 7', 'events register 42 7 8 9', 'events register 42 7 --waitlist'],
  run: handler('handleRegister'),
};

const UNREGISTER: CommandSpec = {
  name: 'unregister',
  summary: 'remove registrations, holds and places in the queue',
  description:
    'Unregisters users from an event, one after the other. Exits 1 when any of them was refused; the others stay unregistered.',
  arguments: PEOPLE,
  options: () => [
    new Option('--keep', 'keep the rows as cancelled instead of removing them'),
    ...eventSchemaOptions(),
  ],
  examples: ['events unregister 42 7', 'events unregister 42 7 --keep'],
  run: handler('handleUnregister'),
};

export const EVENTS_COMMANDS: CommandGroup = {
  name: 'events',
  summary: 'look at events, and register people for them',
  examples: ['events list', 'events register 42 7'],
  commands: [LIST, SHOW, STATS, SEARCH, REGISTER, UNREGISTER],
};
