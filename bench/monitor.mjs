// What `evdb monitor` costs the server and the machine that it runs on, at one look a second.
// Usage: node bench/monitor.mjs [--seconds 60] [--clients 12] [--events 600]
// Needs tmux, for a terminal, and /proc.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readArguments } from './support/arguments.mjs';
import { BUILD, EVDB } from './support/build.mjs';
import { withSession } from './support/event-schema.mjs';
import { timeProcess } from './support/process.mjs';
import { round, writeReport } from './support/report.mjs';
import { figureOf } from './support/rows.mjs';
import { withWorkspace } from './support/workspace.mjs';

const VIEWS = ['activity', 'waits', 'locks', 'rates', 'replication', 'sale'];
const USERS = 20_000;
const SLEEPING = 60;
const LIMITS = { server: 1, monitor: 3 };
/** Of /proc, a second: the same on every Linux that Node.js runs on. */
const TICKS = 100;

const { seconds, clients, events } = readArguments({ seconds: 60, clients: 12, events: 600 });

await withWorkspace(async (workspace) => {
  const url = await workspace.createDatabase('monitor');
  await timeProcess(
    process.execPath,
    [EVDB, 'migrate', 'up', '--migrations-dir', join(BUILD, 'migrations'), '--url', url],
    { cwd: workspace.directory },
  );
  await withSession(url, (sql) => sql.unsafe(renderEvents()));
  const load = await startLoad(url);
  const results = {};
  try {
    for (const view of VIEWS) {
      results[view] = await measureView(view, url, workspace.directory);
      const { monitor, server } = results[view];
      console.log(`${view}: monitor ${round(monitor)} %, server ${round(server)} %`);
    }
  } finally {
    await load.stop();
  }
  report(workspace.serverVersion, results);
});

function renderEvents() {
  return `
    insert into users (name, email, password_hash)
      select 'User', 'user' || i || '@example.org', '$2b$12$' || repeat('a', 53)
      from generate_series(1, ${USERS}) i;
    insert into events (title, description, date_time, location, capacity, created_by)
      select 'Event ' || i, 'x', now() + interval '3 days', 'Hall', 10000, 1
      from generate_series(1, ${events}) i`;
}

/** Sessions that hold a transaction open, and some that register people ten times a second each. */
async function startLoad(url) {
  const { default: postgres } = await import('postgres');
  const max = clients + SLEEPING;
  const sql = postgres(url, { max, idle_timeout: 0, onnotice: () => undefined });
  let isOver = false;
  let user = 0;
  const sleepers = Array.from({ length: SLEEPING }, async () => {
    while (!isOver) await sql`select pg_sleep(1)`;
  });
  const buyers = Array.from({ length: clients }, async () => {
    while (!isOver) {
      user += 1;
      await sql`select safe_event_registration(${1 + (user % USERS)}, ${1 + (user % 3)})`;
      await sleep(100);
    }
  });
  return {
    stop: async () => {
      isOver = true;
      await Promise.all([...sleepers, ...buyers]);
      await sql.end();
    },
  };
}

/** In percent of a core. */
async function measureView(view, url, directory) {
  const name = `evdb-bench-${process.pid}-${view}`;
  const tmux = (...args) =>
    execFileSync('tmux', ['-L', name, '-f', '/dev/null', ...args], { cwd: directory }).toString();
  const line = `exec '${process.execPath}' '${EVDB}' monitor --view ${view} --url '${url}'`;
  tmux('new-session', '-d', '-x', '120', '-y', '40', line);
  try {
    // What is loaded and compiled at its start is no part of a look.
    await sleep(5000);
    const pid = tmux('display-message', '-p', '#{pane_pid}').trim();
    const [{ backend }] = await withSession(url, (sql) =>
      sql.unsafe(`select pid as backend from pg_stat_activity where application_name = 'evdb'`),
    );
    const before = [ticksOf(pid), ticksOf(backend)];
    const startedAt = performance.now();
    await sleep(seconds * 1000);
    const elapsed = (performance.now() - startedAt) / 1000;
    const share = (id, was) => ((ticksOf(id) - was) / TICKS / elapsed) * 100;
    return { monitor: share(pid, before[0]), server: share(backend, before[1]) };
  } finally {
    tmux('kill-server');
  }
}

/** Processor time of a process, of itself and of the kernel for it. */
function ticksOf(pid) {
  const [, behindName = ''] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ');
  const fields = behindName.split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

function report(serverVersion, results) {
  writeReport('monitor', {
    title: `monitor at one look a second over ${seconds} s a view, ${clients + SLEEPING} sessions, ${events} events, PostgreSQL ${serverVersion}`,
    head: ['view', 'monitor %', 'server %'],
    rows: VIEWS.map((view) => [view, round(results[view].monitor), round(results[view].server)]),
    figures: ['server', 'monitor'].map((side) =>
      figureOf(
        {
          what: `monitor, the view that costs most: ${side === 'server' ? 'its session' : 'itself'}`,
          unit: '%',
          target: LIMITS[side],
        },
        [Math.max(...VIEWS.map((view) => results[view][side]))],
      ),
    ),
    data: { seconds, clients, events, serverVersion, results },
  });
}
