import { type Command, Option } from 'commander';
import type { CliContext } from '../context.ts';
import { type CommandInput, type CommandSpec, defineCommand, defineGroup } from '../define.ts';
import { configOptions, migrateOptions, runOptions, stepsOption } from '../options.ts';
import type { CliState } from '../run.ts';
import { ADOPT } from './migrate-adopt.ts';
import { PLAN } from './migrate-plan.ts';
import { BASELINE, REPAIR } from './migrate-repair.ts';

type Handlers = typeof import('./migrate-handlers.ts');

/** Loads the handlers when one of them runs. */
function lazily(
  name: {
    [K in keyof Handlers]: Handlers[K] extends CommandSpec['run'] ? K : never;
  }[keyof Handlers],
) {
  return async (input: CommandInput) => (await import('./migrate-handlers.ts'))[name](input);
}

const dryRun = () => new Option('--dry-run', 'say what would be done, and do nothing');
const confirm = (description: string) => new Option('--confirm', description);

const UP: CommandSpec = {
  name: 'up',
  summary: 'apply the pending migrations',
  description:
    'Applies the pending migrations in version order, each with its ledger row in a transaction of its own.',
  options: [
    new Option('--to <version>', 'the last version to apply'),
    stepsOption('apply at most so many'),
    dryRun(),
    new Option('--strict', 'fail when the database is ahead of the files'),
    new Option('--out-of-order', 'also apply migrations older than the newest applied one'),
    ...runOptions(),
  ],
  examples: ['migrate up', 'migrate up --to 003', 'migrate up --dry-run --verbose'],
  run: lazily('handleUp'),
};

const DOWN: CommandSpec = {
  name: 'down',
  summary: 'take back the newest migration, or more',
  description: 'Runs the down scripts of applied migrations, newest first; one by default.',
  options: [
    new Option('--to <version>', 'leave this version as the last one applied; 0 leaves none'),
    stepsOption('take back so many (default: 1)'),
    dryRun(),
    new Option('--from-ledger', 'run the down scripts that the ledger kept instead of the files'),
    confirm('consent, needed where the environment is protected'),
    ...runOptions(),
  ],
  examples: ['migrate down', 'migrate down --to 003', 'migrate down --steps 2 --dry-run'],
  run: lazily('handleDown'),
};

const REDO: CommandSpec = {
  name: 'redo',
  summary: 'take back the newest migration and apply it again',
  options: [
    dryRun(),
    confirm('consent, needed where the environment is protected'),
    ...runOptions(),
  ],
  examples: ['migrate redo'],
  run: lazily('handleRedo'),
};

const STATUS: CommandSpec = {
  name: 'status',
  summary: 'show which migrations are applied',
  options: [
    new Option('--check', 'exit 3 unless everything is applied and as it was'),
    new Option('--drift', 'say what was changed by hand, and exit 3 where something was'),
    new Option('--all', 'on a terminal: list every applied migration'),
    ...migrateOptions(),
  ],
  examples: ['migrate status', 'migrate status --check', 'migrate status --drift'],
  hasFormats: true,
  run: lazily('handleStatus'),
};

const CREATE: CommandSpec = {
  name: 'create',
  summary: 'write the skeleton of a new migration',
  arguments: [['<name>', 'words that say what it does, such as "add venues"']],
  options: [
    new Option('--sequential', 'number it one above the last').conflicts('timestamp'),
    new Option(
      '--timestamp',
      'number it by the time in UTC (the default, unless the folder is sequential)',
    ),
    new Option('--no-transaction', 'for statements that cannot run inside a transaction'),
    new Option('--irreversible', 'without a down script'),
    new Option('--migrations-dir <path>', 'folder of the migrations (default: migrations)'),
    ...configOptions(),
  ],
  examples: ['migrate create "add venues"', 'migrate create index_events_by_city --no-transaction'],
  run: lazily('handleCreate'),
};

const VALIDATE: CommandSpec = {
  name: 'validate',
  summary: 'check the files, and the database against them',
  description:
    'Checks names, directives and syntax of every file, judges it as `evdb lint` does, and where a database is configured, holds the files against its ledger. Exits 3 when it finds an error; with --strict for warnings too.',
  options: [
    new Option('--strict', 'exit 3 for warnings too'),
    new Option('--verbose', 'also list what is for information only'),
    new Option('--base <ref>', 'a git branch or commit whose migrations come before those here'),
    new Option('--shadow', 'prove in a scratch database that each pending down undoes its up'),
    new Option('--all', 'with --shadow: prove every down, not only those of pending migrations'),
    ...migrateOptions(),
  ],
  examples: [
    'migrate validate',
    'migrate validate --base origin/main',
    'migrate validate --shadow --all',
  ],
  hasFormats: true,
  run: lazily('handleValidate'),
};

const RESET: CommandSpec = {
  name: 'reset',
  summary: 'drop everything in the schema and apply all migrations again',
  description:
    'Drops what lives in the target schema and no extension owns, forgets its ledger rows and applies all migrations again. The history stays.',
  options: [confirm('consent: without it nothing is changed'), ...runOptions()],
  examples: ['migrate reset --confirm'],
  run: lazily('handleReset'),
};

export function addMigrateCommands(
  program: Command,
  use: { context: CliContext; state: CliState },
): void {
  const group = defineGroup(program, {
    name: 'migrate',
    summary: 'apply, take back and look at migrations',
    examples: ['migrate plan', 'migrate up', 'migrate status'],
  });
  for (const spec of [
    UP,
    PLAN,
    DOWN,
    REDO,
    STATUS,
    CREATE,
    VALIDATE,
    REPAIR,
    BASELINE,
    ADOPT,
    RESET,
  ]) {
    defineCommand(group, spec, use);
  }
}
