import { readdir } from 'node:fs/promises';
import { expect } from 'vitest';
import { test as base } from '../support/fixture.ts';
import { pasteCommand, runCli } from '../support/run-cli.ts';
import { createTerminal } from '../support/terminal.ts';
import { type Applied, applyAll, expectError, expectHint } from './cli-kit.ts';

/** `applied`: two migrations are applied, and the environment `production` is protected. */
const test = base.extend<{ applied: Applied }>({
  applied: async ({ project, emptyDb }, use) => {
    await project.migration('001_users', 'create table users (id integer);', 'drop table users;');
    await project.migration(
      '002_events',
      'create table events (id integer);',
      'drop table events;',
    );
    await use(await applyAll(project, emptyDb));
  },
});

test('does not reset without --confirm, and changes nothing', async ({ applied }) => {
  const before = await applied.contents();
  const result = await applied.evdb('migrate', 'reset');
  expectError(result, 'CONFIRM_REQUIRED', 2);
  expect(result.stderr).toContain('reset drops everything in schema "public"');
  expect(result.stderr).toContain('evdb migrate reset --confirm');
  expect(await applied.contents()).toEqual(before);
});

test('asks for --confirm before it looks at files or database', async ({ project }) => {
  const env = { EVDB_URL: 'postgres://app@127.0.0.1:1/app' };
  const result = await runCli(['migrate', 'reset'], { cwd: project.dir, env });
  expectError(result, 'CONFIRM_REQUIRED', 2);
});

test('takes no other word for consent', async ({ applied }) => {
  const before = await applied.contents();
  for (const word of ['--yes', '-y', '--force', '-f']) {
    expectError(await applied.evdb('migrate', 'reset', word), 'USAGE', 2);
  }
  expect(await applied.contents()).toEqual(before);
});

test('resets with --confirm', async ({ applied, emptyDb }) => {
  await emptyDb.sql`insert into users values (1)`;
  await emptyDb.sql`create table stray (id integer)`;
  const { code, stdout } = await applied.evdb('migrate', 'reset', '--confirm');
  expect(stdout).toMatch(/applied {6}001_users.*\napplied {6}002_events/);
  expect(code).toBe(0);
  expect(await emptyDb.sql`select to_regclass('stray') as stray`).toEqual([{ stray: null }]);
  expect(await emptyDb.sql`select * from users`).toEqual([]);
});

test('refuses to reset a protected environment, whatever is confirmed', async ({ applied }) => {
  const before = await applied.contents();
  for (const flags of [[], ['--confirm']]) {
    const result = await applied.evdb('migrate', 'reset', '--env', 'production', ...flags);
    expectError(result, 'PROTECTED_ENVIRONMENT', 2);
    expectHint(result);
    expect(result.stderr).toContain('environment "production" is protected');
    expect(result.stderr).toMatch(/schema "public" of database "evdb_test_\w+" on \S+:\d+/);
  }
  expect(await applied.contents()).toEqual(before);
});

test('refuses to reset what the environment variable protects', async ({ project, emptyDb }) => {
  const env = { EVDB_URL: emptyDb.url, EVDB_PROTECTED: 'true' };
  const result = await runCli(['migrate', 'reset', '--confirm'], { cwd: project.dir, env });
  expectError(result, 'PROTECTED_ENVIRONMENT', 2);
});

test.for(['down', 'redo'])(
  'asks for --confirm before %s of a protected environment',
  async (command, { applied }) => {
    const before = await applied.contents();
    const result = await applied.evdb('migrate', command, '--env', 'production');
    expectError(result, 'CONFIRM_REQUIRED', 2);
    expect(result.stderr).toContain('environment "production" is protected');
    expect(result.stderr).toMatch(/schema "public" of database "evdb_test_\w+" on \S+:\d+/);
    expect(result.stderr).toContain(`evdb migrate ${command} --env production --confirm`);
    expect(await applied.contents()).toEqual(before);

    const dryRun = await applied.evdb('migrate', command, '--env', 'production', '--dry-run');
    expect(dryRun.stdout).toContain('down  002_events');
    expect(dryRun.code).toBe(0);
    expect(await applied.contents()).toEqual(before);

    const confirmed = await applied.evdb('migrate', command, '--env', 'production', '--confirm');
    expect(confirmed.stdout).toContain('rolled back  002_events');
    expect(confirmed.code).toBe(0);
  },
);

