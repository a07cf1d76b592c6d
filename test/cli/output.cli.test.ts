import { expect } from 'vitest';
import { test as base } from '../support/fixture.ts';
import type { TestProject } from '../support/project.ts';
import { type CliResult, runCli, startCli } from '../support/run-cli.ts';
import { parseJson, readContents } from './cli-kit.ts';

interface Applied {
  project: TestProject;
  evdb(args: string[], env?: Record<string, string | undefined>): Promise<CliResult>;
}

/** `applied`: 001 and 002 are applied, 003 is pending. */
const test = base.extend<{ applied: Applied }>({
  applied: async ({ project, emptyDb }, use) => {
    const evdb: Applied['evdb'] = (args, env = {}) =>
      runCli(args, { cwd: project.dir, env: { EVDB_URL: emptyDb.url, ...env } });
    await project.migration('001_users', 'create table users (id integer);', 'drop table users;');
    await project.migration('002_events', 'create table events (id integer);');
    expect(await evdb(['migrate', 'up'])).toMatchObject({ code: 0 });
    const two = 'create table venues (id integer);\n\ninsert into venues\nvalues (1);\n';
    await project.migration('003_venues', two, 'drop table venues;');
    await use({ project, evdb });
  },
});

const COLOURED = { NO_COLOR: undefined, FORCE_COLOR: '1' };
const ESCAPE = '\u001b[';

test('shows the status as a table that counts', async ({ applied }) => {
  const { code, stdout, stderr } = await applied.evdb(['migrate', 'status']);
  const time = String.raw`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`;
  const duration = String.raw` +[\d.]+ (µs|ms|s)`;
  const lines = [
    '^version {2}name {4}state {4}applied {14,}took$',
    `^001 {6}users {3}applied {2}${time}${duration}$`,
    `^002 {6}events {2}applied {2}${time}${duration}$`,
    '^003 {6}venues {2}pending {2}- {20,}-$',
    '^$',
    '^3 migrations in schema public: 2 applied, 1 pending$',
  ];
  const shown = stdout.trimEnd().split('\n');
  expect(shown).toHaveLength(lines.length);
  for (const [index, line] of lines.entries()) expect(shown[index]).toMatch(new RegExp(line));
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
});

test('writes nothing for a status, not even the ledger', async ({ project, emptyDb }) => {
  await project.migration('001_users', 'create table users (id integer);');
  const before = await readContents(emptyDb.sql);
  const options = { cwd: project.dir, env: { EVDB_URL: emptyDb.url } };
  expect(await runCli(['migrate', 'status'], options)).toMatchObject({ code: 0 });
  expect(await readContents(emptyDb.sql)).toEqual(before);
});

test('explains the states that are not plain', async ({ applied }) => {
  await applied.project.migration('001_users', 'create table users (id bigint);');
  const { stdout } = await applied.evdb(['migrate', 'status']);
  expect(stdout).toMatch(/^001 {6}users {3}changed {2}/m);
  expect(stdout).toContain('changed: the SQL of the file differs from what was applied');
});

test('exits 3 on a check while something is pending, and 0 when all is applied', async ({
  applied: { evdb },
}) => {
  const pending = await evdb(['migrate', 'status', '--check']);
  expect(pending.stdout).toContain('1 pending');
  expect(pending.code).toBe(3);
  await evdb(['migrate', 'up']);
  expect(await evdb(['migrate', 'status', '--check'])).toMatchObject({ code: 0 });
});

test('exits 3 on a check where an applied file changed', async ({ applied }) => {
  await applied.evdb(['migrate', 'up']);
  await applied.project.migration('001_users', 'create table users (id bigint);');
  expect(await applied.evdb(['migrate', 'status', '--check'])).toMatchObject({ code: 3 });
});

test('lists what it applied on stdout, and sums it up', async ({ applied: { evdb } }) => {
  const { stdout, stderr } = await evdb(['migrate', 'up']);
  expect(stdout).toMatch(
    /^applied {6}003_venues {2}[\d.]+ (µs|ms|s)\napplied 1 migration in [\d.]+ (ms|s) \(schema public\)\n$/,
  );
  expect(stderr).toBe('');
});

test('says that there is nothing to do', async ({ applied: { evdb } }) => {
  await evdb(['migrate', 'up']);
  const again = await evdb(['migrate', 'up']);
  expect(again).toMatchObject({ code: 0, stdout: 'nothing to apply: everything is applied\n' });
});

test('says what is pending behind the version that was asked for', async ({
  applied: { project, evdb },
}) => {
  await project.migration('011_late', 'create table late ();', 'drop table late;');
  const some = await evdb(['migrate', 'up', '--to', '003']);
  expect(some.stdout).toMatch(/\(schema public\), 1 still pending\n$/);
  const nothing = 'nothing to apply up to that version: 011_late is pending\n';
  for (const flags of [[], ['--dry-run']]) {
    const again = await evdb(['migrate', 'up', '--to', '003', ...flags]);
    expect(again).toMatchObject({ code: 0, stdout: nothing });
  }
  expect(parseJson(await evdb(['migrate', 'up', '--to', '003', '--json']))).toMatchObject({
    steps: [],
    pending: [{ version: '11', label: '011', name: 'late' }],
  });
});

