import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect } from 'vitest';
import { closeSql, openSql } from '../support/databases.ts';
import { startOwnServer, whyNoOwnServer } from '../support/own-server.ts';
import { runCli } from '../support/run-cli.ts';
import { openTmux, type Tmux, whyNoTmux } from '../support/tmux.ts';
import { until } from '../support/waiting.ts';
import { test as base, expectError } from './cli-kit.ts';

const MIGRATIONS = fileURLToPath(new URL('../../migrations/', import.meta.url));

/** A real terminal with a monitor of the test's database in it. */
const test = base.extend<{ open: (line: string, url?: string) => Promise<Tmux> }>({
  open: async ({ emptyDb, project }, use) => {
    const terminals: Tmux[] = [];
    await use(async (line, url = emptyDb.url) => {
      const terminal = await openTmux(
        { columns: 100, rows: 20 },
        { cwd: project.dir, env: { EVDB_URL: url } },
      );
      terminals.push(terminal);
      await terminal.type('stty -a > before.txt; clear; echo first');
      await terminal.shows('first');
      await terminal.type(line);
      return terminal;
    });
    await Promise.all(terminals.map((terminal) => terminal.close()));
  },
});

/** The terminal has its modes, its screen and its cursor again. */
async function expectGivenBack(terminal: Tmux, exitCode: number): Promise<void> {
  // What is typed before the shell asks again is read by the monitor.
  await until(async () => /^\$$/m.test((await terminal.read()).slice(-2).trim()));
  await terminal.type('echo "[$?]"; stty -a | diff before.txt - && echo sa""me');
  await terminal.shows('same');
  const text = await terminal.read();
  expect(text).toContain('first');
  expect(text).toContain(`[${exitCode}]`);
  expect(text).not.toContain('1 activity');
}

describe.skipIf(whyNoTmux() !== undefined)('a monitor on a terminal', () => {
  test('switches views, filters, and ends a session after a question', async ({
    open,
    emptyDb,
  }) => {
    const url = new URL(emptyDb.url);
    url.searchParams.set('application_name', 'victim');
    const victim = openSql(url.href, 1);
    const [{ pid } = { pid: 0 }] = await victim<{ pid: number }[]>`select pg_backend_pid() as pid`;
    const ended = victim`select pg_sleep(120)`.catch((error: { code: string }) => error.code);
    const terminal = await open('evdb monitor --interval 0.2s');
    await terminal.shows('[1 activity]');
    await terminal.shows('select pg_sleep(120)');
    await terminal.press('3');
    await terminal.shows('[3 locks]');
    await terminal.press('1', '/');
    await terminal.type(String(pid));
    await terminal.shows(`only rows that say "${pid}"`);
    await until(async () => (await terminal.read()).includes(`> ${' '}`));
    await terminal.press('k');
    await terminal.shows(`End session ${pid} (postgres, victim)? y/n`);
    await terminal.press('n');
    await terminal.shows(`session ${pid} was left alone`);
    await terminal.press('k');
    await terminal.shows(`End session ${pid}`);
    await terminal.press('y');
    await terminal.shows(`session ${pid} was ended`);
    expect(await ended).toMatch(/57P01|CONNECTION_CLOSED/);
    await terminal.press('q');
    await expectGivenBack(terminal, 0);
    await closeSql(victim);
  });

  test('goes on when its connection was ended', async ({ open, emptyDb }) => {
    const terminal = await open('evdb monitor --interval 0.2s');
    await terminal.shows('[1 activity]');
    const end = () => emptyDb.sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name like 'evdb%' and application_name <> 'evdb-test'`;
    // Whichever it is by then.
    await until(async () => (await end()).length > 0);
    await terminal.shows('terminating connection');
    await until(async () => !(await terminal.read()).includes('terminating connection'));
    await terminal.press('2');
    await terminal.shows('[2 waits]');
    await terminal.press('C-c');
    await expectGivenBack(terminal, 130);
  });

  test('is drawn anew when the terminal gets another size', async ({ open }) => {
    const terminal = await open('evdb monitor --interval 0.2s');
    await terminal.shows('2 waits');
    await terminal.resize(50, 12);
    await until(async () => !(await terminal.read()).includes('2 waits'));
    await terminal.shows('[1 activity] 2 3');
    await terminal.resize(100, 20);
    await terminal.shows('2 waits');
    await terminal.press('q');
    await expectGivenBack(terminal, 0);
  });

  test('gives the terminal back when it is suspended, and when a signal ends it', async ({
    open,
  }) => {
    const terminal = await open('evdb monitor --interval 0.2s');
    await terminal.shows('[1 activity]');
    await terminal.press('C-z');
    await terminal.shows('Stopped');
    expect(await terminal.read()).toContain('first');
    await terminal.type('stty -a | diff before.txt - && echo sa""me; fg');
    await terminal.shows('[1 activity]');
    await terminal.press('tab', '7');
    await terminal.shows('the event schema is not installed');
    await terminal.press('C-z');
    await terminal.shows('Stopped');
    await terminal.type('kill -TERM %1; fg');
    await terminal.shows('first');
    await expectGivenBack(terminal, 130);
  });

  test.skipIf(whyNoOwnServer() !== undefined)(
    'survives a restart of the server',
    async ({ open }) => {
      const server = await startOwnServer();
      const terminal = await open('evdb monitor --interval 0.2s', server.url);
      await terminal.shows('[1 activity]');
      await server.stop();
      await terminal.shows('trying again');
      await server.start();
      await until(async () => !(await terminal.read()).includes('trying again'));
      await terminal.press('q');
      await expectGivenBack(terminal, 0);
      await server.remove();
    },
  );

  test('tells an error on the usual screen', async ({ open }) => {
    const terminal = await open('evdb monitor', 'postgres://nobody@127.0.0.1:1/nothing');
    await terminal.shows('error CONNECTION_REFUSED');
    await expectGivenBack(terminal, 4);
  });
});

base('prints one look where there is no terminal, and says so', async ({ emptyDb, project }) => {
  const options = { cwd: project.dir, env: { EVDB_URL: emptyDb.url } };
  const look = await runCli(['monitor', '--view', 'replication'], options);
  expect(look.code).toBe(0);
  expect(look.stdout).toMatch(/^\d+ of \d+ connections · \d+ active/);
  expect(look.stderr).toMatch(/^This is no terminal, so it is one look; --json prints/);
  expect((await runCli(['monitor', '--quiet'], options)).stderr).toBe('');
});

base('prints a line of JSON for each look', async ({ db, project }) => {
  await cp(MIGRATIONS, join(project.dir, 'migrations'), { recursive: true });
  const options = { cwd: project.dir, env: { EVDB_URL: db.url } };
  const flags = ['--json', '--count', '2', '--interval', '0.2s'];
  const { code, stdout } = await runCli(['monitor', ...flags], options);
  expect(code).toBe(0);
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(lines).toHaveLength(3);
  const [first, second, end] = lines;
  expect(first).toMatchObject({ command: 'monitor', rates: { commits: null }, statements: null });
  expect(second.rates.commits).toEqual(expect.any(Number));
  expect(second.sale).toMatchObject({ events: [], queues: [] });
  expect(Date.parse(second.at)).toBeGreaterThan(Date.parse(first.at));
  expect(end).toMatchObject({ ok: true, exitCode: 0, looks: 2 });
  expectError(await runCli(['monitor', '--interval', '10ms'], options), 'USAGE', 2);
});
