import { Option } from 'commander';
import { type CommandGroup, type CommandSpec, handlersOf } from '../define.ts';
import { connectionOptions, parseCount, parseSeconds, repeated, setOption } from '../options.ts';

const handler = handlersOf(() => import('../handlers/fleet.ts'));

const only = () =>
  repeated('--only <label=value>', 'only these members; may be repeated, with commas and *');

const LIST: CommandSpec = {
  name: 'list',
  summary: 'list the members of a fleet, with their labels',
  arguments: [['<fleet>', 'its name in the config file']],
  options: () => [only(), ...connectionOptions()],
  examples: ['fleet list tenants', 'fleet list tenants --only region=eu'],
  run: handler('handleFleetList'),
};

const STATUS: CommandSpec = {
  name: 'status',
  summary: 'show which members have which versions, outliers first',
  description:
    'Groups members that stand alike: the versions that some have not applied or that differ, and with --drift their structures. Writes nothing. Exits 3 with --check unless all are alike and have everything applied.',
  arguments: [['<fleet>', 'its name in the config file']],
  options: () => [
    new Option('--drift', 'compare the structures of the members too'),
    new Option('--check', 'exit 3 unless all are alike and have everything applied'),
    only(),
    new Option('--concurrency <n>', 'how many members at a time (default: 8)').argParser(
      parseCount,
    ),
    new Option(
      '--member-timeout <duration>',
      'how long one member may take (default: any time)',
    ).argParser(parseSeconds),
    new Option('--migrations-dir <path>', 'folder of the migrations (default: migrations)'),
    ...connectionOptions(),
  ],
  examples: ['fleet status tenants', 'fleet status tenants --drift --check'],
  run: handler('handleFleetStatus'),
};

const kind = (description: string) =>
  new Option('--kind <kind>', description).choices(['schema', 'database']);

const ADD: CommandSpec = {
  name: 'add',
  summary: 'make a schema or a database with every migration applied',
  description:
    'Makes a member in the database, or on the server, of the fleet: from the migrations, from one script that is proved to make the same, or a database from a template. What cannot be made whole is dropped again.',
  arguments: [
    ['<fleet>', 'its name in the config file'],
    ['<member>', 'the name of the schema or database'],
  ],
  options: () => [
    kind('what to make (default: schema, or database where the fleet has a template)'),
    new Option('--template <database>', 'copy this clean database instead of migrating'),
    new Option('--migrations-dir <path>', 'folder of the migrations (default: migrations)'),
    setOption(),
    ...connectionOptions(),
  ],
  examples: ['fleet add tenants tenant_z', 'fleet add shops shop_z --template shop_template'],
  run: handler('handleFleetAdd'),
};

const REMOVE: CommandSpec = {
  name: 'remove',
  summary: 'drop a member with all its data',
  description:
    'Drops the schema and forgets its rows in the ledger, or drops the database. The history of a schema stays. Refused where the environment is protected.',
  arguments: [
    ['<fleet>', 'its name in the config file'],
    ['<member>', 'its name in the fleet; with --kind, that of a schema or database'],
  ],
  options: () => [
    new Option('--confirm', 'consent: without it nothing is changed'),
    kind('what it is, where the fleet does not list it any more'),
    ...connectionOptions(),
  ],
  examples: ['fleet remove tenants tenant_z --confirm'],
  run: handler('handleFleetRemove'),
};

export const FLEET_COMMANDS: CommandGroup = {
  name: 'fleet',
  summary: 'many databases or schemas with the same migrations: look at them, add and remove some',
  examples: ['fleet list tenants', 'fleet status tenants', 'migrate up --fleet tenants'],
  commands: [LIST, STATUS, ADD, REMOVE],
};
