import { InvalidArgumentError, Option } from 'commander';
import { type CommandGroup, type CommandSpec, handlersOf } from '../define.ts';
import {
  eventSchemaOptions,
  parseMoment,
  parseSeconds,
  parseWithin,
  reportOptions,
} from '../options.ts';

const handler = handlersOf(() => import('../handlers/audit.ts'));

const since = () => new Option('--since <time>', 'from this time on').argParser(parseMoment);
const until = () => new Option('--until <time>', 'until before this time').argParser(parseMoment);

const CLEANUP: CommandSpec = {
  name: 'cleanup',
  summary: 'remove audit entries older than a number of days',
  description:
    'Drops months that have expired as a whole, one a transaction, then deletes what is left batch by batch. What is committed stays when it is interrupted; run it again for the rest. Exits 4 when others held the locks all the time.',
  fleet: { writes: true, shows: 'line' },
  options: () => [
    new Option('--days <n>', 'how many days entries are kept')
      .argParser(parseWithin(1, 1_000_000))
      .makeOptionMandatory(),
    new Option('--dry-run', 'say what would be removed, and remove nothing'),
    new Option(
      '--batch <n>',
      'how many entries to delete in a transaction (default: 2000)',
    ).argParser(parseWithin(1, 1_000_000)),
    new Option('--max-duration <duration>', 'begin no further step after this time').argParser(
      parseDurationAboveZero,
    ),
    ...reportOptions(),
    ...eventSchemaOptions(),
  ],
  examples: ['audit cleanup --days 90 --dry-run', 'audit cleanup --days 90 --max-duration 10min'],
  run: handler('handleAuditCleanup'),
};

const LOG: CommandSpec = {
  name: 'log',
  summary: 'show who changed what, the newest first',
  description:
    'Shows the entries of the audit log with each column before and after. With --watch it shows the last ones, then every new one as its transaction commits, until Ctrl-C; with --json one object a line.',
  options: () => [
    new Option('--table <name>', 'only changes of this table'),
    new Option('--record <id>', 'only changes of the row with this id').argParser(
      parseWithin(1, 2_147_483_647),
    ),
    new Option('--actor <name>', 'only changes by this user of the application'),
    since(),
    until(),
    new Option('--limit <n>', 'show at most this many entries')
      .argParser(parseWithin(1, 100_000))
      .default(20),
    new Option(
      '--before <cursor>',
      'the next page: the cursor that the previous page gave',
    ).conflicts('watch'),
    new Option('--watch', 'keep showing new entries'),
    ...eventSchemaOptions(),
  ],
  examples: [
    'audit log --table events --record 42',
    'audit log --actor user:7 --since 7d',
    'audit log --watch --json',
  ],
  run: handler('handleAuditLog'),
};

const DIMENSIONS = ['day', 'table', 'operation', 'actor'];

const SUMMARY: CommandSpec = {
  name: 'summary',
  summary: 'count audit entries by table, operation, actor and day',
  options: () => [
    new Option('--by <list>', `a list of ${DIMENSIONS.join(', ')}`)
      .argParser(parseDimensions)
      .default(['table', 'operation', 'actor', 'day'], 'table,operation,actor,day'),
    since(),
    until(),
    new Option('--limit <n>', 'show at most this many rows')
      .argParser(parseWithin(1, 100_000))
      .default(1000),
    ...reportOptions(),
    ...eventSchemaOptions(),
  ],
  examples: [
    'audit summary --since 30d',
    'audit summary --by actor',
    'audit summary --by day,table',
  ],
  run: handler('handleAuditSummary'),
};

export const AUDIT_COMMANDS: CommandGroup = {
  name: 'audit',
  summary: 'read, count and clean the audit log of the event schema',
  examples: ['audit log --since 1d', 'audit cleanup --days 90 --dry-run'],
  commands: [CLEANUP, LOG, SUMMARY],
};

function parseDurationAboveZero(text: string): number {
  const durationMs = parseSeconds(text);
  if (durationMs > 0) return durationMs;
  throw new InvalidArgumentError('It must be longer than nothing.');
}

function parseDimensions(text: string): string[] {
  const names = text.split(',').map((name) => name.trim());
  const isKnown = names.every((name) => DIMENSIONS.includes(name));
  if (isKnown && new Set(names).size === names.length) return names;
  throw new InvalidArgumentError(`It must be a list of ${DIMENSIONS.join(', ')}, each once.`);
}