test('asks nothing before up, also where it is protected', async ({ applied, project }) => {
  await project.migration('003_venues', 'create table venues (id integer);');
  const { code, stdout } = await applied.evdb('migrate', 'up', '--env', 'production');
  expect(stdout).toContain('applied      003_venues');
  expect(code).toBe(0);
});

test.for(['down', 'redo'])('asks nothing before %s elsewhere', async (command, { applied }) => {
  const { code, stdout } = await applied.evdb('migrate', command);
  expect(stdout).toContain('rolled back  002_events');
  expect(code).toBe(0);
});

const NAMES = ['tenant_a', "o'brien $(touch pwned)", 'a\n--confirm', '-x'];

test.for(NAMES)(
  'prints a reset that resets what was meant when it is pasted: %j',
  async (schema, { applied, emptyDb, project }) => {
    const target = `--schema=${schema}`;
    expect(await applied.evdb('migrate', 'up', target)).toMatchObject({ code: 0 });
    const name = `"${schema}".users`;
    await emptyDb.sql.unsafe(`insert into ${name} values (1); insert into public.users values (2)`);
    const { stderr } = await applied.evdb('migrate', 'reset', target);
    const [, printed = ''] = /If that is intended: (.*)\n/.exec(stderr) ?? [];
    expect(printed).toContain('--confirm');

    const env = { EVDB_URL: emptyDb.url };
    expect(await pasteCommand(printed, { cwd: project.dir, env })).toMatchObject({ code: 0 });
    expect(await emptyDb.sql.unsafe(`select * from ${name}`)).toEqual([]);
    expect(await emptyDb.sql`select * from public.users`).toEqual([{ id: 2 }]);
    expect(await readdir(project.dir)).not.toContain('pwned');
  },
);

test('prints a reset that hits nothing where the variable was for one call', async ({
  applied,
  emptyDb,
  project,
}) => {
  const { stderr } = await applied.evdb('migrate', 'reset');
  const [, printed = ''] = /If that is intended: (.*)\n/.exec(stderr) ?? [];
  await project.write('.env', `EVDB_URL=${emptyDb.url}\n`);
  const before = await applied.contents();
  const pasted = await pasteCommand(printed, { cwd: project.dir });
  expectError(pasted, 'CONFIG_INVALID', 2);
  expect(pasted.stderr).toContain('--url');
  expect(await applied.contents()).toEqual(before);
});

const ENTER = '\r';

test('asks on a terminal for the name of the database before a reset, and says what it dropped', async ({
  applied: _,
  project: { dir },
  emptyDb: { sql, url },
}) => {
  await sql`create view v as select 1 as one`;
  const terminal = createTerminal({ columns: 80, rows: 24 }, { cwd: dir, url });
  const ended = terminal.run('migrate', 'reset');
  const name = new URL(url).pathname.slice(1);
  await terminal.answer(`To continue, type: ${name}`, 'other', ENTER);
  await terminal.answer(`Type "${name}" exactly`, ...'\u007f'.repeat(5), name, ENTER);
  expect(await ended).toBe(0);
  expect(terminal.stderr()).toContain('reset drops everything in schema "public"');
  expect(terminal.written()).toMatch(/^dropped {6}2 tables, 1 view\n(applied .*\n){2}applied 2 mi/);
});

