import { once } from 'node:events';
import type postgres from 'postgres';
import { expect } from 'vitest';
import { displayWidth } from '../../src/text/width.ts';
import { closeSql, openSql } from '../support/databases.ts';
import { startProxy } from '../support/proxy.ts';
import { runCli, startCli } from '../support/run-cli.ts';
import { createTerminal } from '../support/terminal.ts';
import { expectError, test } from './cli-kit.ts';

const ENTER = '\u001b[?1049h\u001b[?25l\u001b[?7l';
const LEAVE = '\u001b[?7h\u001b[?25h\u001b[?1049l';

/** The backend of the one evdb that is connected to the test's database. */
async function readPid(sql: postgres.Sql): Promise<number> {
  const rows = await sql<{ pid: number }[]>`
    select pid from pg_stat_activity
    where datname = current_database() and application_name = 'evdb'`;
  expect(rows).toHaveLength(1);
  return rows[0]?.pid ?? 0;
}

test('redraws in place on a terminal, and gives it back on Ctrl-C', async ({
  emptyDb,
  project,
}) => {
  const terminal = createTerminal(
    { columns: 80, rows: 20 },
    { cwd: project.dir, url: emptyDb.url },
  );
  const ended = terminal.run('stats', 'locks', '--watch', '0.2');
  await terminal.shows('no session waits for a lock');
  const [holder, waiter] = [openSql(emptyDb.url, 1), openSql(emptyDb.url, 1)];
  await holder`select pg_advisory_lock(7)`;
  const waits = waiter`select pg_advisory_lock(7)`.execute();
  await terminal.shows('└');
  expect(terminal.screen()).toContain('select pg_advisory_lock(7)');
  await holder`select pg_advisory_unlock(7)`;
  await waits;
  await terminal.shows('no session waits for a lock');
  terminal.interrupt();
  expect(await ended).toBe(130);

  const text = terminal.written();
  expect(text.startsWith(`${ENTER}\u001b[H`)).toBe(true);
  expect(text.split(ENTER)).toHaveLength(2);
  expect(text.split(LEAVE)).toHaveLength(2);
  // a cleared screen would flicker
  expect(text).not.toContain('\u001b[2J');
  expect(terminal.left()).toBe('no session waits for a lock\n');
  expect(terminal.stderr()).toBe('');
  await Promise.all([holder, waiter].map(closeSql));
});

test('fits the terminal, also when that changes its size', async ({ emptyDb, project }) => {
  const terminal = createTerminal({ columns: 40, rows: 6 }, { cwd: project.dir, url: emptyDb.url });
  const ended = terminal.run('stats', 'cache', '--watch', '200ms');
  await terminal.shows('need a taller terminal');
  const small = terminal.screen().split('\n');
  expect(small).toHaveLength(6);
  expect(small[0]).toMatch(/^evdb stats cache {2}\d{4}-/);
  for (const line of small) expect(displayWidth(line)).toBeLessThanOrEqual(40);
  terminal.resize(120, 60);
  await terminal.shows('┌');
  expect(terminal.screen()).not.toContain('taller terminal');
  terminal.interrupt();
  expect(await ended).toBe(130);
});

test('shows a connection that is lost, and makes it again', async ({ emptyDb, project }) => {
  const proxy = await startProxy(emptyDb.url);
  const terminal = createTerminal({ columns: 90, rows: 20 }, { cwd: project.dir, url: proxy.url });
  const ended = terminal.run('stats', 'locks', '--watch', '0.2');
  await terminal.shows('no session waits for a lock');
  proxy.refuse();
  proxy.cut();
  await terminal.shows('nothing accepts connections at 127.0.0.1');
  // what was seen last stays
  expect(terminal.screen()).toContain('no session waits for a lock');
  expect(terminal.screen()).toMatch(/: trying again in [\d.]+ (ms|s)$/m);
  await proxy.accept();
  proxy.restore();
  await new Promise<void>((resolve) => {
    const look = () => {
      if (terminal.screen().includes('trying again')) setTimeout(look, 50);
      else resolve();
    };
    look();
  });
  terminal.interrupt();
  expect(await ended).toBe(130);
  expect(terminal.written().split(LEAVE)).toHaveLength(2);
  await proxy.close();
});

