import { describe, expect } from 'vitest';
import { addOldEntries, readAges } from '../event-schema/audit-kit.ts';
import { withOpenTransaction } from '../event-schema/clients-kit.ts';
import { addEvent, addUsers } from '../event-schema/event-schema-kit.ts';
import { test as base } from '../support/fixture.ts';
import { type CliResult, type RunningCli, runCli, startCli } from '../support/run-cli.ts';
import { expectError, expectHint, expectNoStack, parseJson } from './cli-kit.ts';

interface Fixtures {
  evdb: (...args: string[]) => Promise<CliResult>;
  start: (...args: string[]) => RunningCli;
}

const test = base.extend<Fixtures>({
  evdb: async ({ project, db }, use) => {
    await use((...args) => runCli(args, { cwd: project.dir, env: { EVDB_URL: db.url } }));
  },
  start: async ({ project, db }, use) => {
    const running: RunningCli[] = [];
    await use((...args) => {
      const one = startCli(args, { cwd: project.dir, env: { EVDB_URL: db.url } });
      running.push(one);
      return one;
    });
    for (const { child } of running) child.kill('SIGKILL');
  },
});

describe('audit cleanup', () => {
  test('removes what is too old, and says what that was', async ({ evdb, db }) => {
    await addOldEntries(db.sql, 1, 2);
    await addOldEntries(db.sql, 200, 5);
    await db.sql`
      insert into audit_logs_overflow (created_at, table_name, operation)
      select now() - interval '100 days', 'users', 'TRUNCATE' from generate_series(1, 7)`;
    const { code, stdout, stderr } = await evdb('audit', 'cleanup', '--days', '90');
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^dropped 1 partition with 5 entries, deleted 7 entries, freed \d+ kB in .+\n$/,
    );
    expect(stderr).toMatch(/^dropped audit_logs_\d{4}_\d\d: 5 entries, \d+ kB$/m);
    expect(await readAges(db.sql)).toEqual([1, 1]);
    expect(await evdb('audit', 'cleanup', '--days', '90')).toMatchObject({
      code: 0,
      stdout: 'nothing removed: no entry is older than 90 days\n',
    });
  });

  test('says with --dry-run what would go, and removes nothing', async ({ evdb, db }) => {
    await addOldEntries(db.sql, 200, 5);
    const { code, stdout } = await evdb('audit', 'cleanup', '--days', '90', '--dry-run');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^audit_logs_\d{4}_\d\d +drop +5 +\d+ kB$/m);
    expect(stdout).toContain('Nothing was changed (--dry-run).');
    const json = await evdb('audit', 'cleanup', '--days', '90', '--dry-run', '--json');
    expect(parseJson(json)).toMatchObject({
      dryRun: true,
      rows: [{ action: 'drop', entries: 5, freedBytes: expect.any(Number) }],
    });
    expect(await readAges(db.sql)).toHaveLength(5);
  });

  test('tells exact numbers as JSON', async ({ evdb, db }) => {
    await addOldEntries(db.sql, 200, 5);
    const json = await evdb('audit', 'cleanup', '--days', '90', '--batch', '10', '--json');
    expect(parseJson(json)).toMatchObject({
      ...{ dryRun: false, days: 90, droppedEntries: 5, deletedEntries: 0, isFinished: true },
      partitions: [{ entries: 5 }],
    });
  });

  test('exits 4 where others hold the log all the time', async ({ evdb, db }) => {
    await addOldEntries(db.sql, 200, 5);
    await withOpenTransaction(db.url, 'select from audit_logs', async () => {
      const { code, stdout, stderr } = await evdb('audit', 'cleanup', '--days', '90');
      expect(code).toBe(4);
      expect(stdout).toContain('left for the next run: others hold the audit log. Held by process');
      expect(stderr).toContain('waiting for locks (try 1 of 10): Held by process');
    });
    expect(await readAges(db.sql)).toHaveLength(5);
  });

  test.for(['SIGINT', 'SIGTERM'] as const)(
    'ends on %s with 130, says what was done, and goes on the next time',
    async (signal, { evdb, start, db }) => {
      for (const days of [200, 300, 400]) await addOldEntries(db.sql, days, 5);
      await db.sql`
        insert into audit_logs_overflow (created_at, table_name, operation)
        select now() - interval '100 days', 'users', 'TRUNCATE' from generate_series(1, 3000)`;
      const args = ['audit', 'cleanup', '--days', '90', '--batch', '1'];
      const running = start(...args);
      await running.printed(': 5 entries');
      running.child.kill(signal);
      const result = await running.result;
      expect(result).toMatchObject({ code: 130, signal: null, stdout: '' });
      expect(result.stderr).toMatch(
        /^error INTERRUPTED {2}interrupted: \d partitions? with \d+ entr(?:y|ies) dropped and \d+ entr(?:y|ies) deleted before/m,
      );
      expectHint(result);
      expectNoStack(result);
      const [, partitions = 0] = /interrupted: (\d) partitions?/.exec(result.stderr) ?? [];
      const [, deleted = 0] = /and (\d+) entr(?:y|ies) deleted/.exec(result.stderr) ?? [];
      expect(await readAges(db.sql)).toHaveLength(3015 - 5 * Number(partitions) - Number(deleted));
      expect(await evdb('audit', 'cleanup', '--days', '90')).toMatchObject({ code: 0 });
      expect(await readAges(db.sql)).toEqual([]);
    },
  );

  test('says as JSON what was done before it was interrupted', async ({ start, db }) => {
    for (const days of [200, 300, 400]) await addOldEntries(db.sql, days, 5);
    await withOpenTransaction(db.url, 'select from audit_logs', async () => {
      const running = start('audit', 'cleanup', '--days', '90', '--json');
      await running.printed('waiting for locks');
      running.child.kill('SIGINT');
      const result = await running.result;
      expect(result.code).toBe(130);
      expect(JSON.parse(result.stdout)).toMatchObject({
        ok: false,
        error: { code: 'INTERRUPTED', details: { done: { partitions: [], deletedEntries: 0 } } },
      });
    });
  });

  base.for(['0', '-1', '1.5', 'ninety', '1000000000000', '', '1e2', '90d'])(
    'refuses --days "%s" before it connects',
    async (days, { project }) => {
      const env = { EVDB_URL: 'postgres://app@127.0.0.1:1/app' };
      const args = ['audit', 'cleanup', '--days', days];
      expectError(await runCli(args, { cwd: project.dir, env }), 'USAGE', 2);
    },
  );

  base.for(['--batch 0', '--batch 1.5', '--max-duration soon', '--max-duration 0'])(
    'refuses "%s" before it connects',
    async (flags, { project }) => {
      const env = { EVDB_URL: 'postgres://app@127.0.0.1:1/app' };
      const args = ['audit', 'cleanup', '--days', '90', ...flags.split(' ')];
      expectError(await runCli(args, { cwd: project.dir, env }), 'USAGE', 2);
    },
  );

  base('does not clean without --days', async ({ project }) => {
    const env = { EVDB_URL: 'postgres://app@127.0.0.1:1/app' };
    const result = await runCli(['audit', 'cleanup'], { cwd: project.dir, env });
    expectError(result, 'USAGE', 2);
    expect(result.stderr).toContain('--days');
  });
});

