import { hash } from 'node:crypto';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { lintMigrations } from '../../src/index.lint.ts';
import { migrateDown, migrateUp, readDrift, readStatus } from '../../src/index.ts';
import { type AdoptStage, test } from './adopt-kit.ts';

/** A folder as the people of one tool write it, with what their database then holds. */
interface RealFolder {
  title: string;
  /** As `--from` names it; `evdb` for one that is evdb's own as it is. */
  tool:
    | 'dbmate'
    | 'golang-migrate'
    | 'goose'
    | 'flyway'
    | 'node-pg-migrate'
    | 'sqlx'
    | 'graphile-migrate'
    | 'prisma'
    | 'diesel'
    | 'pairs'
    | 'evdb';
  folder: string;
  /** Below the folder. */
  files: Record<string, string | Uint8Array>;
  /** What the tool has run, and its table with the rows of that. */
  database: string;
  /** What evdb then has, in order, and how much of it is pending. */
  labels: string[];
  pending: number;
}

const LICENCE = '/*\n * Copyright the authors. Licensed under the Apache Licence 2.0.\n */\n';
const BOM = '\ufeff';
const crlf = (text: string) => text.replaceAll('\n', '\r\n');

const USERS = 'create table users (id bigint primary key, email text not null);';
const POSTS = 'create table posts (id bigint primary key, user_id bigint references users);';
const STATUS = `create type status as enum ('draft', 'old');
alter table posts add column status status;`;
const FUNCTION = `create function touch() returns trigger language plpgsql as $$
begin
  -- a comment; with a semicolon
  return new;
end;
$$;`;
const INDEX = 'create index concurrently users_email on users (email);';

const dbmateFile = (up: string, down = '') => `-- migrate:up\n${up}\n\n-- migrate:down\n${down}\n`;

const MANY = Array.from({ length: 300 }, (_, index) => ({
  label: String(20240101000000 + index * 7),
  up: `create table t_${index} (id int);`,
  down: `drop table t_${index};`,
}));

const FLYWAY_TABLE = `create table flyway_schema_history (
  installed_rank int primary key, version varchar(50), description varchar(200) not null,
  type varchar(20) not null, script varchar(1000) not null, checksum int,
  installed_by varchar(100) not null default 'me', installed_on timestamp not null default now(),
  execution_time int not null default 1, success boolean not null default true);
insert into flyway_schema_history (installed_rank, version, description, type, script) values`;

const PRISMA_ENUM = `BEGIN;
CREATE TYPE "Status_new" AS ENUM ('draft');
ALTER TABLE posts ALTER COLUMN status TYPE "Status_new" USING (status::text::"Status_new");
COMMIT;

-- AlterTable
ALTER TABLE posts ADD COLUMN "extra" TEXT;
`;

const PRISMA_FILES = {
  '0_init': `-- CreateTable\n${USERS}\n`,
  '20240101000000_posts': POSTS,
  '20240101000000_status': STATUS,
  '20240201_enum': PRISMA_ENUM,
};

function graphileFiles(bodies: string[]) {
  let previous = '';
  return bodies.map((body, index) => {
    const own = `sha1:${hash('sha1', `${`${previous}\n${body.trim()}`.trim()}\n`, 'hex')}`;
    const text = `--! Previous: ${previous || '-'}\n--! Hash: ${own}\n\n${body}\n`;
    const row = `('${own}', ${previous ? `'${previous}'` : 'null'}, '00000${index + 1}.sql')`;
    previous = own;
    return { name: `00000${index + 1}`, text, row };
  });
}
const GRAPHILE = graphileFiles([USERS, FUNCTION, `--! no-transaction\n${INDEX}`]);

const sqlxRow = (version: number, text: string) =>
  `(${version}, 'x', true, '\\x${hash('sha384', text, 'hex')}', 1000000)`;
const SQLX_INDEX = `-- no-transaction\n${INDEX}\n`;

const RAN = `${USERS}\n${POSTS}`;

