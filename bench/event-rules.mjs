// What validate_business_rules() costs beside the one scan that it cannot do without.
// Usage: node bench/event-rules.mjs [--rounds 5] [--events 100000]
import { readArguments } from './support/arguments.mjs';
import { createEventDatabase, timeStatement, withSession } from './support/event-schema.mjs';
import { round, writeReport } from './support/report.mjs';
import { ratioOf } from './support/rows.mjs';
import { interleave, median, medianRatio } from './support/statistics.mjs';
import { withWorkspace } from './support/workspace.mjs';

const REGISTRATIONS_OF_EVENT = 50;
const RATIO_LIMIT = 2.5;
/** Linear is 1; beyond this another plan is at work. */
const GROWTH_LIMIT = 1.3;

const STATEMENTS = {
  rules: 'select * from validate_business_rules()',
  scan: `
    select count(*)::int as events, sum(confirmed)::int as confirmed
    from (
      select event_id, count(*) filter (where status = 'confirmed') as confirmed
      from registrations
      group by event_id
    ) grouped`,
};

const { rounds, events } = readArguments({ rounds: 5, events: 100_000 });
const sizes = [events, Math.max(1, Math.round(events / 5))];

await withWorkspace(async (workspace) => {
  const runs = {};
  for (const size of sizes) {
    console.log(`filling ${size} events with ${size * REGISTRATIONS_OF_EVENT} registrations`);
    const url = await createEventDatabase(workspace, `rules_${size}`, 'event-rules.sql', {
      events: size,
      users: Math.max(1000, size),
    });
    for (const what of Object.keys(STATEMENTS)) {
      runs[nameRun(what, size)] = () => measure(url, what);
    }
  }
  await workspace.checkpoint();
  const results = await interleave(runs, rounds, (index, name, { wallMs }) =>
    console.log(`round ${index + 1} of ${rounds}: ${name}, ${round(wallMs / 1000)} s`),
  );
  report(workspace.serverVersion, results);
});

function nameRun(what, size) {
  return `${what}, ${size} events`;
}

/** A new session each time, and the second of two executions: the first one plans and reads. */
async function measure(url, what) {
  return withSession(url, async (sql) => {
    await timeStatement(sql, STATEMENTS[what]);
    const { wallMs, rows } = await timeStatement(sql, STATEMENTS[what]);
    if (what === 'rules' && rows.length > 0) {
      throw new Error(`rules are broken that should not be: ${JSON.stringify(rows)}`);
    }
    return { wallMs };
  });
}

function report(serverVersion, results) {
  const times = Object.fromEntries(
    Object.entries(results).map(([name, runs]) => [name, runs.map(({ wallMs }) => wallMs)]),
  );
  const ratios = Object.fromEntries(
    sizes.map((size) => [
      size,
      medianRatio(times[nameRun('rules', size)], times[nameRun('scan', size)]),
    ]),
  );
  const perRow = (what, size) =>
    times[nameRun(what, size)].map((ms) => (ms * 1e6) / (size * REGISTRATIONS_OF_EVENT));
  const growth = Object.fromEntries(
    Object.keys(STATEMENTS).map((what) => [
      what,
      medianRatio(perRow(what, sizes[0]), perRow(what, sizes[1])),
    ]),
  );
  writeReport('event-rules', {
    title: `validate_business_rules() on ${sizes.map((size) => `${size} events with ${size * REGISTRATIONS_OF_EVENT}`).join(' and ')} registrations, beside one grouped scan, ${rounds} rounds, PostgreSQL ${serverVersion}`,
    head: ['contender', 'median s', 'fastest s', 'slowest s', 'ns a registration', '/ the scan'],
    rows: sizes.flatMap((size) =>
      Object.keys(STATEMENTS).map((what) => {
        const ms = times[nameRun(what, size)];
        return [
          nameRun(what, size),
          round(median(ms) / 1000),
          round(Math.min(...ms) / 1000),
          round(Math.max(...ms) / 1000),
          round(median(perRow(what, size)), 0),
          what === 'rules' ? round(ratios[size]) : '',
        ];
      }),
    ),
    figures: [
      ...sizes.map((size) =>
        ratioOf(
          {
            what: `validate_business_rules(), ${size} events`,
            over: 'one grouped scan',
            target: RATIO_LIMIT,
          },
          times[nameRun('rules', size)],
          times[nameRun('scan', size)],
          { unit: 'ms' },
        ),
      ),
      ratioOf(
        {
          what: `validate_business_rules() for a registration, ${sizes[0]} events`,
          over: `${sizes[1]} events (the scan: ${round(growth.scan)})`,
          target: GROWTH_LIMIT,
        },
        perRow('rules', sizes[0]),
        perRow('rules', sizes[1]),
        { unit: 'ns' },
      ),
    ],
    data: { rounds, sizes, serverVersion, ratios, growth, results },
  });
}
