import { Option } from 'commander';
import { type CommandSpec, handlersOf } from '../define.ts';
import { runOptions } from '../options.ts';

export const SEED_COMMAND: CommandSpec = {
  name: 'seed',
  summary: 'apply the files with data for an environment',
  description:
    'Applies seeds/*.sql and, with --env, seeds/<env>/*.sql, each in one transaction. They run every time; one with the line "-- evdb: once" runs one time for each database.',
  fleet: { writes: true, shows: 'line' },
  options: () => [
    new Option('--dry-run', 'show what would run, and write nothing'),
    new Option('--confirm', 'consent, on a protected environment'),
    new Option('--seeds-dir <path>', 'folder of the seeds (default: seeds)'),
    ...runOptions(),
  ],
  examples: ['seed', 'seed --env staging', 'seed --dry-run'],
  run: handlersOf(() => import('../handlers/seed.ts'))('handleSeed'),
};
