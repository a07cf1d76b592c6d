import { expect } from 'vitest';
import type { DoctorCheck } from '../../src/doctor/check.ts';
import { DOCTOR_CHECKS, runDoctor } from '../../src/doctor/doctor.ts';
import { inspect, test } from '../support/sessions.ts';
import { toldChecks } from './told.ts';

/** A check that runs one statement. */
function checkOf(name: string, statement: string): DoctorCheck {
  return {
    name,
    group: 'tables',
    examine: async (session) => {
      await session.run(statement);
      return { findings: [], summary: 'seen' };
    },
  };
}

const FINE = checkOf('fine', 'select 1');

test('goes on after a check that is slow, locked out or refused, and calls it unknown', async ({
  emptyDb,
  sessions,
  live,
}) => {
  await emptyDb.sql`create table held (id int); `;
  await emptyDb.sql`grant select on held to public`;
  const holder = sessions.open(emptyDb.url);
  await holder.unsafe('begin; lock table held in access exclusive mode');
  const checks = [
    { ...checkOf('slow', 'select pg_catalog.pg_sleep(30)'), command: 'stats slow' },
    checkOf('locked', 'select * from public.held'),
    checkOf('refused', 'select * from pg_catalog.pg_authid'),
    checkOf('wrong', 'select 1 / 0'),
    FINE,
  ];
  const report = await inspect(live.plainUrl, (session) =>
    runDoctor(session, { checks, checkTimeoutMs: 200 }),
  );
  expect(report.checks.map(({ check, status }) => `${check} ${status}`)).toEqual([
    'slow unknown',
    'locked unknown',
    'refused unknown',
    'wrong unknown',
    'fine ok',
  ]);
  expect(
    toldChecks(report).flatMap(({ findings }) => findings.map(({ reason }) => reason)),
  ).toEqual([
    'it takes longer than 200 ms and was cancelled',
    'another session holds a lock on what it reads',
    expect.stringContaining('pg_authid'),
    'division by zero',
  ]);
  expect(toldChecks(report)[0]?.findings[0]?.fix).toBe('evdb stats slow');
  expect(report.counts).toEqual({ ok: 1, warning: 0, critical: 0, unknown: 4, skipped: 0 });
  await holder`rollback`;
});

test('gives a check the time that it says it needs, and the next one the usual', async ({
  emptyDb,
}) => {
  const checks = [
    { ...checkOf('thorough', 'select pg_catalog.pg_sleep(1.2)'), timeoutMs: 30_000 },
    checkOf('usual', 'select pg_catalog.pg_sleep(30)'),
  ];
  const { checks: reports } = await inspect(emptyDb.url, (session) =>
    runDoctor(session, { checks }),
  );
  expect(reports.map(({ status }) => status)).toEqual(['ok', 'unknown']);
  expect(reports[1]?.summary).toBe('it takes longer than 1 s and was cancelled');
});

test('ends where the connection is lost, or where evdb itself has a fault', async ({ emptyDb }) => {
  const suicide = checkOf(
    'suicide',
    'select pg_catalog.pg_terminate_backend(pg_catalog.pg_backend_pid())',
  );
  await expect(
    inspect(emptyDb.url, (session) => runDoctor(session, { checks: [suicide, FINE] })),
  ).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
  const faulty: DoctorCheck = {
    ...FINE,
    examine: async () => {
      throw new TypeError('a fault');
    },
  };
  await expect(
    inspect(emptyDb.url, (session) => runDoctor(session, { checks: [faulty] })),
  ).rejects.toThrow(TypeError);
});

test('reads once what several checks judge', async ({ emptyDb }) => {
  let reads = 0;
  const read = async () => {
    reads += 1;
    return reads;
  };
  const asking = (name: string): DoctorCheck => ({
    ...FINE,
    name,
    examine: async (_session, context) => ({
      findings: [],
      summary: `read ${await context.once(read)}`,
    }),
  });
  const { checks } = await inspect(emptyDb.url, (session) =>
    runDoctor(session, { checks: [asking('a'), asking('b')] }),
  );
  expect(checks.map(({ summary }) => summary)).toEqual(['read 1', 'read 1']);
});