test('warns once of what cannot be rolled back', async ({ applied: { project, evdb } }) => {
  await project.migration('004_a', 'create table a ();');
  await project.migration('005_b', 'create table b ();', '-- to be written\n');
  await project.migration('006_c', '-- evdb: irreversible data goes\ncreate table c ();');
  const said = 'warning  004_a (no down script), 005_b (empty down script) cannot be rolled back\n';
  expect((await evdb(['migrate', 'up', '--dry-run'])).stderr).toBe(said);
  expect((await evdb(['migrate', 'up'])).stderr).toBe(said);
  expect((await evdb(['migrate', 'up'])).stderr).toBe('');
});

const DRY_RUNS = [
  { command: 'up', says: ['Would run 1 migration', 'up    003_venues  2 statements'] },
  { command: 'down', says: ['Would run 1 migration', 'down  002_events  1 statement'] },
  { command: 'redo', says: ['Would run 2 migrations', 'down  002_events', 'up    002_events'] },
];

test.for(DRY_RUNS)(
  'says what $command would do and does nothing',
  async ({ command, says }, { applied: { project, evdb }, emptyDb }) => {
    await project.write('migrations/002_events.down.sql', 'drop table events;');
    const before = await readContents(emptyDb.sql);
    const { code, stdout } = await evdb(['migrate', command, '--dry-run']);
    for (const text of says) expect(stdout).toContain(text);
    expect(stdout).toContain('Nothing was changed (--dry-run).');
    expect(code).toBe(0);
    expect(await readContents(emptyDb.sql)).toEqual(before);
  },
);

test('refuses in a dry run what up would refuse', async ({ applied: { project, evdb } }) => {
  await project.migration('004_wrong', 'selec 1;');
  const { code, stderr } = await evdb(['migrate', 'up', '--dry-run']);
  expect(stderr).toContain('error SYNTAX_ERROR  migrations/004_wrong.sql:1:1');
  expect(code).toBe(1);
});

test('shows each statement of a dry run with its place', async ({ applied: { evdb } }) => {
  const { stdout } = await evdb(['migrate', 'up', '--dry-run', '--verbose']);
  expect(stdout).toContain('migrations/003_venues.sql:1  create table venues (id integer)');
  expect(stdout).toContain('migrations/003_venues.sql:3  insert into venues …');
});

test('shows each statement with its duration on stderr where that is asked for', async ({
  applied: { evdb },
}) => {
  const { stderr } = await evdb(['migrate', 'up', '--verbose']);
  const duration = String.raw`[\d.]+ (µs|ms|s)`;
  expect(stderr).toMatch(
    new RegExp(
      `^  003_venues:1  create table  ${duration}\n  003_venues:3  insert( into)?  ${duration}\n$`,
      'i',
    ),
  );
});

test('colours what it shows where that is asked for', async ({ applied: { evdb } }) => {
  const status = await evdb(['migrate', 'status'], COLOURED);
  expect(status.stdout).toContain(`${ESCAPE}32mapplied`);
  const error = await evdb(['migrate', 'up', '--to', '9'], COLOURED);
  expect(error.stderr).toContain(`${ESCAPE}31merror`);
});

test('colours nothing with NO_COLOR, and nothing in a pipe', async ({ applied: { evdb } }) => {
  for (const env of [{ ...COLOURED, NO_COLOR: '1' }, { NO_COLOR: undefined }]) {
    const results = [
      await evdb(['migrate', 'status'], env),
      await evdb(['migrate', 'up', '--to', '9'], env),
      await evdb(['migrate', 'up', '--verbose'], env),
      await evdb(['migrate', 'down'], env),
    ];
    for (const { stdout, stderr } of results) expect(stdout + stderr).not.toContain(ESCAPE);
    await evdb(['migrate', 'down']);
  }
});

test('keeps colours out of JSON', async ({ applied: { evdb } }) => {
  const { stdout } = await evdb(['migrate', 'status', '--json'], COLOURED);
  expect(stdout).not.toContain(ESCAPE);
});

test('prints what the server says on stderr', async ({ applied: { project, evdb } }) => {
  await project.migration(
    '004_loud',
    "do $$ begin raise warning 'so loud'; raise notice 'so soft'; end $$;",
  );
  const { stdout, stderr } = await evdb(['migrate', 'up']);
  expect(stderr).toContain('so loud');
  expect(stderr).toContain('so soft');
  expect(stdout).not.toContain('so ');
});

test('finishes a migration where nobody reads what it says any more', async ({
  applied: { project, evdb },
  emptyDb,
}) => {
  const options = { cwd: project.dir, env: { EVDB_URL: emptyDb.url } };
  const running = startCli(['migrate', 'up', '--verbose'], options);
  running.child.stdout?.destroy();
  running.child.stderr?.destroy();
  expect(await running.result).toMatchObject({ code: 0 });
  expect((await evdb(['migrate', 'status'])).stdout).toContain('3 applied');
});