test('gives the terminal back when it fails for good', async ({
  admin,
  emptyDb,
  role,
  project,
}) => {
  const terminal = createTerminal({ columns: 90, rows: 20 }, { cwd: project.dir, url: role.url });
  const ended = terminal.run('stats', 'locks', '--watch', '0.2');
  await terminal.shows('no session waits for a lock');
  await admin.unsafe(`alter role ${role.name} nologin`);
  const pid = await readPid(emptyDb.sql);
  await emptyDb.sql`select pg_terminate_backend(${pid}::int)`;
  expect(await ended).toBe(1);
  expect(terminal.written().split(LEAVE)).toHaveLength(2);
  expect(terminal.stderr()).toMatch(/^error AUTHENTICATION_FAILED {2}/);
});

test('does not take over a terminal before the first look', async ({ project }) => {
  const url = 'postgres://app@127.0.0.1:1/app';
  const terminal = createTerminal({ columns: 80, rows: 20 }, { cwd: project.dir, url });
  expect(await terminal.run('stats', 'locks', '--watch')).toBe(4);
  expect(terminal.written()).toBe('');
});

test('appends blocks where no terminal is, on one session', async ({ emptyDb, project }) => {
  const env = { EVDB_URL: emptyDb.url };
  const watching = startCli(['stats', 'locks', '--watch', '0.2'], { cwd: project.dir, env });
  await watching.printed('no session waits for a lock\n\n-- ');
  const first = await readPid(emptyDb.sql);
  const blocks = () => watching.output.stdout.split('-- ').length;
  const seen = blocks();
  while (blocks() < seen + 2) await once(watching.child.stdout ?? watching.child, 'data');
  expect(await readPid(emptyDb.sql)).toBe(first);

  await emptyDb.sql`select pg_terminate_backend(${first}::int)`;
  await watching.printed('trying again in 500 ms');
  const lost = blocks();
  while (blocks() < lost + 1) await once(watching.child.stdout ?? watching.child, 'data');
  expect(await readPid(emptyDb.sql)).not.toBe(first);

  watching.child.kill('SIGINT');
  const { code, stdout, stderr } = await watching.result;
  expect(code).toBe(130);
  expect(stdout).toMatch(/^(-- \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\nno session waits for a lock\n\n)+$/);
  expect(stderr.trimEnd().split('\n')).toHaveLength(1);
});

test('prints one JSON a line', async ({ emptyDb, project }) => {
  const env = { EVDB_URL: emptyDb.url };
  const args = ['stats', 'locks', '--watch', '0.2', '--json'];
  const watching = startCli(args, { cwd: project.dir, env });
  while (watching.output.stdout.split('\n').length < 4) {
    await once(watching.child.stdout ?? watching.child, 'data');
  }
  watching.child.kill('SIGTERM');
  const { code, stdout, stderr } = await watching.result;
  const looks = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  const command = 'stats locks';
  expect(looks.pop()).toEqual({ formatVersion: 1, command, ok: false, exitCode: 130 });
  expect(looks.length).toBeGreaterThanOrEqual(3);
  for (const look of looks) {
    expect(look).toMatchObject({ formatVersion: 1, command, rows: [] });
    expect(look).not.toHaveProperty('ok');
    expect(new Date(look.at).toISOString()).toBe(look.at);
  }
  expect({ code, stderr }).toEqual({ code: 130, stderr: '' });
});

test.for(['as text', 'as JSON'])(
  'ends quietly when nobody reads any more, %s',
  async (how, { emptyDb, project }) => {
    const args = ['stats', 'locks', '--watch', '0.2', ...(how === 'as JSON' ? ['--json'] : [])];
    const watching = startCli(args, { cwd: project.dir, env: { EVDB_URL: emptyDb.url } });
    await once(watching.child.stdout ?? watching.child, 'data');
    watching.child.stdout?.destroy();
    expect(await watching.result).toMatchObject({ code: 0, stderr: '' });
  },
);

test.for(['0.1', '199ms', '0', '-1', 'often', '5m', '30d'])(
  'refuses to look every "%s"',
  async (interval, { project }) => {
    const result = await runCli(['stats', 'locks', `--watch=${interval}`], { cwd: project.dir });
    expectError(result, 'USAGE', 2);
  },
);
