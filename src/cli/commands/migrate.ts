import { Option } from 'commander';
import { type CommandGroup, type CommandSpec, handlersOf } from '../define.ts';
import {
  backfillOptions,
  configOptions,
  connectionOptions,
  migrateOptions,
  repeated,
  runOptions,
  stepsOption,
} from '../options.ts';
import { EXPAND_COMMANDS } from './expand.ts';

const handler = handlersOf(() => import('../handlers/migrate.ts'));
const checkHandler = handlersOf(() => import('../handlers/migrate-checks.ts'));
const repairHandler = handlersOf(() => import('../handlers/migrate-repair.ts'));

const up = handler('handleUp');
const watchUp = handlersOf(() => import('../handlers/migrate-watch.ts'))('handleUpWatch');

const dryRun = () => new Option('--dry-run', 'say what would be done, and do nothing');
const confirm = (description: string) => new Option('--confirm', description);

const UP: CommandSpec = {
  name: 'up',
  summary: 'apply the pending migrations',
  description:
    'Applies the pending migrations in version order, each with its ledger row in a transaction of its own.',
  fleet: { writes: true, shows: 'line' },
  options: () => [
    new Option('--to <version>', 'the last version to apply'),
    stepsOption('apply at most this many migrations'),
    dryRun(),
    new Option('--strict', 'fail when the database is ahead of the files'),
    new Option('--out-of-order', 'also apply migrations older than the newest applied one'),
    new Option('--expand', 'stop before the first migration that contracts the schema'),
    new Option(
      '--check-drift <mode>',
      'before applying, look for what was changed by hand: off, warn or error (default: off)',
    )
      .choices(['off', 'warn', 'error'])
      .conflicts('dryRun'),
    new Option('--no-wait', 'leave backfills for `backfill run`, and what needs them'),
    new Option('--create-database', 'create the database where it does not exist').conflicts(
      'dryRun',
    ),
    new Option(
      '--watch',
      'for development: apply what is saved, and roll the newest one back first when it changed',
    ).conflicts(['dryRun', 'json', 'to', 'steps']),
    ...backfillOptions(),
    ...runOptions(),
  ],
  examples: [
    'migrate up',
    'migrate up --to 003',
    'migrate up --expand',
    'migrate up --dry-run --verbose',
  ],
  run: (input) => (input.flags.watch ? watchUp(input) : up(input)),
};

const DOWN: CommandSpec = {
  name: 'down',
  summary: 'roll back the newest migration, or more',
  description: 'Runs the down scripts of applied migrations, newest first; one by default.',
  options: () => [
    new Option('--to <version>', 'leave this version as the last one applied; 0 leaves none'),
    stepsOption('how many migrations to roll back (default: 1)'),
    new Option(
      '--repeatable <name>',
      'bring the text back that this repeatable had before, from the ledger',
    ).conflicts(['to', 'steps']),
    dryRun(),
    new Option('--from-ledger', 'run the down scripts that the ledger kept instead of the files'),
    confirm('consent, needed where the environment is protected'),
    ...backfillOptions(),
    ...runOptions(),
  ],
  examples: [
    'migrate down',
    'migrate down --to 003',
    'migrate down --steps 2 --dry-run',
    'migrate down --repeatable active_users',
  ],
  run: handler('handleDown'),
};

const REDO: CommandSpec = {
  name: 'redo',
  summary: 'roll back the newest migration and apply it again',
  options: () => [
    dryRun(),
    confirm('consent, needed where the environment is protected'),
    ...backfillOptions(),
    ...runOptions(),
  ],
  examples: ['migrate redo'],
  run: handler('handleRedo'),
};

const STATUS: CommandSpec = {
  name: 'status',
  summary: 'show which migrations are applied',
  fleet: { writes: false, shows: 'line' },
  options: () => [
    new Option('--check', 'exit 3 unless everything is applied and as it was'),
    new Option('--drift', 'say what was changed by hand, and exit 3 where something was'),
    new Option('--all', 'on a terminal: list every applied migration'),
    ...migrateOptions(),
  ],
  examples: ['migrate status', 'migrate status --check', 'migrate status --drift'],
  hasFormats: true,
  run: checkHandler('handleStatus'),
};

