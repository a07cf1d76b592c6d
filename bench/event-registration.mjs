// What a registration costs: calls for one event beside the cheapest statement that could count and
// audit, and calls for many events beside a plain insert.
// Usage: node bench/event-registration.mjs [--rounds 5] [--seconds 5] [--clients 32] [--plain-client] [--quick]
import { IS_QUICK, readArguments } from './support/arguments.mjs';
import { createEventDatabase, withCopy, withSession } from './support/event-schema.mjs';
import { LOAD_TOOL, runLoad } from './support/load.mjs';
import {
  callHotEvent,
  callRandomEvent,
  HOT_EVENT_STRIDE,
  insertPlain,
  RANDOM_EVENTS,
  registerBatch,
  updateHotRow,
} from './support/registration-loads.mjs';
import { round, writeReport } from './support/report.mjs';
import { ratioOf } from './support/rows.mjs';
import { interleave, median, medianRatio } from './support/statistics.mjs';
import { withWorkspace } from './support/workspace.mjs';

/** Whoever gathers registrations into batches needs few connections; these keep the queue from running dry. */
const BATCH_CLIENTS = 4;
const NOT_DURABLE = { synchronous_commit: 'off' };
const HOT_UPDATES_FLOOR = 0.95;

/** Each contender but the baselines names the one it is compared with, and its row or how it should do. */
const ALL_CONTENDERS = {
  'update one row + audit row': { load: updateHotRow },
  'one event, call': { load: callHotEvent, base: 'update one row + audit row', floor: 0.8 },
  'one event, batch of 64': {
    load: (clients) => registerBatch(clients, 64),
    clients: BATCH_CLIENTS,
    base: 'update one row + audit row',
    floor: 7,
  },
  'one event, batch of 256': {
    load: (clients) => registerBatch(clients, 256),
    clients: BATCH_CLIENTS,
    base: 'update one row + audit row',
    floor: 10,
  },
  'plain insert + audit': { load: insertPlain, isQuick: true },
  '1,000 events, call': { load: callRandomEvent, base: 'plain insert + audit', row: '9' },
  'update one row + audit row, no fsync': {
    load: updateHotRow,
    settings: NOT_DURABLE,
    isQuick: true,
  },
  'one event, call, no fsync': {
    load: callHotEvent,
    settings: NOT_DURABLE,
    base: 'update one row + audit row, no fsync',
    row: '10',
  },
};
const CONTENDERS = Object.fromEntries(
  Object.entries(ALL_CONTENDERS).filter(([, { row, isQuick }]) => row || isQuick || !IS_QUICK),
);

const { rounds, seconds, clients, users } = readArguments({
  rounds: 5,
  seconds: 5,
  clients: 32,
  users: 204_800,
});

await withWorkspace(async (workspace) => {
  const template = await createEventDatabase(
    workspace,
    'registration',
    'event-registration.sql',
    // Hot events for 100,000 registrations a second.
    { users, random_events: RANDOM_EVENTS, hot_events: 20 + seconds * 20 },
  );
  const { directory } = workspace;
  await withCopy(workspace, template, warnOfOverlap);
  const runs = Object.fromEntries(
    Object.entries(CONTENDERS).map(([name, { load, clients: own = clients, settings }]) => [
      name,
      () =>
        withCopy(workspace, template, (url) =>
          measure({ url, settings, seconds, clients: own, directory }, load(own, users)),
        ),
    ]),
  );
  const results = await interleave(runs, rounds, (index, name, { rowsPerSecond }) =>
    console.log(`round ${index + 1} of ${rounds}: ${name}, ${round(rowsPerSecond, 0)} rows/s`),
  );
  report(workspace.serverVersion, results);
});

/** Runs one contender, and believes its rate only where every call left its rows. */
async function measure(options, workload) {
  const { callsPerSecond, calls } = await runLoad({ ...options, workload });
  return withSession(options.url, async (sql) => {
    const [{ rows, audited }] = await sql.unsafe(workload.check);
    const expected = calls * workload.rowsPerCall;
    if (rows !== expected || audited !== expected) {
      throw new Error(
        `${workload.statement}: ${calls} calls left ${rows} rows, ${audited} of them audited, instead of ${expected}`,
      );
    }
    const [hot] = await sql.unsafe(
      `select n_tup_hot_upd::float8 / nullif(n_tup_upd, 0) as share from pg_stat_user_tables where relname = 'events'`,
    );
    return {
      rowsPerSecond: callsPerSecond * workload.rowsPerCall,
      callsPerSecond,
      calls,
      hotUpdates: hot.share,
    };
  });
}

/**
 * An event is full after 10,000 registrations, and the clients move on one by one. They stay in one
 * queue only where the next event shares the advisory lock of the one before.
 */
async function warnOfOverlap(url) {
  const [first, second] = await withSession(url, async (sql) => [
    await readLockKeys(sql, 1),
    await readLockKeys(sql, 1 + HOT_EVENT_STRIDE),
  ]);
  if (first === second) return;
  console.log('The hot events do not share a queue: while clients move on they run side by side.');
}

async function readLockKeys(sql, event) {
  return sql.begin(async (transaction) => {
    await transaction`select safe_event_registration(1, ${event})`;
    const locks = await transaction`
      select objid from pg_locks
      where locktype = 'advisory' and pid = pg_backend_pid() and mode = 'ExclusiveLock' order by objid`;
    return locks.map(({ objid }) => objid).join();
  });
}

function report(serverVersion, results) {
  const rates = Object.fromEntries(
    Object.entries(results).map(([name, runs]) => [
      name,
      runs.map(({ rowsPerSecond }) => rowsPerSecond),
    ]),
  );
  const ratios = Object.fromEntries(
    Object.entries(CONTENDERS)
      .filter(([, { base }]) => base)
      .map(([name, { base }]) => [name, medianRatio(rates[name], rates[base])]),
  );
  const hotUpdates = Object.fromEntries(
    Object.entries(results)
      .filter(([name]) => name in ratios)
      .map(([name, runs]) => [name, Math.min(...runs.map((run) => run.hotUpdates))]),
  );
  writeReport('event-registration', {
    title: `registrations, ${clients} clients (${LOAD_TOOL}; batches: ${BATCH_CLIENTS}), ${rounds} rounds of ${seconds} s, PostgreSQL ${serverVersion}, audit on, durable commits unless said otherwise`,
    head: ['contender', 'median rows/s', 'slowest', 'fastest', '/ its baseline', 'HOT updates'],
    rows: Object.entries(rates).map(([name, values]) => [
      name,
      round(median(values), 0),
      round(Math.min(...values), 0),
      round(Math.max(...values), 0),
      name in ratios ? round(ratios[name]) : '',
      name in hotUpdates ? `${round(hotUpdates[name] * 100, 1)} %` : '',
    ]),
    figures: [
      ...Object.entries(CONTENDERS)
        .filter(([, { floor, row }]) => floor || row)
        .map(([name, { base, floor, row }]) =>
          ratioOf(
            row ?? { what: `${name}: rows a second`, over: base, target: floor, isFloor: true },
            rates[name],
            rates[base],
            { unit: '/s' },
          ),
        ),
      ...Object.entries(hotUpdates).map(([name, share]) => ({
        what: `${name}: share of heap-only updates of events`,
        target: HOT_UPDATES_FLOOR,
        isFloor: true,
        rounds: [share],
      })),
    ],
    data: { rounds, seconds, clients, users, loadTool: LOAD_TOOL, serverVersion, ratios, results },
  });
}
