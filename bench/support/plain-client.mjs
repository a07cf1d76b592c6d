import { interruption } from './process.mjs';

const WARM_UP_MS = 2000;

/**
 * One process with a connection a client. It takes processor time from the server that pgbench would
 * leave, so its figures compare only with each other.
 *
 * @param {import('./load.mjs').LoadOptions} options
 * @returns {Promise<import('./load.mjs').Load>}
 */
export async function runPlainClient({ url, workload, clients, seconds, settings = {} }) {
  const { default: postgres } = await import('postgres');
  const connections = Array.from({ length: clients }, () =>
    postgres(url, { max: 1, idle_timeout: 0, onnotice: () => undefined, connection: settings }),
  );
  try {
    await Promise.all(connections.map((sql) => sql`select 1`));
    const startsAt = performance.now() + WARM_UP_MS;
    const endsAt = startsAt + seconds * 1000;
    const tallies = await Promise.all(
      connections.map((sql, client) => runClient(sql, client, workload, startsAt, endsAt)),
    );
    const sum = (name) => tallies.reduce((total, tally) => total + tally[name], 0);
    return { callsPerSecond: sum('measured') / seconds, calls: sum('calls') };
  } finally {
    await Promise.all(connections.map((sql) => sql.end({ timeout: 5 })));
  }
}

async function runClient(sql, client, workload, startsAt, endsAt) {
  const { text, names } = numberParameters(workload);
  const tally = { calls: 0, measured: 0 };
  for (let n = 0; performance.now() < endsAt && !interruption.signal.aborted; n++) {
    const known = { client_id: client, n };
    for (const { name, value } of workload.variables) known[name] = value(known);
    await sql.unsafe(
      text,
      names.map((name) => known[name]),
      { prepare: true },
    );
    const now = performance.now();
    tally.calls += 1;
    if (now >= startsAt && now < endsAt) tally.measured += 1;
  }
  return tally;
}

/** A parameter for each use, as pgbench does it: one that is used twice may need two types. */
function numberParameters({ statement }) {
  const names = [];
  const text = statement.replace(/(?<!:):([a-z_]+)\b/g, (_, name) => `$${names.push(name)}`);
  return { text, names };
}
