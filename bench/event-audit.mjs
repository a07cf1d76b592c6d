// What the audit log costs a bulk update, and how fast its old entries go.
// Usage: node bench/event-audit.mjs [--rounds 3] [--rows 5000000]
import { readArguments } from './support/arguments.mjs';
import {
  createEventDatabase,
  timeStatement,
  withCopy,
  withSession,
} from './support/event-schema.mjs';
import { round, toMegabytes, writeReport } from './support/report.mjs';
import { ratioOf } from './support/rows.mjs';
import { interleave, median, medianRatio } from './support/statistics.mjs';
import { withWorkspace } from './support/workspace.mjs';

const UPDATED_ROWS = 100_000;
const UPDATE_RATIO_LIMIT = 3.5;
const CLEANUP_SPEED_FLOOR = 5;
/** The tenth that stays, and the part of the month on the boundary that stays with it. */
const SIZE_LEFT_LIMIT = 0.15;
const DAYS_TO_KEEP = 90;
const EXPIRED_SHARE = 0.9;

const UPDATES = {
  users: `update users set name = name || '.'`,
  // By row, as the audit of events is, because the counter must not come into it.
  events: 'update events set created_by = created_by + 1',
  registrations: `update registrations set registered_at = registered_at + interval '1 second'`,
};

const { rounds, rows } = readArguments({ rounds: 3, rows: 5_000_000 });

await withWorkspace(async (workspace) => {
  const updates = await measureUpdates(workspace);
  const cleanups = await measureCleanups(workspace);
  report(workspace.serverVersion, updates, cleanups);
});

async function measureUpdates(workspace) {
  const template = await createEventDatabase(workspace, 'updates', 'event-audit-updates.sql', {
    rows: UPDATED_ROWS,
  });
  const runs = Object.fromEntries(
    Object.entries(UPDATES).flatMap(([table, statement]) =>
      [true, false].map((isAudited) => [
        updateName(table, isAudited),
        () =>
          withCopy(workspace, template, (url) =>
            withSession(url, (sql) => update(sql, table, statement, isAudited)),
          ),
      ]),
    ),
  );
  const results = await interleave(runs, rounds, (index, name, { wallMs }) =>
    console.log(`round ${index + 1} of ${rounds}: ${name}, ${round(wallMs / 1000)} s`),
  );
  await workspace.dropDatabase('updates');
  return results;
}

function updateName(table, isAudited) {
  return `update ${UPDATED_ROWS} ${table}${isAudited ? '' : ', no audit'}`;
}

async function update(sql, table, statement, isAudited) {
  if (!isAudited) await disableAudit(sql, table);
  const auditedBefore = await countAudited(sql);
  // A new copy is on the disk only.
  await sql.unsafe(`select count(*) from ${table} where ${table}::text = ''`);
  const { wallMs, count } = await timeStatement(sql, statement);
  const audited = (await countAudited(sql)) - auditedBefore;
  if (count !== UPDATED_ROWS || audited !== (isAudited ? UPDATED_ROWS : 0)) {
    throw new Error(`${statement}: ${count} rows were updated, ${audited} of them audited`);
  }
  return { wallMs };
}

async function countAudited(sql) {
  const [{ entries }] = await sql`select count(*)::int as entries from audit_logs`;
  return entries;
}

async function disableAudit(sql, table) {
  const triggers = await sql`
    select tgname from pg_trigger
    where tgrelid = ${table}::regclass and not tgisinternal and tgname like '%audit%'`;
  if (triggers.length === 0) throw new Error(`${table} has no audit trigger`);
  for (const { tgname } of triggers)
    await sql`alter table ${sql(table)} disable trigger ${sql(tgname)}`;
}