const CREATE: CommandSpec = {
  name: 'create',
  summary: 'write the skeleton of a new migration',
  arguments: [['<name>', 'words that say what it does, such as "add venues"']],
  options: () => [
    new Option(
      '--sequential',
      'number it one above the last (the default in a folder that is numbered so)',
    ).conflicts('timestamp'),
    new Option('--timestamp', 'number it by the time in UTC (the default elsewhere)'),
    new Option('--no-transaction', 'for statements that cannot run inside a transaction'),
    new Option('--irreversible', 'without a down script'),
    new Option(
      '--repeatable',
      'a function, view or grant without a version, applied again when it changes',
    ).conflicts(['sequential', 'timestamp', 'transaction', 'irreversible']),
    new Option('--migrations-dir <path>', 'folder of the migrations (default: migrations)'),
    ...configOptions(),
  ],
  examples: [
    'migrate create "add venues"',
    'migrate create index_events_by_city --no-transaction',
    'migrate create active_users --repeatable',
  ],
  run: handler('handleCreate'),
};

const VALIDATE: CommandSpec = {
  name: 'validate',
  summary: 'check the files, and the database against them',
  description:
    'Checks names, directives and syntax of every file, judges it as `evdb lint` does, and where a database is configured, holds the files against its ledger. Exits 3 when it finds an error; with --strict for warnings too.',
  fleet: { writes: false, shows: 'line' },
  options: () => [
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
  run: checkHandler('handleValidate'),
};

const RESET: CommandSpec = {
  name: 'reset',
  summary: 'drop everything in the schema and apply all migrations again',
  description:
    'Drops what lives in the target schema and no extension owns, forgets its ledger rows and applies all migrations again. The history stays.',
  options: () => [confirm('consent: without it nothing is changed'), ...runOptions()],
  examples: ['migrate reset --confirm'],
  run: handler('handleReset'),
};

/** Those that `migrate adopt` takes over from. */
export const ADOPTABLE_TOOLS = [
  ...['dbmate', 'golang-migrate', 'goose', 'flyway'],
  ...['node-pg-migrate', 'sqlx', 'graphile-migrate', 'prisma', 'diesel', 'pairs'],
];

const ADOPT: CommandSpec = {
  name: 'adopt',
  summary: 'take over from another migration tool',
  description:
    "Reads another tool's files and tracking table, holds them against each other, writes evdb's files, and records what is applied in the ledger. No migration is run; the tool's own files and table stay as they are, and --undo removes what it wrote. See docs/guides/adopt.md.",
  options: () => [
    new Option('--from <tool>', 'the tool').choices(ADOPTABLE_TOOLS),
    new Option('--from-dir <path>', 'its folder (default: where it usually is)'),
    new Option(
      '--table <name>',
      'its tracking table, as name or schema.name (default: its usual one)',
    ),
    new Option('--write-to <path>', "evdb's folder (default: migrations, or what is configured)"),
    new Option('--undo', 'undo what adopting wrote'),
    new Option('--dry-run', 'say what would be done, and do nothing'),
    new Option('--all', 'on a terminal: list every migration'),
    new Option(
      '--confirm',
      'consent, needed where the environment is protected, or to undo after evdb has migrated',
    ),
    new Option('--reason <text>', 'why; goes into the history'),
    ...connectionOptions(),
    new Option('--schema <name>', 'schema that the migrations belong to (default: public)'),
    new Option('--lock-wait <duration>', 'how long to wait for another runner (default: 60s)'),
  ],
  examples: [
    'migrate adopt --from dbmate --dry-run',
    'migrate adopt --from golang-migrate --from-dir db/migrate',
    'migrate adopt --undo',
  ],
  run: repairHandler('handleAdopt'),
};

const PLAN: CommandSpec = {
  name: 'plan',
  summary: 'show what up would do, and how it would affect other sessions',
  description:
    'Lists the pending migrations, and for each statement the locks it takes and what they block, what it rewrites, scans and builds, and how big those tables are. Reads only. Exits 3 where a traced statement fails or a budget is exceeded.',
  fleet: { writes: false, shows: 'text' },
  options: () => [
    new Option('--to <version>', 'the last version to plan for'),
    stepsOption('plan at most this many migrations'),
    new Option('--strict', 'fail when the database is ahead of the files'),
    new Option('--out-of-order', 'also plan migrations older than the newest applied one'),
    new Option('--expand', 'stop before the first migration that contracts the schema'),
    new Option('--no-wait', 'leave backfills for `backfill run`, and what needs them'),
    new Option('--trace', 'try the statements in a scratch database beside the target'),
    new Option('--trace-embedded', 'try them in one on the embedded PostgreSQL').conflicts('trace'),
    new Option(
      '--trace-on-target',
      'try them in the database itself, each migration in a transaction that is rolled back',
    ).conflicts(['trace', 'traceEmbedded']),
    new Option(
      '--budget <limits>',
      'exit 3 where a limit is exceeded, such as rewrite-rows=100k,access-exclusive=500ms',
    ),
    new Option('--confirm', 'consent to --trace-on-target where the environment is protected'),
    new Option('--lock-timeout <duration>', 'how long a statement may wait for table locks'),
    new Option('--statement-timeout <duration>', 'how long a statement may run'),
    new Option('--verbose', 'show every statement, also those without effect on other sessions'),
    ...migrateOptions(),
  ],
  examples: [
    'migrate plan',
    'migrate plan --trace',
    'migrate plan --budget rewrite-rows=100k,scan-rows=1M,access-exclusive=500ms',
  ],
  hasFormats: true,
  run: handler('handlePlan'),
};

/** The options of commands that write to the ledger and run no migration. */
function ledgerOptions(): Option[] {
  return [
    new Option('--reason <text>', 'why; goes into the history'),
    new Option('--dry-run', 'say what would be done, and do nothing'),
    ...migrateOptions(),
    new Option('--lock-wait <duration>', 'how long to wait for another runner (default: 60s)'),
  ];
}

const REPAIR: CommandSpec = {
  name: 'repair',
  summary: 'make the ledger and the files agree again',
  description:
    'Takes over files that differ from what was applied only in comments or white space, and lists what somebody has to decide, each with the command for it (exit code 3). With a version it repairs that one: changed SQL is accepted and a file that is gone is forgotten, both with --confirm; --as settles what became of an interrupted statement. No migration is run; each repair is an entry in the history.',
  arguments: [['[version]', 'the one to repair (default: all that is safe)']],
  options: () => [
    new Option('--confirm', 'consent to a repair that is right only where you know that it is'),
    new Option('--as <verdict>', 'the statement in which this version was interrupted')
      .choices(['done', 'not-done'])
      .conflicts('forget'),
    new Option('--forget', 'drop the row of this version: it counts as never applied'),
    ...ledgerOptions(),
  ],
  examples: [
    'migrate repair',
    'migrate repair 003 --dry-run',
    'migrate repair 007 --as done',
    'migrate repair 003 --confirm --reason "fixed by hand, see the incident"',
  ],
  run: repairHandler('handleRepair'),
};

const BASELINE: CommandSpec = {
  name: 'baseline',
  summary: 'take over a database whose objects are there already',
  description:
    'Counts every file up to a version as applied, without running it. For a database that was made by other means, before the first `migrate up`.',
  arguments: [['<version>', 'the newest one whose objects the database holds already']],
  options: () => [
    new Option(
      '--confirm',
      'consent, needed where the ledger has rows already, the schema is empty, or the environment is protected',
    ),
    ...ledgerOptions(),
  ],
  examples: ['migrate baseline 006 --dry-run', 'migrate baseline 006'],
  run: repairHandler('handleBaseline'),
};

const RESTORE: CommandSpec = {
  name: 'restore',
  summary: 'write lost files of applied migrations again',
  description:
    'Writes the up and down files of applied migrations from the texts that the ledger keeps (those up to 1 MiB). A file that is there is never replaced, and nothing changes in the database.',
  arguments: [['<versions...>', 'those whose files are lost']],
  options: () => [
    new Option('--dry-run', 'say what would be written, and write nothing'),
    ...migrateOptions(),
  ],
  examples: ['migrate restore 003'],
  run: repairHandler('handleRestore'),
};

const SQUASH: CommandSpec = {
  name: 'squash',
  summary: 'make one baseline file of old migrations',
  description:
    'Runs old migrations in a scratch database, writes what they made as one file, proves in another one that it makes the same, and moves the old files. See docs/squash.md.',
  options: () => [
    new Option(
      '--to <version>',
      'the last version that the baseline replaces',
    ).makeOptionMandatory(),
    new Option('--name <name>', 'what follows the version in its name (default: baseline)'),
    repeated('--without-rows <table>', 'leave out the rows of a table (repeatable)'),
    new Option('--dry-run', 'print the baseline, and write and move nothing'),
    ...migrateOptions(),
  ],
  examples: ['migrate squash --to 016 --dry-run', 'migrate squash --to 016'],
  run: handlersOf(() => import('../handlers/squash.ts'))('handleSquash'),
};

export const MIGRATE_COMMANDS: CommandGroup = {
  name: 'migrate',
  summary: 'apply, roll back and look at migrations',
  examples: ['migrate plan', 'migrate up', 'migrate status'],
  commands: [
    UP,
    PLAN,
    DOWN,
    REDO,
    STATUS,
    CREATE,
    EXPAND_COMMANDS,
    SQUASH,
    VALIDATE,
    REPAIR,
    BASELINE,
    RESTORE,
    ADOPT,
    RESET,
  ],
};
