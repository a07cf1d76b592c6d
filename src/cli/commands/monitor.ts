import { InvalidArgumentError, Option } from 'commander';
import { MONITOR_VIEWS } from '../../monitor/look.ts';
import { type CommandSpec, handlersOf } from '../define.ts';
import { connectionOptions, parseSeconds, parseWithin } from '../options.ts';

const handler = handlersOf(() => import('../handlers/monitor.ts'));

const SHORTEST_MS = 200;

export const MONITOR_COMMAND: CommandSpec = {
  name: 'monitor',
  summary: 'watch a server live: sessions, locks, rates, statements, sales',
  description:
    'Shows on a terminal what the server does, once a second: sessions, what they wait for, who blocks whom, rates, the slowest statements, replication, and how fast the events of the event schema sell out. The key ? shows the keys. It can cancel statements and end sessions, after a question. Elsewhere it prints one look as text, or with --json each look as one line.',
  options: () => [
    new Option('--interval <duration>', 'between two looks (default: 1s)').argParser(parseInterval),
    new Option('--view <name>', 'what is shown first (default: activity)').choices(MONITOR_VIEWS),
    new Option('--count <n>', 'end after this many looks').argParser(parseWithin(1, 1_000_000)),
    ...connectionOptions(),
  ],
  examples: ['monitor', 'monitor --view sale', 'monitor --json --count 10'],
  run: handler('handleMonitor'),
};

function parseInterval(text: string): number {
  const intervalMs = parseSeconds(text);
  if (intervalMs >= SHORTEST_MS) return intervalMs;
  throw new InvalidArgumentError('It must be 0.2s or longer.');
}