const REAL_FOLDERS: RealFolder[] = [
  {
    title: 'dbmate: line ends of Windows, a licence, its own table, numbers of two lengths',
    tool: 'dbmate',
    folder: 'db/migrations',
    files: {
      '001_users.sql': crlf(`-- by hand\n${dbmateFile(USERS, 'drop table users;')}`),
      '10_posts.sql': dbmateFile(POSTS, 'drop table posts;'),
      '2_clean.sql': dbmateFile("delete from schema_migrations where version = '0';\nselect 1;"),
      '3_function.sql': dbmateFile(FUNCTION, 'drop function touch();'),
    },
    database: `${RAN} create table schema_migrations (version varchar primary key);
      insert into schema_migrations values ('001'), ('10'), ('2')`,
    labels: ['001', '10', '11', '12'],
    pending: 1,
  },
  {
    title: 'dbmate: 300 files',
    tool: 'dbmate',
    folder: 'db/migrations',
    files: Object.fromEntries(
      MANY.map(({ label, up, down }) => [`${label}_t.sql`, dbmateFile(up, down)]),
    ),
    database: `${MANY.slice(0, -1)
      .map(({ up }) => up)
      .join('\n')}
      create table schema_migrations (version varchar primary key);
      insert into schema_migrations values ${MANY.slice(0, -1)
        .map(({ label }) => `('${label}')`)
        .join(', ')}`,
    labels: MANY.map(({ label }) => label),
    pending: 1,
  },
  {
    title: 'golang-migrate: sequential pairs with transactions of their own',
    tool: 'golang-migrate',
    folder: 'migrations',
    files: {
      '000001_users.up.sql': `BEGIN;\n${USERS}\nCOMMIT;\n`,
      '000001_users.down.sql': 'BEGIN;\nDROP TABLE users;\nCOMMIT;\n',
      '000002_posts.up.sql': `BEGIN;\n${POSTS}\nCOMMIT;\nBEGIN;\n${STATUS}\nEND;\n`,
      '000002_posts.down.sql': 'drop table posts; drop type status;',
      '000003_function.up.sql': LICENCE + FUNCTION,
    },
    database: `${RAN} ${STATUS} create table schema_migrations (version bigint primary key, dirty boolean);
      insert into schema_migrations values (2, false)`,
    labels: ['000001', '000002', '000003'],
    pending: 1,
  },
  {
    title: 'goose: annotations around bodies, no transaction, markers of sql-migrate before it',
    tool: 'goose',
    folder: 'migrations',
    files: {
      '00001_users.sql': `-- +migrate Up\n-- +goose Up\n${USERS}\n\n-- +migrate Down\n-- +goose Down\ndrop table users;\n`,
      '00002_function.sql': `-- +goose Up\n-- +goose StatementBegin\n${FUNCTION}\n-- +goose StatementEnd\n-- +goose Down\ndrop function touch();\n`,
      '20240101000000_index.sql': `-- +goose NO TRANSACTION\n-- +goose Up\n${INDEX}\n-- +goose Down\ndrop index users_email;\n`,
    },
    database: `${USERS} create table goose_db_version (id serial primary key, version_id bigint not null,
        is_applied boolean not null, tstamp timestamp not null default now());
      insert into goose_db_version (version_id, is_applied) values (0, true), (1, true)`,
    labels: ['00001', '00002', '20240101000000'],
    pending: 2,
  },
  {
    title: 'Flyway: dotted versions, a byte order mark, a repeatable, an undo',
    tool: 'flyway',
    folder: 'src/main/resources/db/migration',
    files: {
      'V1__users.sql': BOM + USERS,
      'V1_1__posts.sql': `-- posts\n${POSTS}`,
      'U1_1__posts.sql': 'drop table posts;',
      'V2.0__status.sql': STATUS,
      'R__touch.sql': FUNCTION.replace('create function', 'create or replace function'),
    },
    database: `${RAN} ${FLYWAY_TABLE} (1, '1', 'users', 'SQL', 'V1__users.sql'),
      (2, '1.1', 'posts', 'SQL', 'V1_1__posts.sql')`,
    labels: ['1000', '1001', '2000', '2001'],
    pending: 2,
  },
  {
    title: 'Flyway: an empty prefix',
    tool: 'flyway',
    folder: 'sql',
    files: { '1__users.sql': USERS, '2__posts.sql': POSTS },
    database: `${USERS} ${FLYWAY_TABLE} (1, '1', 'users', 'SQL', '1__users.sql')`,
    labels: ['1', '2'],
    pending: 1,
  },
  {
    title: 'node-pg-migrate: markers, times of both kinds',
    tool: 'node-pg-migrate',
    folder: 'migrations',
    files: {
      '1704067200000_users.sql': `-- Up Migration\n${USERS}\n\n-- Down Migration\ndrop table users;\n`,
      '20240201000000000_posts.sql': crlf(`-- Up Migration\n${POSTS}\n-- Down Migration\n`),
      '1709251200000_status.sql': `-- Up Migration\n${STATUS}\n-- Down Migration\ndrop type status cascade;\n`,
    },
    database: `${RAN} create table pgmigrations (id serial primary key, name varchar(255) not null, run_on timestamp not null);
      insert into pgmigrations (name, run_on) values
        ('1704067200000_users', now()), ('20240201000000000_posts', now())`,
    labels: ['1704067200000', '20240201000000000', '20240201000000001'],
    pending: 1,
  },
  {
    title: 'Prisma: 0_init, two of one time, a day without a time, an enum that loses a value',
    tool: 'prisma',
    folder: 'prisma/migrations',
    files: {
      'migration_lock.toml': 'provider = "postgresql"\n',
      ...Object.fromEntries(
        Object.entries(PRISMA_FILES).map(([name, text]) => [`${name}/migration.sql`, text]),
      ),
    },
    database: `${RAN} ${STATUS} ${PRISMA_ENUM.replaceAll(/BEGIN;|COMMIT;/g, '')}
      create table _prisma_migrations (id serial, checksum varchar(64), finished_at timestamptz,
        migration_name varchar(255), rolled_back_at timestamptz, started_at timestamptz default now());
      insert into _prisma_migrations (checksum, finished_at, migration_name) values ${Object.entries(
        PRISMA_FILES,
      )
        .map(([name, text]) => `('${hash('sha256', text, 'hex')}', now(), '${name}')`)
        .join(', ')}`,
    labels: ['0', '20240101000000', '20240101000001', '20240101000002'],
    pending: 0,
  },
  {
    title: 'sqlx: single files and pairs, no transaction in the first line',
    tool: 'sqlx',
    folder: 'migrations',
    files: {
      '20240101000000_users.up.sql': USERS,
      '20240101000000_users.down.sql': 'drop table users;',
      '20240102000000_index.sql': SQLX_INDEX,
      '20240103000000_posts.sql': POSTS,
    },
    database: `${USERS} create index users_email on users (email);
      create table _sqlx_migrations (version bigint primary key, description text not null,
        installed_on timestamptz not null default now(), success boolean not null, checksum bytea not null,
        execution_time bigint not null);
      insert into _sqlx_migrations (version, description, success, checksum, execution_time) values
        ${sqlxRow(20240101000000, USERS)}, ${sqlxRow(20240102000000, SQLX_INDEX)}`,
    labels: ['20240101000000', '20240102000000', '20240103000000'],
    pending: 1,
  },
  {
    title: 'graphile-migrate: a chain of hashes',
    tool: 'graphile-migrate',
    folder: 'migrations',
    files: {
      'current.sql': '-- Enter migration here\n',
      ...Object.fromEntries(GRAPHILE.map(({ name, text }) => [`committed/${name}.sql`, text])),
    },
    database: `${USERS} ${FUNCTION} create schema graphile_migrate;
      create table graphile_migrate.migrations (hash text primary key, previous_hash text,
        filename text not null, date timestamptz not null default now());
      insert into graphile_migrate.migrations (hash, previous_hash, filename) values
        ${GRAPHILE.slice(0, 2)
          .map(({ row }) => row)
          .join(', ')}`,
    labels: ['000001', '000002', '000003'],
    pending: 1,
  },
  {
    title: 'diesel: its setup has version 0, dashes in times, one without a transaction',
    tool: 'diesel',
    folder: 'migrations',
    files: {
      '00000000000000_diesel_initial_setup/up.sql': FUNCTION,
      '00000000000000_diesel_initial_setup/down.sql': 'drop function touch();',
      '2024-01-01-120000_users/up.sql': `-- Your SQL goes here\n${USERS}\n`,
      '2024-01-01-120000_users/down.sql':
        '-- This file should undo anything in `up.sql`\ndrop table users;\n',
      '2024-02-01-120000-0000_index/up.sql': INDEX,
      '2024-02-01-120000-0000_index/metadata.toml': 'run_in_transaction = false\n',
    },
    database: `${FUNCTION} ${USERS}
      create table __diesel_schema_migrations (version varchar(50) primary key, run_on timestamp not null default now());
      insert into __diesel_schema_migrations (version) values ('00000000000000'), ('20240101120000')`,
    labels: ['00000000000000', '20240101120000', '202402011200000000'],
    pending: 1,
  },
  {
    title: 'Hasura: folders as those of diesel, and a table elsewhere',
    tool: 'diesel',
    folder: 'migrations',
    files: {
      '1600000000000_init/up.sql': USERS,
      '1600000000000_init/down.sql': 'drop table users;',
      '1600000000001_posts/up.sql': POSTS,
    },
    database: '',
    labels: ['1600000000000', '1600000000001'],
    pending: 2,
  },
  {
    title: 'pairs that a script of their own runs, 0 and 1 among them',
    tool: 'pairs',
    folder: 'sql',
    files: {
      '0_users.up.sql': `-- Up migration\n${USERS}`,
      '0_users.down.sql': '-- Down migration\ndrop table users;',
      '1_posts.up.sql': POSTS,
      '1_posts.down.sql': 'drop table posts;',
    },
    database: '',
    labels: ['0', '1'],
    pending: 2,
  },
  {
    title: 'Drizzle: from 0000 on, with its breakpoints, read as they are',
    tool: 'evdb',
    folder: 'db/evdb',
    files: {
      '0000_strange_hulk.sql': `${USERS}\n--> statement-breakpoint\n${POSTS}\n`,
      '0001_quick_thor.sql': STATUS,
      'meta/_journal.json': '{}',
    },
    database: '',
    labels: ['0000', '0001'],
    pending: 2,
  },
  {
    title: 'Supabase: times in the names, a byte order mark, read as they are',
    tool: 'evdb',
    folder: 'db/evdb',
    files: {
      '20240101000000_users.sql': BOM + crlf(LICENCE + USERS),
      '20240102000000_function.sql': FUNCTION,
    },
    database: '',
    labels: ['20240101000000', '20240102000000'],
    pending: 2,
  },
];