describe('audit log', () => {
  test('shows each change in a way that people can read', async ({ evdb, db }) => {
    const event = await addEvent(db.sql, { title: 'Jazz' });
    await db.sql.begin(async (sql) => {
      await sql`select set_config('evdb.actor', 'user:7', true)`;
      await sql`update events set title = 'Jazz II' where id = ${event}`;
    });
    const { code, stdout } = await evdb('audit', 'log', '--table', 'events', '--limit', '1');
    expect(code).toBe(0);
    expect(stdout).toMatch(
      new RegExp(
        `^\\d{4}-.+  events ${event} UPDATE  by user:7 \\(postgres, evdb-test\\)  #\\d+$`,
        'm',
      ),
    );
    expect(stdout).toContain('    title: "Jazz" → "Jazz II"\n');
    expect(stdout).toMatch(
      /^older entries: evdb audit log --table events --limit 1 --before [\w:.Z/-]+$/m,
    );
  });

  test('lets nothing from the data act on the terminal', async ({ evdb, db }) => {
    await db.sql.begin(async (sql) => {
      await sql`select set_config('evdb.actor', ${'\u001b[2Jme\u202e'}, true)`;
      await sql`insert into events (title, date_time, description, capacity)
        values ('x', now() + interval '1 day', ${'\u001b]0;pwned\u0007\u009b31m'}, 1)`;
    });
    const { stdout } = await evdb('audit', 'log');
    expect(stdout.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\u202e]/u);
    expect(stdout).toContain('by \\u{1b}[2Jme');
  });

  test('goes to the next page with what the page before names', async ({ evdb, db }) => {
    await addUsers(db.sql, 5);
    const first = parseJson(await evdb('audit', 'log', '--limit', '3', '--json'));
    expect(first.rows).toMatchObject([{ record: 5 }, { record: 4 }, { record: 3 }]);
    const second = await evdb('audit', 'log', '--json', '--before', String(first.next));
    expect(parseJson(second)).toMatchObject({ rows: [{ record: 2 }, { record: 1 }], next: null });
  });

  test('follows with --watch, one object a line with --json, until Ctrl-C', async ({
    start,
    db,
  }) => {
    await addUsers(db.sql, 2);
    const running = start('audit', 'log', '--watch', '--json');
    await running.printed('"record":2');
    await db.sql`update users set name = 'x' where id = 1`;
    await running.printed('"operation":"UPDATE"');
    running.child.kill('SIGINT');
    const { code, stdout, stderr } = await running.result;
    expect({ code, stderr }).toEqual({ code: 130, stderr: '' });
    const lines = stdout.trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { command: 'audit log', record: 1, operation: 'INSERT' },
      { record: 2, operation: 'INSERT' },
      { record: 1, operation: 'UPDATE', changes: expect.any(Array) },
      { command: 'audit log', ok: false, exitCode: 130 },
    ]);
  });

  test('goes on after a lost connection, and misses and repeats nothing', async ({ start, db }) => {
    await addUsers(db.sql, 1);
    const running = start('audit', 'log', '--watch', '--json');
    await running.printed('"record":1');
    await db.sql`select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'evdb' and datname = current_database()`;
    await db.sql`update users set name = 'x'`;
    await running.printed('trying again');
    await running.printed('"operation":"UPDATE"');
    await db.sql`delete from users`;
    await running.printed('"operation":"DELETE"');
    running.child.kill('SIGINT');
    const { stdout } = await running.result;
    const lines = stdout.trimEnd().split('\n').slice(0, -1);
    expect(lines.map((line) => JSON.parse(line).operation)).toEqual(['INSERT', 'UPDATE', 'DELETE']);
  });

  test('ends quietly when nobody reads what --watch prints', async ({ start, db }) => {
    await addUsers(db.sql, 1);
    const running = start('audit', 'log', '--watch');
    await running.printed('users 1 INSERT');
    running.child.stdout?.destroy();
    await db.sql`update users set name = 'x'`;
    expect(await running.result).toMatchObject({ code: 0, stderr: '' });
  });

  base.for([
    '--since yesterday',
    '--since 2026-02-30',
    '--since 1d --until 2d',
    '--record x',
    '--record 0',
    '--limit 0',
    '--before x',
    '--before x --watch',
  ])('refuses "%s" before it connects', async (flags, { project }) => {
    const env = { EVDB_URL: 'postgres://app@127.0.0.1:1/app' };
    expectError(
      await runCli(['audit', 'log', ...flags.split(' ')], { cwd: project.dir, env }),
      'USAGE',
      2,
    );
  });
});

describe('audit summary', () => {
  test('counts by table, operation, actor and day', async ({ evdb, db }) => {
    await addUsers(db.sql, 3);
    const { code, stdout } = await evdb('audit', 'summary');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^table +operation +actor +day \(UTC\) +entries/m);
    expect(stdout).toMatch(/^users +INSERT +- +\d{4}-\d\d-\d\d +3 /m);
    const json = await evdb('audit', 'summary', '--by', 'actor', '--json');
    expect(parseJson(json)).toMatchObject({ rows: [{ actor: null, entries: 3 }] });
    expect(await evdb('audit', 'summary', '--until', '2001-01-01')).toMatchObject({
      code: 0,
      stdout: 'no entry in this period\n',
    });
    expectError(await evdb('audit', 'summary', '--by', 'colour'), 'USAGE', 2);
  });
});