test('drops no database whose name is not typed, and asks nobody with --json', async ({
  applied: _,
  project: { dir },
  emptyDb: { sql, url },
}) => {
  const terminal = createTerminal({ columns: 80, rows: 24 }, { cwd: dir, url });
  const ended = terminal.run('db', 'drop');
  await terminal.answer('To continue, type: ', '\u0003');
  expect(await ended).toBe(130);
  expect(await terminal.run('migrate', 'reset', '--json')).toBe(2);
  expect(
    await sql`select count(*)::int as tables from pg_tables where schemaname = 'public'`,
  ).toEqual([{ tables: 2 }]);
});

test('asks on a terminal before it rolls back what is protected', async ({
  applied: _,
  project: { dir },
  emptyDb: { sql, url },
}) => {
  const terminal = createTerminal({ columns: 80, rows: 24 }, { cwd: dir, url });
  const down = ['migrate', 'down', '--env', 'production'];
  const question = 'Roll back 002_events in production?';
  const refused = terminal.run(...down);
  await terminal.answer(question, ENTER);
  expect(await refused).toBe(130);
  expect(terminal.stderr()).toContain('environment "production" is protected');
  expect(terminal.stderr()).toContain('cancelled; nothing was changed');
  expect(terminal.stderr()).not.toContain('CONFIRM_REQUIRED');
  const agreed = createTerminal({ columns: 80, rows: 24 }, { cwd: dir, url });
  const ended = agreed.run(...down);
  await agreed.answer(question, 'y');
  expect(await ended).toBe(0);
  const rows = await sql`select version::int from evdb.migration`;
  expect(rows).toEqual([{ version: 1 }]);
});

test.for([
  ['down', 'Roll back 002_events?'],
  ['redo', 'Roll back 002_events and apply it again?'],
] as const)(
  'asks on a terminal before %s loses rows, after it said which',
  async ([command, question], { applied, project: { dir }, emptyDb: { sql, url } }) => {
    await sql`insert into events values (1), (2)`;
    const before = await applied.contents();
    const terminal = createTerminal({ columns: 80, rows: 24 }, { cwd: dir, url });
    const refused = terminal.run('migrate', command);
    await terminal.answer(question, ENTER);
    expect(await refused).toBe(130);
    expect(terminal.stderr()).toMatch(/table +public\.events +2 rows[\s\S]*Roll back/);
    expect(terminal.stderr()).toContain('cancelled; nothing was changed');
    expect(await applied.contents()).toEqual(before);

    const agreed = createTerminal({ columns: 80, rows: 24 }, { cwd: dir, url });
    const ended = agreed.run('migrate', command);
    await agreed.answer(question, 'y');
    expect(await ended).toBe(0);
    expect(agreed.written()).toContain('rolled back  002_events');
  },
);

test('rolls back nothing but what was agreed to', async ({
  applied,
  project: { dir, migration },
  emptyDb: { sql, url },
}) => {
  await sql`insert into events values (1)`;
  const terminal = createTerminal({ columns: 80, rows: 24 }, { cwd: dir, url });
  const ended = terminal.run('migrate', 'down');
  await terminal.answer('Roll back 002_events?');
  await migration('003_more', 'create table more (id integer);', 'drop table more;');
  await applied.evdb('migrate', 'up');
  const before = await applied.contents();
  await terminal.answer('Roll back 002_events?', 'y');
  expect(await ended).toBe(4);
  expect(terminal.stderr().replaceAll(/\s+/g, ' ')).toContain(
    'since the question: 003_more would be rolled back',
  );
  expect(await applied.contents()).toEqual(before);
});

test('asks nothing on a terminal with --confirm, or where no row is lost', async ({
  applied: _,
  project: { dir },
  emptyDb: { sql, url },
}) => {
  await sql`insert into events values (1)`;
  const terminal = createTerminal({ columns: 80, rows: 24 }, { cwd: dir, url });
  expect(await terminal.run('migrate', 'down', '--confirm')).toBe(0);
  expect(terminal.stderr()).toContain('This loses for good:');
  expect(await terminal.run('migrate', 'down')).toBe(0);
  expect(await sql`select 1 from evdb.migration`).toEqual([]);
});