/** The project and the database as the tool left them. */
async function setUp({ write, sql }: AdoptStage, { folder, files, database }: RealFolder) {
  for (const [path, text] of Object.entries(files)) await write(join(folder, path), text);
  await sql.unsafe(database);
}

describe.each(REAL_FOLDERS)('$title', (real) => {
  const { tool, labels } = real;
  const isAdopted = tool !== 'evdb';

  test('is taken over, goes up and comes back, and makes the same anew', async ({ adoption }) => {
    await setUp(adoption, real);
    const { options } = adoption;
    if (isAdopted) {
      const { adopted, pending } = await adoption.adopt(tool);
      expect(pending).toHaveLength(real.pending);
      expect(adopted).toHaveLength(labels.length - real.pending);
    }
    expect((await migrateUp(options)).steps).toHaveLength(real.pending);
    expect(await adoption.states()).toEqual(labels.map((label) => `${label} applied`));
    if (isAdopted) {
      expect(await adoption.adopt(tool)).toMatchObject({ adopted: [], pending: [], files: [] });
    }
    // what the applied migrations make is what is there, from the texts that the ledger has
    expect((await readDrift(options)).differences).toEqual([]);
    // and what the files make in another schema
    const copy = { ...options, schema: 'copy' };
    await migrateUp(copy);
    const own = new Set(await adoption.relations('copy'));
    const there = await adoption.relations();
    expect([...own].filter((name) => !there.includes(name))).toEqual([]);
    const downs = Object.keys(await adoption.files()).filter((name) => name.endsWith('.down.sql'));
    const newest = labels.findLastIndex((label) =>
      downs.every((name) => !name.startsWith(`${label}_`)),
    );
    const steps = labels.length - 1 - newest;
    if (steps > 0) await migrateDown({ ...copy, steps });
    const { migrations } = await readStatus(copy);
    expect(migrations.filter(({ state }) => state === 'pending')).toHaveLength(steps);
  });

  test('is linted without a word about its format', async ({ adoption }) => {
    await setUp(adoption, real);
    if (isAdopted) await adoption.adopt(tool);
    const { findings } = await lintMigrations({ directory: adoption.options.directory });
    const told = findings.filter(({ code }) => /syntax|unreadable|transaction-control/.test(code));
    expect(told).toEqual([]);
  });
});
