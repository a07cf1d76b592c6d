// Whether a registration, and a look at the newest audit entries, cost the same however much was
// registered for the one event before.
// Usage: node bench/event-growth.mjs [--rows 100000] [--clients 8] (--rows is the number of registrations)
import { readArguments } from './support/arguments.mjs';
import { EVDB } from './support/build.mjs';
import { createEventDatabase, withSession } from './support/event-schema.mjs';
import { interruption, timeNodeWithUsage } from './support/process.mjs';
import { round, toMegabytes, writeReport } from './support/report.mjs';
import { median } from './support/statistics.mjs';
import { withWorkspace } from './support/workspace.mjs';

/** The event has 10,000 seats: as many register, and all of them leave before the next ones come. */
const SLICES = 10;
const LOOKS = 5;
const GROWTH_LIMIT = 1.3;

const { rows, clients } = readArguments({ rows: 100_000, clients: 8 });
const size = Math.min(10_000, Math.ceil(rows / SLICES));

await withWorkspace(async (workspace) => {
  const url = await createEventDatabase(workspace, 'growth', 'event-growth.sql', { users: size });
  const slices = [];
  for (let slice = 0; slice < SLICES; slice++) {
    const registering = await timeCalls(url, 'safe_event_registration');
    const leaving = await timeCalls(url, 'safe_event_unregistration');
    const entries = await countEntries(url);
    slices.push({ entries, registering, leaving, look: await timeLooks(url, workspace.directory) });
    console.log(
      `${(slice + 1) * size} registrations: ${round(registering.perSecond, 0)} calls/s, ${entries} entries`,
    );
  }
  report(workspace.serverVersion, slices);
});

/** Each client calls for one user after the other. */
async function timeCalls(url, name) {
  const { default: postgres } = await import('postgres');
  const connections = Array.from({ length: clients }, () =>
    postgres(url, { max: 1, idle_timeout: 0, onnotice: () => undefined }),
  );
  try {
    await Promise.all(connections.map((sql) => sql.unsafe('select 1')));
    const startedAt = performance.now();
    const answers = await Promise.all(
      connections.map((sql, client) => callForUsers(sql, name, client)),
    );
    const wallMs = performance.now() - startedAt;
    const refused = answers.flat().filter((answer) => answer.success !== true);
    if (refused.length > 0) throw new Error(`${name}: ${JSON.stringify(refused[0])}`);
    return { wallMs, perSecond: (size / wallMs) * 1000 };
  } finally {
    await Promise.all(connections.map((sql) => sql.end()));
  }
}

async function callForUsers(sql, name, client) {
  const answers = [];
  for (let user = 1 + client; user <= size && !interruption.signal.aborted; user += clients) {
    const [row] = await sql.unsafe(`select ${name}($1::int, 1) as answer`, [user], {
      prepare: true,
    });
    answers.push(row.answer);
  }
  return answers;
}

function countEntries(url) {
  return withSession(url, async (sql) => {
    const [row] = await sql.unsafe('select count(*)::int as n from audit_logs');
    return row.n;
  });
}

/** The whole command, from the newest hundred of all entries. */
async function timeLooks(url, cwd) {
  const looks = [];
  for (let look = 0; look < LOOKS; look++) {
    const args = [EVDB, 'audit', 'log', '--table', 'registrations', '--limit', '100'];
    looks.push(await timeNodeWithUsage(args, { cwd, env: { EVDB_URL: url } }));
  }
  return {
    wallMs: median(looks.map(({ wallMs }) => wallMs)),
    peakRssMb: Math.max(...looks.map(({ peakRssBytes }) => toMegabytes(peakRssBytes))),
  };
}

function report(serverVersion, slices) {
  const [first] = slices;
  const last = slices.at(-1);
  const many = `${(size * SLICES).toLocaleString('en-US')} registrations of one event`;
  writeReport('event-growth', {
    title: `cost by what was registered for one event before, ${clients} clients, PostgreSQL ${serverVersion}`,
    head: ['registrations', 'audit entries', 'calls/s', 'newest 100 entries, ms', 'peak MB'],
    rows: slices.map(({ entries, registering, look }, index) => [
      (index + 1) * size,
      entries,
      round(registering.perSecond, 0),
      round(look.wallMs, 0),
      round(look.peakRssMb, 0),
    ]),
    figures: [
      {
        what: `a registration, the last tenth of ${many}: time`,
        over: 'the first tenth',
        target: GROWTH_LIMIT,
        rounds: [last.registering.wallMs / first.registering.wallMs],
        measured: {
          ours: [last.registering.wallMs],
          theirs: [first.registering.wallMs],
          unit: 'ms',
        },
      },
      {
        what: `\`audit log\`, the newest 100 after ${many}: time`,
        over: 'after the first tenth',
        target: GROWTH_LIMIT,
        rounds: [last.look.wallMs / first.look.wallMs],
        measured: { ours: [last.look.wallMs], theirs: [first.look.wallMs], unit: 'ms' },
      },
      {
        what: `\`audit log\`, the newest 100 after ${many}: peak memory`,
        unit: 'MB',
        isPeak: true,
        rounds: [last.look.peakRssMb],
      },
    ],
    data: { serverVersion, clients, slices },
  });
}
