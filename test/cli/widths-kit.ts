import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type postgres from 'postgres';
import { inject } from 'vitest';
import {
  closeSql,
  createDatabase,
  dropDatabase,
  newDatabaseName,
  openSql,
  withDatabase,
} from '../support/databases.ts';
import { createProject, type TestProject } from '../support/project.ts';
import { createTerminal, type Terminal } from '../support/terminal.ts';
import { until } from '../support/waiting.ts';

const MIGRATIONS = fileURLToPath(new URL('../../migrations/', import.meta.url));
const PASSWORD_HASH = `$2b$12$${'a'.repeat(53)}`;

/** A shop with the event schema, data in it, and things that reports have to tell. */
export interface Shop {
  project: TestProject;
  url: string;
  terminal(columns: number): Terminal;
  close(): Promise<void>;
}

/** Names as people have them, and as databases have them. */
const NAMES = ['東京 太郎 🎉', 'Ünïcödé Ñame', 'A name that goes on and on until nobody reads on'];
const TITLES = ['東京ジャズフェスティバル 🎷🎺、日本武道館、三日間', 'Jazz night', 'One seat'];
const LONG = 'an_index_with_a_name_that_is_about_as_long_as_a_name_may_be';

export async function openShop(): Promise<Shop> {
  const admin = openSql(inject('adminUrl'), 1);
  const name = newDatabaseName();
  await createDatabase(admin, name, 'template0');
  const url = withDatabase(inject('adminUrl'), name);
  const sql = openSql(url);
  const project = await createProject();
  await cp(MIGRATIONS, join(project.dir, 'migrations'), { recursive: true });
  const members = ['public', { schema: 'a_second_one', labels: { region: '東京', plan: 'free' } }];
  await project.write('evdb.config.json', JSON.stringify({ fleets: { tenants: { members } } }));
  const terminal = (columns: number) =>
    createTerminal({ columns, rows: 50 }, { cwd: project.dir, url });
  if ((await terminal(80).run('migrate', 'up')) !== 0) throw new Error('the shop did not come up');
  await fill(sql);
  await writeOwnMigrations(project);
  const sessions = await blockEachOther(url, sql);
  return {
    project,
    url,
    terminal,
    close: async () => {
      await Promise.all([...sessions, sql].map(closeSql));
      await dropDatabase(admin, name);
      await closeSql(admin);
      await project.remove();
    },
  };
}

async function fill(sql: postgres.Sql): Promise<void> {
  await sql`
    insert into users (name, email, password_hash)
    select name, 'user' || row_number() over () || '@example.org', ${PASSWORD_HASH}
    from unnest(${[...NAMES, ...Array.from({ length: 60 }, (_, at) => `User ${at}`)]}::text[]) as name`;
  await sql`
    insert into events (title, description, date_time, location, capacity, created_by)
    select title, 'late jazz and a long evening', now() + interval '3 days', '日本武道館', 40, 1
    from unnest(${TITLES}::text[]) as title`;
  await sql`select batch_event_registration(array(select generate_series(1, 30)), 1)`;
  await sql`update users set name = name || '!' where id < 10`;
  await sql`create index ${sql(LONG)} on users (email)`;
  await sql`create table children (id serial primary key, user_id integer references users)`;
  await sql`alter table children add constraint user_is_positive check (user_id > 0) not valid`;
  await sql`create table notes (id integer primary key, text text)`;
  await sql`insert into notes values (1, 'a')`;
  await sql`analyze`;
}

async function writeOwnMigrations(project: TestProject): Promise<void> {
  await project.migration(
    '901_add_tokens',
    `alter table events add column token uuid not null default gen_random_uuid();
create index on registrations (status);
update users set name = 'a rather long name that makes this line longer than most', is_active = true where id > 0;
`,
    'alter table events drop column token;\n',
  );
  await project.write(
    'broken/001_broken.sql',
    `select 'a very long line so that the caret stands far to the right of it', 1, 2, 3 frmo users;\n`,
  );
}

/** One holds a lock, one waits for it, and two wait behind that one. */
async function blockEachOther(url: string, sql: postgres.Sql): Promise<postgres.Sql[]> {
  const sessions = Array.from({ length: 4 }, () => openSql(url, 1));
  const [holder, strong, weak, other] = sessions as [
    postgres.Sql,
    postgres.Sql,
    postgres.Sql,
    postgres.Sql,
  ];
  await holder.unsafe('begin; update notes set text = text');
  const waiting = [
    [strong, 'alter table notes add column more text'],
    [weak, `select id, text from notes where text like '%a rather long statement%' order by id`],
    [other, 'update notes set id = 2'],
  ] as const;
  for (const [at, [session, statement]] of waiting.entries()) {
    session.unsafe(statement).catch(() => undefined);
    await until(async () => {
      const [row] = await sql<{ count: number }[]>`
        select count(*)::int from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'`;
      return row?.count === at + 1;
    });
  }
  return sessions;
}

/** The paths of all commands that can run, as help lists them. */
export async function listCommands(): Promise<string[]> {
  const reference = await readFile(
    fileURLToPath(new URL('../../docs/reference/cli.md', import.meta.url)),
    'utf8',
  );
  return [...reference.matchAll(/^## evdb (.+)$/gm)].map(([, path]) => path ?? '');
}
