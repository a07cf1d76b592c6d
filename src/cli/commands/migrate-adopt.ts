import { Option } from 'commander';
import type { CommandInput, CommandSpec } from '../define.ts';
import { connectionOptions } from '../options.ts';

const TOOLS = [
  ...['dbmate', 'golang-migrate', 'goose', 'flyway'],
  ...['node-pg-migrate', 'sqlx', 'graphile-migrate', 'prisma', 'diesel', 'pairs'],
];

export const ADOPT: CommandSpec = {
  name: 'adopt',
  summary: 'take over from another migration tool',
  description:
    "Reads another tool's files and tracking table, holds them against each other, writes evdb's files, and records what is applied in the ledger. No migration is run; the tool's own files and table stay as they are, and --undo takes everything back. See docs/adopt.md.",
  options: [
    new Option('--from <tool>', 'the tool').choices(TOOLS),
    new Option('--from-dir <path>', 'its folder (default: where it usually is)'),
    new Option(
      '--table <name>',
      'its tracking table, as name or schema.name (default: its usual one)',
    ),
    new Option('--write-to <path>', "evdb's folder (default: migrations, or what is configured)"),
    new Option('--undo', 'take back what adopting wrote'),
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
  run: async (input: CommandInput) =>
    (await import('./migrate-adopt-handlers.ts')).handleAdopt(input),
};
