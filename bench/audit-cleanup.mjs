// What people who register feel of `evdb audit cleanup`.
// Usage: node bench/audit-cleanup.mjs [--rounds 1] [--rows 1000000] [--clients 16] [--seconds 15]
import { readArguments } from './support/arguments.mjs';
import { EVDB } from './support/build.mjs';
import { createEventDatabase, withCopy, withSession } from './support/event-schema.mjs';
import { interruption, timeProcess } from './support/process.mjs';
import { round, writeReport } from './support/report.mjs';
import { median } from './support/statistics.mjs';
import { withWorkspace } from './support/workspace.mjs';

const P99_RATIO_LIMIT = 2;
const DAYS_TO_KEEP = 90;
const EXPIRED_SHARE = 0.9;
const USERS = 100_000;
const EVENTS = 1000;
const WARM_UP_MS = 3000;

const { rounds, rows, clients, seconds } = readArguments({
  rounds: 1,
  rows: 1_000_000,
  clients: 16,
  seconds: 15,
});

await withWorkspace(async (workspace) => {
  console.log(`filling a log with ${rows} entries`);
  const template = await createEventDatabase(workspace, 'cleanup', 'audit-cleanup.sql', {
    rows,
    users: USERS,
    events: EVENTS,
  });
  const runs = [];
  for (let index = 0; index < rounds; index++) {
    const run = await withCopy(workspace, template, (url) => measure(url, workspace.directory));
    runs.push(run);
    console.log(
      `round ${index + 1} of ${rounds}: p99 ${round(run.without.p99Ms)} ms without, ${round(run.during.p99Ms)} ms during ${round(run.cleanupMs / 1000)} s of cleanup`,
    );
  }
  report(workspace.serverVersion, runs);
});

/** Before and after the cleanup count as without, because a run drifts. */
async function measure(url, directory) {
  const load = await startLoad(url);
  await pause(WARM_UP_MS);
  const before = await load.collect(() => pause(seconds * 1000));
  let cleanupMs = 0;
  const during = await load.collect(async () => {
    const args = [EVDB, 'audit', 'cleanup', '--days', String(DAYS_TO_KEEP), '--url', url];
    ({ wallMs: cleanupMs } = await timeProcess(process.execPath, args, { cwd: directory }));
  });
  const after = await load.collect(() => pause(seconds * 1000));
  await load.end();
  await requireCleaned(url);
  return { without: summarise([...before, ...after]), during: summarise(during), cleanupMs };
}

/** Every client registers one user after the other, each for an event of its own choice. */
async function startLoad(url) {
  const { default: postgres } = await import('postgres');
  const connections = Array.from({ length: clients }, () =>
    postgres(url, { max: 1, idle_timeout: 0, onnotice: () => undefined }),
  );
  let times = [];
  let isEnded = false;
  const work = connections.map(async (sql, client) => {
    for (let n = 0; !isEnded && !interruption.signal.aborted; n++) {
      const user = 1 + ((client * 7919 + n * 31) % USERS);
      const event = 1 + ((client * 61 + n * 17) % EVENTS);
      const startedAt = performance.now();
      await sql.unsafe('select safe_event_registration($1::int, $2::int)', [user, event], {
        prepare: true,
      });
      times.push(performance.now() - startedAt);
    }
  });
  return {
    /** @param {() => Promise<void>} meanwhile */
    collect: async (meanwhile) => {
      times = [];
      await meanwhile();
      return times;
    },
    end: async () => {
      isEnded = true;
      await Promise.all(work);
      await Promise.all(connections.map((sql) => sql.end({ timeout: 5 })));
    },
  };
}

function pause(durationMs) {
  return new Promise((resolve) => {
    setTimeout(resolve, durationMs);
  });
}

/** @param {number[]} times */
function summarise(times) {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  return { calls: times.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: sorted.at(-1) };
}

async function requireCleaned(url) {
  const [{ expired, kept }] = await withSession(
    url,
    (sql) => sql`
      select
        count(*) filter (where created_at < now() - interval '2161 hours')::int as expired,
        count(*) filter (where new_values is not null)::int as kept
      from audit_logs`,
  );
  if (expired > 0) throw new Error(`${expired} entries are expired and were not removed`);
  if (kept < rows * (1 - EXPIRED_SHARE) * 0.99) throw new Error(`only ${kept} entries are left`);
}

function report(serverVersion, runs) {
  const ratios = runs.map(({ without, during }) => during.p99Ms / without.p99Ms);
  const lines = ['without', 'during'].map((name) => [
    name,
    ...['calls', 'p50Ms', 'p99Ms', 'maxMs'].map((key) =>
      round(median(runs.map((run) => run[name][key]))),
    ),
  ]);
  writeReport('audit-cleanup', {
    title: `${clients} clients register while evdb audit cleanup removes ${EXPIRED_SHARE * 100} % of ${rows} entries, ${rounds} rounds, PostgreSQL ${serverVersion}; the cleanup took ${round(median(runs.map((run) => run.cleanupMs)) / 1000)} s`,
    head: ['cleanup', 'calls', 'p50 ms', 'p99 ms', 'max ms'],
    rows: lines,
    figures: [
      {
        what: 'registrations during `audit cleanup`: 99th percentile',
        over: 'without it',
        target: P99_RATIO_LIMIT,
        rounds: ratios,
      },
    ],
    data: { rounds, rows, clients, seconds, serverVersion, runs },
  });
}
