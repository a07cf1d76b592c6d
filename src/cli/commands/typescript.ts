import { Option } from 'commander';
import { type CommandSpec, handlersOf } from '../define.ts';
import { connectionOptions, repeated } from '../options.ts';

const handler = handlersOf(() => import('../handlers/typescript.ts'));

export const TYPES_COMMAND: CommandSpec = {
  name: 'types',
  summary: 'write the types of the database in TypeScript',
  description:
    "Writes TypeScript types of tables, views, enums, domains, composite types and functions, with values as evdb's pool returns them. They come from the database that is configured, else from the embedded one of the project where it runs and is not empty, else from the migrations, run in a scratch database. With --check nothing is written: it exits 3 where the file differs.",
  options: () => [
    new Option('--out <path>', 'write them there (default: print them)'),
    new Option(
      '--style <name>',
      'plain interfaces, or what Kysely reads (default: interfaces)',
    ).choices(['interfaces', 'kysely']),
    new Option('--check', 'compare the file with the database, and exit 3 where it differs'),
    new Option(
      '--from <source>',
      'live (the database) or migrations (default: live where there is a database)',
    ).choices(['live', 'migrations']),
    repeated('--schema <name>', 'schema to describe, may be repeated (default: public)'),
    new Option('--migrations-dir <path>', 'folder of the migrations (default: migrations)'),
    ...connectionOptions(),
  ],
  examples: [
    'types --out src/db.ts',
    'types --out src/db.ts --style kysely --from migrations',
    'types --out src/db.ts --check',
  ],
  hasFormats: true,
  run: handler('handleTypes'),
};
