import { type Command, InvalidArgumentError, Option } from 'commander';
import type { CliContext } from '../context.ts';
import { type CommandSpec, defineCommand, defineGroup } from '../define.ts';
import { STATS_TOPICS, type StatsTopic, type TopicFlag } from '../handlers/stats-topics.ts';
import { connectionOptions, parseCount, parseSeconds, reportOptions } from '../options.ts';
import type { CliState } from '../run.ts';

export function addStatsCommands(
  program: Command,
  use: { context: CliContext; state: CliState },
): void {
  const group = defineGroup(program, {
    name: 'stats',
    summary: 'show what the database does, and what is wrong with it',
    examples: ['stats unused', 'stats locks --watch', 'stats tables --json'],
  });
  for (const topic of STATS_TOPICS) defineCommand(group, commandOf(topic), use);
  defineCommand(group, UPDATE, use);
}

function commandOf(topic: StatsTopic): CommandSpec {
  const { name, summary, flags } = topic;
  return {
    name,
    summary,
    options: [
      ...flags.map((flag) => FLAGS[flag]()),
      ...reportOptions(),
      watchOption(),
      ...connectionOptions(),
    ],
    examples: [`stats ${name}`, `stats ${name} --watch 5s`, `stats ${name} --markdown`],
    run: async (input) => (await import('../handlers/stats.ts')).handleTopic(topic, input),
  };
}

const FLAGS: Record<TopicFlag, () => Option> = {
  schema: () => new Option('--schema <name>', 'only this schema (default: all)'),
  limit: () => new Option('--limit <n>', 'show so many rows at most').argParser(parseCount),
  all: () => new Option('--all', 'also sessions that do nothing'),
  minAge: () =>
    new Option(
      '--min-age <duration>',
      'trust counters that are at least so old (default: 7d)',
    ).argParser(parseSeconds),
};

const UPDATE: CommandSpec = {
  name: 'update',
  summary: 'analyze every table, and say what became of each',
  description:
    'Analyzes one table after the other and waits for nobody: what is locked is skipped and listed. Exits 4 where only locks stood in the way, and 1 where a table failed or the role may not analyze it.',
  options: [FLAGS.schema(), ...reportOptions(), ...connectionOptions()],
  examples: ['stats update', 'stats update --schema public'],
  run: async (input) => (await import('../handlers/stats.ts')).handleUpdate(input),
};

const SHORTEST_MS = 200;

function watchOption(): Option {
  return new Option('--watch [interval]', 'show it again and again (default: every 2s)').argParser(
    parseInterval,
  );
}

function parseInterval(text: string): number {
  const intervalMs = parseSeconds(text);
  if (intervalMs >= SHORTEST_MS) return intervalMs;
  throw new InvalidArgumentError('It must be 0.2s or longer.');
}
