// What merging is worth: callers who all want the same event, once with a call of their own each and
// once through the registrar, over pools with the same options.
// Usage: node bench/registrar.mjs [--rounds 5] [--seconds 3] [--clients 256] [--users 51200]

import { readArguments } from './support/arguments.mjs';
import { importLibrary } from './support/build.mjs';
import { createEventDatabase, withCopy, withSession } from './support/event-schema.mjs';
import { interruption } from './support/process.mjs';
import { HOT_EVENT_STRIDE } from './support/registration-loads.mjs';
import { round, writeReport } from './support/report.mjs';
import { ratioOf } from './support/rows.mjs';
import { interleave, median, medianRatio } from './support/statistics.mjs';
import { withWorkspace } from './support/workspace.mjs';

const { createRegistrar, createRegistrationClient } = await importLibrary('index.events.js');
const { DatabasePool } = await importLibrary('index.js');

/** An event holds no more; after that many registrations all callers go to the next one. */
const SEATS = 10_000;
const WARM_UP_MS = 1000;
const CONNECTIONS = 10;
const NO_FSYNC = 'synchronous_commit=off';

const { rounds, seconds, clients, users } = readArguments({
  rounds: 5,
  seconds: 3,
  clients: 256,
  users: 51_200,
});
if (users < SEATS) throw new Error(`--users: at least ${SEATS}, or an event cannot be filled`);

/** Each contender but the baselines names the one it is compared with, and how it should do. */
const CONTENDERS = {
  'single calls': { open: openClient, callers: clients },
  registrar: { open: openRegistrar, callers: clients, base: 'single calls', floor: 8 },
  'single calls, no fsync': { open: openClient, callers: clients, setting: NO_FSYNC },
  'registrar, no fsync': {
    open: openRegistrar,
    callers: clients,
    setting: NO_FSYNC,
    base: 'single calls, no fsync',
  },
  'single calls, one caller': { open: openClient, callers: 1 },
  'registrar, one caller': {
    open: openRegistrar,
    callers: 1,
    base: 'single calls, one caller',
    floor: 0.75,
  },
};

await withWorkspace(async (workspace) => {
  const template = await createEventDatabase(workspace, 'registrar', 'event-registration.sql', {
    users,
    random_events: 1,
    // Each is created by the user with its number.
    hot_events: Math.floor(users / HOT_EVENT_STRIDE),
  });
  const runs = Object.fromEntries(
    Object.entries(CONTENDERS).map(([name, contender]) => [
      name,
      () => withCopy(workspace, template, (url) => measure(url, contender)),
    ]),
  );
  const results = await interleave(runs, rounds, (index, name, { rowsPerSecond }) =>
    console.log(`round ${index + 1} of ${rounds}: ${name}, ${round(rowsPerSecond, 0)} rows/s`),
  );
  report(workspace.serverVersion, results);
});

function openClient(pool) {
  return { ...createRegistrationClient(pool), close: async () => {} };
}

function openRegistrar(pool) {
  return createRegistrar(pool);
}

/** Runs one contender, and believes its rate only where every call left its row. */
async function measure(url, { open, callers, setting }) {
  const pool = new DatabasePool({
    connectionString: setting ? withSetting(url, setting) : url,
    max: CONNECTIONS,
    min: CONNECTIONS,
  });
  const registrations = open(pool);
  let result;
  try {
    await pool.warm();
    result = await runCallers(registrations, callers);
    result.batchSizes = registrations.metrics?.().batchSizes;
  } finally {
    await registrations.close();
    await pool.close();
  }
  const [{ rows }] = await withSession(url, (sql) =>
    sql.unsafe(`select count(*)::int as rows from registrations where status = 'confirmed'`),
  );
  if (rows !== result.calls) throw new Error(`${result.calls} calls left ${rows} rows`);
  return result;
}

function withSetting(url, setting) {
  return `${url}${url.includes('?') ? '&' : '?'}options=${encodeURIComponent(`-c ${setting}`)}`;
}

async function runCallers({ register }, callers) {
  const startsAt = performance.now() + WARM_UP_MS;
  const endsAt = startsAt + seconds * 1000;
  const latenciesMs = [];
  let calls = 0;
  const call = async () => {
    while (performance.now() < endsAt && !interruption.signal.aborted) {
      const number = calls;
      calls += 1;
      const eventId = 1 + HOT_EVENT_STRIDE * Math.floor(number / SEATS);
      const calledAt = performance.now();
      const answer = await register(1 + (number % SEATS), eventId);
      if (!answer.success) throw new Error(`call ${number}: ${answer.message}`);
      const now = performance.now();
      if (now >= startsAt && now < endsAt) latenciesMs.push(now - calledAt);
    }
  };
  await Promise.all(Array.from({ length: callers }, call));
  return {
    rowsPerSecond: latenciesMs.length / seconds,
    medianLatencyMs: median(latenciesMs),
    calls,
  };
}

function report(serverVersion, results) {
  const of = (name, field) => results[name].map((run) => run[field]);
  const ratios = Object.fromEntries(
    Object.entries(CONTENDERS)
      .filter(([, { base }]) => base)
      .map(([name, { base }]) => [
        name,
        medianRatio(of(name, 'rowsPerSecond'), of(base, 'rowsPerSecond')),
      ]),
  );
  writeReport('registrar', {
    title: `registrations for one event, ${clients} callers over a pool of ${CONNECTIONS}, ${rounds} rounds of ${seconds} s, PostgreSQL ${serverVersion}, audit on, durable commits unless said otherwise`,
    head: ['contender', 'median rows/s', 'slowest', 'fastest', 'latency ms', '/ its baseline'],
    rows: Object.keys(results).map((name) => {
      const rates = of(name, 'rowsPerSecond');
      return [
        name,
        round(median(rates), 0),
        round(Math.min(...rates), 0),
        round(Math.max(...rates), 0),
        round(median(of(name, 'medianLatencyMs')), 1),
        name in ratios ? round(ratios[name]) : '',
      ];
    }),
    figures: Object.entries(CONTENDERS)
      .filter(([, { floor }]) => floor)
      .map(([name, { base, floor }]) =>
        ratioOf(
          { what: `${name}: rows a second`, over: base, target: floor, isFloor: true },
          of(name, 'rowsPerSecond'),
          of(base, 'rowsPerSecond'),
          { unit: '/s' },
        ),
      ),
    data: {
      rounds,
      seconds,
      clients,
      users,
      connections: CONNECTIONS,
      serverVersion,
      ratios,
      results,
    },
  });
}
