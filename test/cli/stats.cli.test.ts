import { setTimeout } from 'node:timers/promises';
import { expect } from 'vitest';
import { STATS_TOPICS } from '../../src/cli/commands/stats.ts';
import { displayWidth } from '../../src/text/width.ts';
import { runCli, startCli } from '../support/run-cli.ts';
import { createTerminal } from '../support/terminal.ts';
import { expectError, expectHint, expectNoPassword, parseJson, test } from './cli-kit.ts';

const TOPICS = [
  ...['indexes', 'unused', 'duplicates', 'invalid', 'missing-fk', 'tables', 'queries', 'locks'],
  ...['activity', 'connections', 'sequences', 'vacuum', 'cache', 'replication', 'partitions'],
];

test('knows every topic', async ({ project }) => {
  expect(STATS_TOPICS.map(({ name }) => name)).toEqual(TOPICS);
  const { code, stdout } = await runCli(['stats', '--help'], { cwd: project.dir });
  for (const name of [...TOPICS, 'update'])
    expect(stdout).toMatch(new RegExp(`^ {2}${name} `, 'm'));
  expect(code).toBe(0);
});

test('names the topic that was meant', async ({ project }) => {
  const result = await runCli(['stats', 'indices'], { cwd: project.dir });
  expectError(result, 'USAGE', 2);
  expect(result.stderr).toContain('indexes');
});

