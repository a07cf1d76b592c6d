import { Option } from 'commander';
import { type CommandSpec, handlersOf } from '../define.ts';
import { connectionOptions, parseCount, reportOptions } from '../options.ts';

const handler = handlersOf(() => import('../handlers/advise.ts'));

export const ADVISE: CommandSpec = {
  name: 'advise',
  summary: 'which indexes would help',
  description:
    'Plans the statements of pg_stat_statements that took the most time, without running them, with indexes that do not exist (extension hypopg), and shows what their plans would cost then. Without hypopg it lists candidates: columns that whole tables are read for. Foreign keys of large tables without an index are listed too.',
  options: () => [
    new Option('--schema <name>', 'only tables of this schema (default: all)'),
    new Option('--limit <n>', 'plan at most this many statements (default: 200)').argParser(
      parseCount,
    ),
    new Option('--write', 'write a migration that creates them'),
    ...reportOptions(),
    ...connectionOptions(),
  ],
  examples: ['stats advise', 'stats advise --full', 'stats advise --write'],
  run: handler('handleAdvise'),
};
