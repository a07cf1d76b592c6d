import { Option } from 'commander';
import { type CommandSpec, handlersOf } from '../define.ts';
import type { SnapshotChoice } from '../handlers/history.ts';
import { connectionOptions, parseMoment, parseWithin, reportOptions } from '../options.ts';

const handler = handlersOf(() => import('../handlers/history.ts'));

const SNAPSHOT: CommandSpec = {
  name: 'snapshot',
  summary: 'keep the counters of this moment, to compare with later',
  description:
    'Keeps sizes, scans, rows, dead rows, statements, sequences, settings and the findings of doctor, without the texts of secrets. They go into a table in the schema of the ledger, which is created the first time, or into a file. For a day all snapshots are kept, for a week one an hour, then one a day.',
  options: () => [
    new Option('--to <file>', 'write it to this file, and nothing into the database'),
    new Option('--keep-days <n>', 'remove older ones (default: 90)')
      .argParser(parseWithin(1, 10_000))
      .conflicts('to'),
    new Option('--list', 'list the snapshots, and take none').conflicts(['to', 'keepDays']),
    ...reportOptions(),
    ...connectionOptions(),
  ],
  examples: ['stats snapshot', 'stats snapshot --to before.json', 'stats snapshot --list'],
  run: handler('handleSnapshot'),
};

const DIFF: CommandSpec = {
  name: 'diff',
  summary: 'show what changed since a snapshot',
  description:
    'Compares a snapshot with the database as it is now: statements that got slower, scans that became sequential, tables that grew, settings, findings, indexes that began or ceased to be used. With a version it compares with the last snapshot before that migration. Where counters were reset in between, it says so and counts from there.',
  options: () => [
    new Option(
      '--since <when>',
      'version of a migration, yesterday, an age, a time or a file (default: the last snapshot)',
    ).argParser(parseSnapshotChoice),
    new Option('--until <when>', 'the same for its end (default: now)').argParser(
      parseSnapshotChoice,
    ),
    ...reportOptions(),
    ...connectionOptions(),
  ],
  examples: [
    'stats diff --since 012',
    'stats diff --since yesterday',
    'stats diff --since before.json',
    'stats diff --since 7d --until 1d --markdown',
  ],
  run: handler('handleDiff'),
};

export const HISTORY_COMMANDS: CommandSpec[] = [SNAPSHOT, DIFF];

/** What is neither a version nor a time is a file; whether it is there, the command sees. */
function parseSnapshotChoice(text: string): SnapshotChoice {
  if (/^\d+$/.test(text)) return { version: text };
  try {
    return { at: parseMoment(text === 'yesterday' ? '1d' : text) };
  } catch {
    return { file: text };
  }
}