test('does not count what is ignored, but lists it, until its last day is over', async ({
  emptyDb,
}) => {
  await emptyDb.sql.unsafe(`
    create table a (id int); create index a_1 on a (id); create index a_2 on a (id);
    create table b (id int); create index b_1 on b (id); create index b_2 on b (id)`);
  const run = (now: string) =>
    inspect(emptyDb.url, (session) =>
      runDoctor(session, {
        only: ['duplicate-indexes'],
        ignore: [
          { check: 'duplicate-indexes', object: 'public.a_*', reason: 'soon', until: '2027-03-31' },
          { check: 'durability', reason: 'not asked for', until: '2020-01-01' },
        ],
        now: new Date(now),
      }),
    );
  const before = await run('2027-03-31T12:00:00Z');
  expect(toldChecks(before)).toMatchObject([
    {
      status: 'warning',
      findings: [{ object: expect.stringMatching(/^public\.b_/) }],
      ignored: [
        {
          object: expect.stringMatching(/^public\.a_/),
          ignoredBecause: 'soon',
          until: '2027-03-31',
        },
      ],
    },
  ]);
  const after = await run('2027-04-01T00:00:00Z');
  expect(after.checks.map(({ check, status }) => [check, status])).toEqual([
    ['duplicate-indexes', 'warning'],
    ['expired-ignores', 'warning'],
  ]);
  expect(toldChecks(after)[0]?.findings).toHaveLength(2);
  expect(toldChecks(after)[1]?.findings).toMatchObject([
    { object: 'duplicate-indexes:public.a_*', reason: expect.stringContaining('(soon)') },
  ]);
});

test('does not say that all is well where all that was found is ignored', async ({ emptyDb }) => {
  await emptyDb.sql.unsafe(
    'create table a (id int); create index a_1 on a (id); create index a_2 on a (id)',
  );
  const { checks } = await inspect(emptyDb.url, (session) =>
    runDoctor(session, {
      only: ['duplicate-indexes'],
      ignore: [{ check: 'duplicate-indexes', reason: 'known' }],
    }),
  );
  expect(checks).toMatchObject([{ status: 'ok', summary: 'all that was found is ignored' }]);
});

test('gives estimates, and says so, where somebody holds a table exclusively', async ({
  emptyDb,
  sessions,
}) => {
  await emptyDb.sql.unsafe(`
    create table a (id int generated always as identity primary key, note text);
    create index a_1 on a (note); create index a_2 on a (note);
    create table child (a_id int references a);
    create table log (at timestamptz) partition by range (at)`);
  const free = await inspect(emptyDb.url, (session) => runDoctor(session, { only: ['indexes'] }));
  expect(free.checks.filter(({ isEstimated }) => isEstimated)).toEqual([]);
  const holder = sessions.open(emptyDb.url);
  await holder.unsafe(
    'begin; lock table a, child, log in access exclusive mode; reindex index a_1; reindex index a_2',
  );
  const report = await inspect(emptyDb.url, (session) =>
    runDoctor(session, { only: ['indexes', 'tables', 'vacuum', 'sequences'] }),
  );
  const estimated = report.checks.filter(({ isEstimated }) => isEstimated);
  expect(estimated.map(({ check }) => check)).toEqual(['duplicate-indexes', 'missing-fk-indexes']);
  expect(toldChecks(report).find(({ check }) => check === 'duplicate-indexes')).toMatchObject({
    status: 'warning',
    findings: [{ reason: expect.stringContaining('(about ') }],
  });
  const unknown = report.checks.filter(({ status }) => status === 'unknown');
  expect(unknown.map(({ check }) => check)).toEqual(['unused-indexes']);
  await holder`rollback`;
});

test('runs every check on an empty database and on the event schema, also for a role that sees little', async ({
  emptyDb,
  db,
  live,
}) => {
  for (const url of [emptyDb.url, db.url, live.plainUrl]) {
    const report = await inspect(url, (session) => runDoctor(session));
    // Those of a cluster are left out where there is none.
    const here = DOCTOR_CHECKS.filter(({ group }) => group !== 'cluster');
    expect(report.checks.map(({ check }) => check)).toEqual(here.map(({ name }) => name));
    const inError = toldChecks(report)
      .flatMap(({ findings }) => findings)
      .filter(({ reason }) => /does not exist|syntax|cannot|operator/.test(reason));
    expect(inError).toEqual([]);
  }
  const plain = await inspect(live.plainUrl, (session) =>
    runDoctor(session, { only: ['connections', 'locks'] }),
  );
  const unknown = toldChecks(plain).find(({ check }) => check === 'idle-in-transaction');
  expect(unknown).toMatchObject({
    status: 'unknown',
    findings: [{ hint: expect.stringContaining('grant pg_read_all_stats') }],
  });
});
