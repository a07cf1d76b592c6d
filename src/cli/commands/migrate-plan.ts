import { Option } from 'commander';
import type { CommandInput, CommandSpec } from '../define.ts';
import { migrateOptions, stepsOption } from '../options.ts';

export const PLAN: CommandSpec = {
  name: 'plan',
  summary: 'show what up would do, and what others would feel of it',
  description:
    'Lists the pending migrations, and for each statement the locks it takes and what they block, what it rewrites, scans and builds, and how big those tables are. Reads only.',
  options: [
    new Option('--to <version>', 'the last version to plan for'),
    stepsOption('plan at most so many'),
    new Option('--strict', 'fail when the database is ahead of the files'),
    new Option('--out-of-order', 'also plan migrations older than the newest applied one'),
    new Option('--trace', 'try the statements in a scratch database beside the target'),
    new Option('--trace-embedded', 'try them in one on the embedded PostgreSQL').conflicts('trace'),
    new Option(
      '--trace-on-target',
      'try them in the database itself, each migration in a transaction that is rolled back',
    ).conflicts(['trace', 'traceEmbedded']),
    new Option(
      '--budget <limits>',
      'exit 3 where more is felt, such as rewrite-rows=100k,access-exclusive=500ms',
    ),
    new Option('--confirm', 'consent to --trace-on-target where the environment is protected'),
    new Option('--lock-timeout <duration>', 'how long a statement may wait for table locks'),
    new Option('--statement-timeout <duration>', 'how long a statement may run'),
    new Option('--verbose', 'show every statement, also those that nobody else feels'),
    ...migrateOptions(),
  ],
  examples: [
    'migrate plan',
    'migrate plan --trace',
    'migrate plan --budget rewrite-rows=100k,scan-rows=1M,access-exclusive=500ms',
  ],
  hasFormats: true,
  run: async (input: CommandInput) =>
    (await import('./migrate-plan-handlers.ts')).handlePlan(input),
};