async function measureCleanups(workspace) {
  console.log(`filling two logs with ${rows} entries each`);
  const template = await createEventDatabase(workspace, 'cleanup', 'event-audit-log.sql', {
    rows,
  });
  const contenders = {
    cleanup_audit_logs: [
      'audit_logs',
      `select cleanup_audit_logs(${DAYS_TO_KEEP})::int as removed`,
    ],
    delete: [
      'bench_audit',
      `with gone as (
         delete from bench_audit where created_at < now() - interval '${DAYS_TO_KEEP} days' returning 1
       ) select count(*)::int as removed from gone`,
    ],
  };
  const runs = Object.fromEntries(
    Object.entries(contenders).map(([name, [table, statement]]) => [
      name,
      () =>
        withCopy(workspace, template, (url) =>
          withSession(url, (sql) => cleanUp(sql, table, statement)),
        ),
    ]),
  );
  return interleave(runs, rounds, (index, name, { wallMs, bytesBefore, bytesAfter }) =>
    console.log(
      `round ${index + 1} of ${rounds}: ${name}, ${round(wallMs / 1000)} s, ${round(toMegabytes(bytesBefore), 0)} MB to ${round(toMegabytes(bytesAfter), 0)} MB`,
    ),
  );
}

/** Reads the table first: whoever comes second must not find in memory what the first one read. */
async function cleanUp(sql, table, statement) {
  const before = await readTable(sql, table);
  const { wallMs, rows: answer } = await timeStatement(sql, statement);
  const after = await readTable(sql, table);
  const { removed } = answer[0];
  const expected = Math.round(rows * EXPIRED_SHARE);
  if (removed !== before.entries - after.entries || Math.abs(removed - expected) > rows / 1000) {
    throw new Error(
      `${statement}: says ${removed}, of ${before.entries} entries ${after.entries} are left, ${expected} were expired`,
    );
  }
  return { wallMs, removed, bytesBefore: before.bytes, bytesAfter: after.bytes };
}

async function readTable(sql, table) {
  const [row] = await sql.unsafe(`
    select
      (select count(*)::int from ${table}) as entries,
      (
        select sum(pg_total_relation_size(t.relid))::float8
        from (select '${table}'::regclass as relid union select relid from pg_partition_tree('${table}')) t
      ) as bytes`);
  return row;
}

function report(serverVersion, updates, cleanups) {
  const results = { ...updates, ...cleanups };
  const times = Object.fromEntries(
    Object.entries(results).map(([name, runs]) => [name, runs.map(({ wallMs }) => wallMs)]),
  );
  const updateRatios = Object.fromEntries(
    Object.keys(UPDATES).map((table) => [
      updateName(table, true),
      medianRatio(times[updateName(table, true)], times[updateName(table, false)]),
    ]),
  );
  const sizes = (name) =>
    name in cleanups
      ? ['bytesBefore', 'bytesAfter'].map((key) =>
          round(toMegabytes(median(cleanups[name].map((run) => run[key]))), 0),
        )
      : ['', ''];
  writeReport('event-audit', {
    title: `audit log, ${rounds} rounds, PostgreSQL ${serverVersion} (cleanup: ${rows} entries, ${EXPIRED_SHARE * 100} % of them expired; delete: of the same rows in an ordinary table)`,
    head: ['contender', 'median s', 'fastest s', 'slowest s', 'ratio', 'MB before', 'MB after'],
    rows: Object.entries(times).map(([name, ms]) => [
      name,
      round(median(ms) / 1000),
      round(Math.min(...ms) / 1000),
      round(Math.max(...ms) / 1000),
      name in updateRatios ? `${round(updateRatios[name])} × no audit` : '',
      ...sizes(name),
    ]),
    figures: [
      ...Object.keys(UPDATES).map((table) =>
        ratioOf(
          {
            what: updateName(table, true),
            over: 'the same without audit',
            target: UPDATE_RATIO_LIMIT,
          },
          times[updateName(table, true)],
          times[updateName(table, false)],
          { unit: 'ms' },
        ),
      ),
      ratioOf(
        {
          what: 'cleanup_audit_logs, exact count included: speed',
          over: '`delete`',
          target: CLEANUP_SPEED_FLOOR,
          isFloor: true,
        },
        times.cleanup_audit_logs,
        times.delete,
        { unit: 'ms', isSpeed: true },
      ),
      {
        what: 'disk space that is left after cleanup_audit_logs',
        over: 'before',
        target: SIZE_LEFT_LIMIT,
        rounds: cleanups.cleanup_audit_logs.map((run) => run.bytesAfter / run.bytesBefore),
      },
    ],
    data: { rounds, rows, serverVersion, updateRatios, results },
  });
}
