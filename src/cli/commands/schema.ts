import { Option } from 'commander';
import { type CommandGroup, type CommandSpec, handlersOf } from '../define.ts';
import { migrateOptions } from '../options.ts';

const handler = handlersOf(() => import('../handlers/schema.ts'));

const scopeOptions = () => [
  new Option('--all-schemas', 'everything in the database, not only the target schema').conflicts(
    'schema',
  ),
  new Option('--owners', 'owners too'),
];

const DUMP: CommandSpec = {
  name: 'dump',
  summary: 'write the structure of the database as SQL',
  description:
    'Writes what the database consists of as SQL that makes it again in an empty database. The text depends on the structure alone, so that it can be kept in version control. What extensions brought and the ledger are left out. With --check nothing is written: it exits 3 where the file differs.',
  options: [
    new Option('--file <path>', 'write it there (default: print it)'),
    new Option('--no-partitions', 'leave out partitions, which come and go with time'),
    new Option('--check', 'compare the file with the database, and exit 3 where it differs'),
    ...scopeOptions(),
    ...migrateOptions(),
  ],
  examples: [
    'schema dump --file structure.sql',
    'schema dump --file structure.sql --check',
    'schema dump --all-schemas',
  ],
  run: handler('handleDump'),
};

const DIFF: CommandSpec = {
  name: 'diff',
  summary: 'compare the structures of database, migrations and dump',
  description:
    'Says what differs from one structure to another. A source is `live` (the database), `migrations` (all of the folder, run in a scratch database that is dropped afterwards) or `file:<path>` (a dump). Exits 3 where something differs.',
  options: [
    new Option('--from <source>', 'live, migrations or file:<path> (default: migrations)'),
    new Option('--to <source>', 'live, migrations or file:<path> (default: live)'),
    new Option('--partitions', 'compare also which partitions there are'),
    ...scopeOptions(),
    ...migrateOptions(),
  ],
  examples: ['schema diff', 'schema diff --from file:structure.sql --to live'],
  run: handler('handleDiff'),
};

export const SCHEMA_COMMANDS: CommandGroup = {
  name: 'schema',
  summary: 'write down the structure of a database, and compare',
  examples: ['schema dump --file structure.sql', 'schema diff'],
  commands: [DUMP, DIFF],
};