test.for(TOPICS)('shows %s of the event schema in every format', async (name, { db, project }) => {
  const evdb = (...flags: string[]) =>
    runCli(['stats', name, ...flags], { cwd: project.dir, env: { EVDB_URL: db.url } });
  const [text, markdown, json] = await Promise.all([evdb(), evdb('--markdown'), evdb('--json')]);
  for (const { code, stderr } of [text, markdown, json]) {
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  }
  expect(text.stdout.trim()).not.toBe('');
  expect(markdown.stdout).toMatch(/^## \S.*\n\n\S/);
  const report = parseJson(json);
  expect(report).toMatchObject({
    command: `stats ${name}`,
    ok: true,
    rows: expect.any(Array),
    notes: expect.any(Array),
  });
  expect(report).toHaveProperty('countedSince');
});

test.for(TOPICS)(
  'shows %s to a role that may do nothing',
  async (name, { role, emptyDb, project }) => {
    await emptyDb.sql`create schema closed`;
    await emptyDb.sql`create table closed.things (id serial primary key, name text)`;
    const result = await runCli(['stats', name], { cwd: project.dir, env: { EVDB_URL: role.url } });
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(result.stdout.trim()).not.toBe('');
    expectNoPassword(result);
  },
);

test('says what is hidden from a role, and which grant shows it', async ({
  role,
  emptyDb,
  project,
}) => {
  await emptyDb.sql.begin(async (sql) => {
    await sql`select 1`;
    const options = { cwd: project.dir, env: { EVDB_URL: role.url } };
    const { stdout } = await runCli(['stats', 'activity'], options);
    expect(stdout).toContain('(hidden)');
    expect(stdout).toMatch(/^unknown: .* hidden from evdb_test_/m);
    expect(stdout).toContain(
      `  hint: Let an administrator run: grant pg_read_all_stats to "${role.name}";`,
    );
  });
});

test.for(TOPICS)('fits %s into 40, 80 and 200 columns', async (name, { db, project }) => {
  for (const columns of [40, 80, 200]) {
    const terminal = createTerminal({ columns, rows: 24 }, { cwd: project.dir, url: db.url });
    expect(await terminal.run('stats', name)).toBe(0);
    for (const line of terminal.written().split('\n')) {
      // commands and names in hints stay whole, so that they can be copied
      const longest = Math.max(...line.split(' ').map(displayWidth));
      expect(displayWidth(line) <= columns || longest > columns / 2, line).toBe(true);
    }
  }
});

test('is seen like this on terminals of 200, 80 and 40 columns', async ({ emptyDb, project }) => {
  await emptyDb.sql`create table organisers (id integer primary key)`;
  await emptyDb.sql`create table public_performances_of_plays (
    id integer primary key,
    organiser_id integer constraint performances_organiser_fk references organisers)`;
  const seen = async (columns: number) => {
    const terminal = createTerminal({ columns, rows: 24 }, { cwd: project.dir, url: emptyDb.url });
    await terminal.run('stats', 'missing-fk');
    return terminal.written().replace(/counted since[\s\S]*/, 'counted since …');
  };
  expect(await seen(200)).toMatchInlineSnapshot(`
    "┌─────────────────────────────────────┬──────────────┬───────────────────────────┬──────┬────────┬───────────────────┬───────────────┬───────────────┬─────────────────────────────────────┐
    │ table                               │ columns      │ constraint                │ size │ writes │ refers to         │ deletes there │ updates there │ fix                                 │
    ├─────────────────────────────────────┼──────────────┼───────────────────────────┼──────┼────────┼───────────────────┼───────────────┼───────────────┼─────────────────────────────────────┤
    │ public.public_performances_of_plays │ organiser_id │ performances_organiser_fk │  0 B │      0 │ public.organisers │             0 │             0 │ create index concurrently on        │
    │                                     │              │                           │      │        │                   │               │               │ public.public_performances_of_plays │
    │                                     │              │                           │      │        │                   │               │               │ (organiser_id);                     │
    └─────────────────────────────────────┴──────────────┴───────────────────────────┴──────┴────────┴───────────────────┴───────────────┴───────────────┴─────────────────────────────────────┘

    counted since …"
  `);
  expect(await seen(80)).toMatchInlineSnapshot(`
    "table                    columns       size  fix
    public.public_p…f_plays  organiser_id   0 B  create index concurrently on
                                                 public.public_performances_of_plays
                                                 (organiser_id);
    … 5 columns hidden (constraint, writes, refers to, deletes there, updates
    there), texts cut: --full shows all

    counted since …"
  `);
  expect(await seen(40)).toMatchInlineSnapshot(`
    "table
      public.public_performances_of_plays
    columns        organiser_id
    constraint     performances_organiser_fk
    size           0 B
    writes         0
    refers to      public.organisers
    deletes there  0
    updates there  0
    fix
      create index concurrently on
      public.public_performances_of_plays
      (organiser_id);

    counted since …"
  `);
  await emptyDb.sql`drop table public_performances_of_plays`;
  expect(await seen(40)).toMatchInlineSnapshot(`
    "every foreign key has a fitting index
    "
  `);
});

test('shows people a table in a box, and pipes a plain one', async ({ emptyDb, project }) => {
  await emptyDb.sql`create table places (id integer primary key, city text)`;
  const terminal = createTerminal(
    { columns: 300, rows: 24 },
    { cwd: project.dir, url: emptyDb.url },
  );
  expect(await terminal.run('stats', 'indexes')).toBe(0);
  expect(terminal.written()).toMatch(/^┌─.*┐\n│ /);
  expect(terminal.written()).toContain('places_pkey');
  const piped = await runCli(['stats', 'indexes'], {
    cwd: project.dir,
    env: { EVDB_URL: emptyDb.url },
  });
  expect(piped.stdout).not.toMatch(/[┌│]/);
  expect(piped.stdout).toContain('places_pkey');
});

test('leaves out columns on a narrow terminal, and nothing with --full', async ({
  emptyDb,
  project,
}) => {
  await emptyDb.sql`create table places (id integer primary key, city text)`;
  const show = async (...flags: string[]) => {
    const env = { EVDB_URL: emptyDb.url, COLUMNS: '40' };
    return (await runCli(['stats', 'indexes', ...flags], { cwd: project.dir, env })).stdout;
  };
  const whole = await runCli(['stats', 'indexes'], {
    cwd: project.dir,
    env: { EVDB_URL: emptyDb.url },
  });
  const [head] = whole.stdout.split('\n');
  const narrow = await show();
  expect(narrow.split('\n')[0]?.length).toBeLessThanOrEqual(40);
  expect(narrow.replaceAll('\n', ' ')).toMatch(/… \d+ columns? hidden \(.*\).*: --full shows all/);
  expect((await show('--full')).split('\n')[0]).toBe(head);
});

test('survives names that need quoting', async ({ emptyDb, project }) => {
  await emptyDb.sql.unsafe('create schema "Odd | ""schema"""');
  await emptyDb.sql.unsafe(
    `create table "Odd | ""schema"""."tab'le\n\u001b[31m" ("Id" serial primary key, "päth" text)`,
  );
  for (const name of TOPICS) {
    const result = await runCli(['stats', name, '--markdown'], {
      cwd: project.dir,
      env: { EVDB_URL: emptyDb.url },
    });
    expect(result, name).toMatchObject({ code: 0, stderr: '' });
    expect(result.stdout).not.toContain('\u001b');
  }
});

test('ends quietly when the reader of its pipe has gone', async ({ emptyDb, project }) => {
  await emptyDb.sql.unsafe(
    `do $$ begin for i in 1..300 loop execute format('create table t%s (id integer primary key)', i); end loop; end $$`,
  );
  const { child, result } = startCli(['stats', 'indexes'], {
    cwd: project.dir,
    env: { EVDB_URL: emptyDb.url },
  });
  child.stdout?.destroy();
  expect(await result).toMatchObject({ code: 0, stderr: '' });
});

test('says that nothing answers', async ({ project }) => {
  const env = { EVDB_URL: 'postgres://app:S3cret%2Fw@127.0.0.1:1/app' };
  const result = await runCli(['stats', 'tables'], { cwd: project.dir, env });
  expectError(result, 'CONNECTION_REFUSED', 4);
  expectHint(result);
  expectNoPassword(result);
});

test('refuses a schema that does not exist', async ({ emptyDb, project }) => {
  const result = await runCli(['stats', 'indexes', '--schema', 'nowhere'], {
    cwd: project.dir,
    env: { EVDB_URL: emptyDb.url },
  });
  expectError(result, 'USAGE', 2);
  expect(result.stderr).toContain('nowhere');
});

test('does not take Markdown and JSON at once', async ({ project }) => {
  const args = ['stats', 'tables', '--markdown', '--json'];
  const { code, stderr } = await runCli(args, { cwd: project.dir });
  expect(stderr).toContain('error USAGE');
  expect(code).toBe(2);
});

test('analyzes every table, and says so', async ({ emptyDb, project }) => {
  await emptyDb.sql`create table places (id integer)`;
  await emptyDb.sql`create table "Odd ""table""" (id integer)`;
  const options = { cwd: project.dir, env: { EVDB_URL: emptyDb.url } };
  const { code, stdout, stderr } = await runCli(['stats', 'update'], options);
  expect(stdout).toMatch(/^public\.places +analyzed /m);
  expect(stdout).toMatch(/^public\.Odd "table" +analyzed /m);
  expect(stdout).toMatch(/\n\nanalyzed 2 of 2 tables\n$/);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const json = parseJson(await runCli(['stats', 'update', '--json'], options));
  expect(json).toMatchObject({
    command: 'stats update',
    isInterrupted: false,
    rows: [{ outcome: 'analyzed' }, { outcome: 'analyzed' }],
  });
});

test('skips a table that is locked, and says that trying again makes sense', async ({
  emptyDb,
  project,
}) => {
  await emptyDb.sql`create table places (id integer)`;
  await emptyDb.sql`create table held (id integer)`;
  await emptyDb.sql.begin(async (sql) => {
    await sql`lock table held in access exclusive mode`;
    const env = { EVDB_URL: emptyDb.url };
    const { code, stdout } = await runCli(['stats', 'update'], { cwd: project.dir, env });
    expect(stdout).toMatch(/^public\.held +skipped-locked /m);
    expect(stdout).toMatch(/^public\.places +analyzed /m);
    expect(stdout).toContain('analyzed 1 of 2 tables, 1 skipped');
    expect(code).toBe(4);
  });
});

test('fails to update statistics that the role may not touch', async ({
  emptyDb,
  role,
  project,
}) => {
  await emptyDb.sql`create table places (id integer)`;
  const result = await runCli(['stats', 'update'], {
    cwd: project.dir,
    env: { EVDB_URL: role.url },
  });
  expect(result.stdout).toMatch(/^public\.places +skipped-no-privilege /m);
  expect(result.code).toBe(1);
});

test('keeps what was analyzed before Ctrl-C, and lists it', async ({ emptyDb, project }) => {
  const { sql } = emptyDb;
  await sql`create table a_first (id integer)`;
  await sql`create table b_slow (id integer)`;
  await sql`create table slowness as select 0 as seconds`;
  await sql`create function slow(integer) returns integer language plpgsql immutable
    as $$ begin perform pg_sleep(seconds) from public.slowness; return $1; end $$`;
  await sql`create index on b_slow (slow(id))`;
  await sql`insert into b_slow values (1)`;
  await sql`update slowness set seconds = 40`;
  const running = startCli(['stats', 'update'], {
    cwd: project.dir,
    env: { EVDB_URL: emptyDb.url },
  });
  const listAnalyzing = () => sql`select from pg_stat_activity
    where datname = current_database() and query like 'analyze%b_slow%' and state = 'active'`;
  while ((await listAnalyzing()).length === 0) await setTimeout(20);
  running.child.kill('SIGINT');
  const { code, stdout, stderr } = await running.result;
  expect(stdout).toMatch(/^public\.a_first +analyzed /m);
  expect(stdout).not.toContain('b_slow');
  expect(stdout).toContain('warning: interrupted, 2 tables left: what is listed keeps');
  expect(stderr).toContain('interrupted: finishing the current table');
  expect(code).toBe(130);
});

test('keeps snapshots around what up applies, and shows what changed since a version', async ({
  emptyDb,
  project,
}) => {
  const evdb = (...args: string[]) =>
    runCli(args, { cwd: project.dir, env: { EVDB_URL: emptyDb.url, EVDB_SNAPSHOTS: 'true' } });
  await project.migration('001_first', 'create table places (id integer)');
  await evdb('migrate', 'up');
  await project.migration(
    '002_rows',
    'create table seats as select 1 as id; create index on seats (id)',
  );
  expect(await evdb('migrate', 'up')).toMatchObject({ code: 0 });
  // Nothing to do is nothing to keep.
  await evdb('migrate', 'up');
  const listed = parseJson(await evdb('stats', 'snapshot', '--list', '--json'));
  expect(listed.snapshots).toMatchObject(
    ['before up', 'after up', 'before up', 'after up'].map((reason) => ({ reason })),
  );
  const since = await evdb('stats', 'diff', '--since', '002');
  expect(since.stdout).toMatch(/^from .* \(before up\) to /);
  expect(since.stdout).toMatch(/^public\.seats +created/m);
  expect(since.stdout).not.toContain('places');
  const between = parseJson(await evdb('stats', 'diff', '--since', '1', '--until', '1', '--json'));
  expect(between).toMatchObject({
    before: { reason: 'before up' },
    after: { reason: 'after up' },
    tables: [{ change: 'created', table: 'places' }],
  });
  const written = await evdb('stats', 'snapshot', '--to', 'now.json');
  expect(written.stdout).toMatch(/^wrote now\.json: 2 tables, 1 index, /);
  await emptyDb.sql`drop table seats`;
  const gone = await evdb('stats', 'diff', '--since', 'now.json', '--markdown');
  expect(gone.stdout).toMatch(/^\| public\.seats \| dropped /m);
  expectError(await evdb('stats', 'diff', '--since', '7'), 'UNKNOWN_VERSION', 2);
  expectError(await evdb('stats', 'diff', '--since', 'nothing'), 'USAGE', 2);
});

test('applies migrations all the same where no snapshot can be kept', async ({
  emptyDb,
  project,
}) => {
  await project.migration('001_first', 'create table places (id integer)');
  await emptyDb.sql.unsafe('create schema evdb; create view evdb.snapshot as select 1');
  const env = { EVDB_URL: emptyDb.url, EVDB_SNAPSHOTS: 'true' };
  const result = await runCli(['migrate', 'up'], { cwd: project.dir, env });
  expect(result.stderr).toContain('warning  no snapshot was taken: ');
  expect(result).toMatchObject({ code: 0, stdout: expect.stringContaining('applied 1 migration') });
});
