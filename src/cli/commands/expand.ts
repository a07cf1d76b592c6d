import { Option } from 'commander';
import { type CommandGroup, type CommandSpec, handlersOf } from '../define.ts';
import { migrateOptions, repeated } from '../options.ts';

const handler = handlersOf(() => import('../handlers/expand.ts'));

type Argument = NonNullable<CommandSpec['arguments']>[number];

const COLUMN: Argument = [
  '<column>',
  'as table.column, such as events.location, or schema.table.column',
];

/** The options of every recipe. */
function expandOptions(): Option[] {
  return [
    new Option('--dry-run', 'print the files, and write nothing'),
    new Option('--sequential', 'number them one above the last').conflicts('timestamp'),
    new Option('--timestamp', 'number them by the time in UTC'),
    ...migrateOptions(),
  ];
}

const requireBuild = () =>
  new Option(
    '--require-build <build>',
    'let the contract wait until no older build is connected, such as "api >= 2.0"',
  );

const RENAME_COLUMN: CommandSpec = {
  name: 'rename-column',
  summary: 'give a column another name',
  description:
    'Writes migrations that add a column of the new name, let each follow the other by a trigger, fill it in batches, make for it what the old one has, and at last drop the old one.',
  arguments: [COLUMN, ['<name>', 'its new name']],
  options: () => [requireBuild(), ...expandOptions()],
  examples: [
    'migrate expand rename-column events.location venue',
    "migrate expand rename-column events.location venue --require-build 'api >= 2.0'",
  ],
  run: handler('handleRenameColumn'),
};

const CHANGE_TYPE: CommandSpec = {
  name: 'change-type',
  summary: 'give a column another type',
  description:
    'Writes migrations that add a column of the new type, let each follow the other by a trigger, fill it in batches, make for it what the old one has, and at last put it in the place of the old one, under the same name. A primary key and the foreign keys that refer to it are moved as well.',
  arguments: [COLUMN, ['<type>', 'its new type, such as bigint']],
  options: () => [
    new Option(
      '--using <expression>',
      'what the old column becomes, where its value does not become the new type by itself',
    ),
    new Option('--back <expression>', 'what the new column, <column>_new, becomes in the old one'),
    requireBuild(),
    ...expandOptions(),
  ],
  examples: [
    'migrate expand change-type events.id bigint',
    "migrate expand change-type orders.total integer --using 'round(total * 100)' --back 'total_new / 100.0'",
  ],
  run: handler('handleChangeType'),
};

const SET_NOT_NULL: CommandSpec = {
  name: 'set-not-null',
  summary: 'forbid null in a column',
  description:
    'Writes migrations that prove by a check that the column has no null, without a long lock, and then set it not null. With --default they first put a value in the place of null: in the rows that are there, and for builds that still write null.',
  arguments: [COLUMN],
  options: () => [
    new Option('--default <expression>', 'the value in the place of null, and the new default'),
    requireBuild(),
    ...expandOptions(),
  ],
  examples: [
    'migrate expand set-not-null users.email',
    'migrate expand set-not-null users.locale --default "\'en\'"',
  ],
  run: handler('handleSetNotNull'),
};

const SPLIT_COLUMN: CommandSpec = {
  name: 'split-column',
  summary: 'put several columns in the place of one',
  description:
    'Writes migrations that add the columns, let each side follow the other by a trigger, fill them in batches, and at last drop the old column.',
  arguments: [COLUMN],
  options: () => [
    repeated(
      '--into <column>',
      'a new column, its type (default: text) and what it becomes; once for each of them',
    ),
    new Option('--join <expression>', 'what the old column is, over the new ones'),
    requireBuild(),
    ...expandOptions(),
  ],
  examples: [
    `migrate expand split-column users.name --into "first_name = split_part(name, ' ', 1)" --into "last_name = substr(name, strpos(name || ' ', ' ') + 1)" --join "concat_ws(' ', first_name, last_name)"`,
  ],
  run: handler('handleSplitColumn'),
};

const ACTIONS = ['no action', 'restrict', 'cascade', 'set null', 'set default'];

const ADD_FOREIGN_KEY: CommandSpec = {
  name: 'add-foreign-key',
  summary: 'let a column refer to another table',
  description:
    'Writes a migration that adds the foreign key without checking the rows that are there, and then checks them while others write. Where no index finds the referencing rows, it builds one.',
  arguments: [COLUMN, ['<references>', 'the column that it refers to, such as events.id']],
  options: () => [
    new Option('--on-delete <action>', 'what becomes of the rows when that row is deleted').choices(
      ACTIONS,
    ),
    new Option('--on-update <action>', 'what becomes of them when its key changes').choices(
      ACTIONS,
    ),
    ...expandOptions(),
  ],
  examples: ['migrate expand add-foreign-key registrations.event_id events.id --on-delete cascade'],
  run: handler('handleAddForeignKey'),
};

const ADD_UNIQUE: CommandSpec = {
  name: 'add-unique',
  summary: 'allow each value, or combination of values, once',
  description:
    'Writes a migration that builds a unique index while others write, and makes a constraint of it.',
  arguments: [['<columns>', 'as table.column, more of them behind a comma']],
  options: () => expandOptions(),
  examples: [
    'migrate expand add-unique users.email',
    'migrate expand add-unique registrations.event_id,user_id',
  ],
  run: handler('handleAddUnique'),
};

const ADD_CHECK: CommandSpec = {
  name: 'add-check',
  summary: 'let every row of a table fulfil a condition',
  description:
    'Writes a migration that adds the check for new rows, and then checks those that are there while others write.',
  arguments: [
    ['<table>', 'its name, or schema.table'],
    ['<condition>', 'an SQL expression over its columns'],
  ],
  options: () => [
    new Option('--name <name>', 'of the constraint (default: <table>_check)'),
    ...expandOptions(),
  ],
  examples: ["migrate expand add-check events 'capacity > 0' --name events_capacity_positive"],
  run: handler('handleAddCheck'),
};

export const EXPAND_COMMANDS: CommandGroup = {
  name: 'expand',
  summary: 'write the migrations that change a table while old and new builds use it',
  examples: [
    'migrate expand rename-column events.location venue',
    'migrate expand change-type events.id bigint',
  ],
  commands: [
    RENAME_COLUMN,
    CHANGE_TYPE,
    SET_NOT_NULL,
    SPLIT_COLUMN,
    ADD_FOREIGN_KEY,
    ADD_UNIQUE,
    ADD_CHECK,
  ],
};
