import { expect } from 'vitest';
import type { DoctorCheckReport } from '../../src/doctor/doctor.ts';
import { runCli, startCli } from '../support/run-cli.ts';
import {
  expectError,
  expectHint,
  expectNoPassword,
  expectNoStack,
  parseJson,
  readContents,
  test,
} from './cli-kit.ts';

/** The server of a test run forgoes durability, and its counters are young. */
const CALM = ['--ignore', 'durability', '--ignore', 'unused-indexes'];

test('examines a healthy database, changes nothing, and exits 0', async ({ project, db }) => {
  const before = await readContents(db.sql);
  const result = await runCli(['doctor', '--only', 'indexes,tables,event-schema', ...CALM], {
    cwd: project.dir,
    env: { EVDB_URL: db.url },
  });
  expect(result.stdout).toMatch(/^indexes\n {2}✓ ok {7}invalid-indexes: all indexes are valid$/m);
  expect(result.stdout).toContain('✓ ok       business-rules: no rule is broken');
  expect(result.stdout).toMatch(/\n10 checks: 10 ok; 1 finding ignored\n$/);
  expect(result).toMatchObject({ code: 0, stderr: '' });
  expect(await readContents(db.sql)).toEqual(before);
});

test('exits 3 from the status that --fail-on names', async ({ project, emptyDb }) => {
  await emptyDb.sql.unsafe(
    'create table a (id int); create index a_1 on a (id); create index a_2 on a (id)',
  );
  const doctor = (...args: string[]) =>
    runCli(['doctor', ...args], { cwd: project.dir, env: { EVDB_URL: emptyDb.url } });
  const warned = await doctor('--only', 'duplicate-indexes');
  expect(warned.stdout).toContain('! warning  duplicate-indexes\n    index public.a_');
  expect(warned.stdout).toMatch(/fix: drop index concurrently public\.a_[12];/);
  expect(warned.code).toBe(0);
  const only = ['--only', 'duplicate-indexes'];
  expect(await doctor(...only, '--fail-on', 'warning')).toMatchObject({ code: 3 });
  await emptyDb.sql`create table full_up (id int generated always as identity)`;
  await emptyDb.sql`select setval('full_up_id_seq', 2147483647)`;
  const critical = await doctor('--only', 'sequences');
  expect(critical.stdout).toContain('✗ critical sequence-runway');
  expect(critical.code).toBe(3);
  const ignored = await doctor('--only', 'sequences', '--ignore', 'sequence-runway:public.*');
  expect(ignored.stdout).toContain('ignored (by --ignore): sequence public.full_up_id_seq');
  expect(ignored.code).toBe(0);
});

test('exits 3 where a check could not be made, if asked to', async ({ project, db }) => {
  const holder = await db.sql.reserve();
  await holder`begin`;
  await holder`lock table registrations in access exclusive mode`;
  const doctor = (...args: string[]) =>
    runCli(['doctor', '--only', 'business-rules', ...args], {
      cwd: project.dir,
      env: { EVDB_URL: db.url },
    });
  const unasked = await doctor('--check-timeout', '5s');
  expect(unasked.stdout).toContain('? unknown  business-rules');
  expect(unasked.code).toBe(0);
  expect(await doctor('--fail-on', 'unknown')).toMatchObject({ code: 3 });
  expect(await doctor('--fail-on', 'warning')).toMatchObject({ code: 0 });
  const both = await doctor('--fail-on', 'warning,unknown', '--json');
  expect(parseJson(both)).toMatchObject({
    exitCode: 3,
    failOn: ['critical', 'warning', 'unknown'],
    counts: { unknown: 1 },
  });
  await holder`rollback`;
  holder.release();
});

test('prints the report as JSON, also where it fails', async ({ project, emptyDb }) => {
  await emptyDb.sql`create table full_up (id int generated always as identity)`;
  await emptyDb.sql`select setval('full_up_id_seq', 2147483647)`;
  const result = await runCli(['doctor', '--json', '--only', 'sequences', '--only', 'locks'], {
    cwd: project.dir,
    env: { EVDB_URL: emptyDb.url },
  });
  expect(parseJson(result)).toMatchObject({
    command: 'doctor',
    failOn: ['critical'],
    checks: [
      { check: 'lock-waits', group: 'locks' },
      { check: 'prepared-transactions' },
      {
        check: 'sequence-runway',
        status: 'critical',
        durationMs: expect.any(Number),
      },
    ],
    findings: [{ code: 'sequence-runway', severity: 'error', objects: ['public.full_up_id_seq'] }],
    suppressed: [],
  });
  expect(result.code).toBe(3);
});

test('prints Markdown', async ({ project, emptyDb }) => {
  const { stdout, code } = await runCli(['doctor', '--markdown', '--only', 'locks'], {
    cwd: project.dir,
    env: { EVDB_URL: emptyDb.url },
  });
  expect(stdout).toContain('| Group | Check | Status | Reason | Fix |\n| --- |');
  expect(code).toBe(0);
});

test('takes what to ignore from the config file, until its day is over', async ({
  project,
  emptyDb,
}) => {
  await emptyDb.sql.unsafe(
    'create table a (id int); create index a_1 on a (id); create index a_2 on a (id)',
  );
  const doctor = async (ignore: object[]) => {
    await project.write('evdb.config.json', JSON.stringify({ doctor: { ignore } }));
    return runCli(['doctor', '--only', 'indexes', '--fail-on', 'warning'], {
      cwd: project.dir,
      env: { EVDB_URL: emptyDb.url },
    });
  };
  expect((await doctor([])).code).toBe(3);
  const entry = { check: 'duplicate-indexes', object: 'public.a_*', reason: 'dropped with 2.0' };
  const ignored = await doctor([{ ...entry, until: '2999-12-31' }]);
  expect(ignored.stdout).toContain('ignored until 2999-12-31 (dropped with 2.0): index public.a_');
  expect(ignored.code).toBe(0);
  const expired = await doctor([{ ...entry, until: '2020-01-01' }]);
  expect(expired.stdout).toContain('! warning  duplicate-indexes');
  expect(expired.stdout).toContain('! warning  expired-ignores');
  expect(expired.code).toBe(3);
});

test.for([
  [{ check: 'no-such-check', reason: 'r' }, 'USAGE', 'doctor has no check "no-such-check"'],
  [{ check: 'durability' }, 'CONFIG_INVALID', '"doctor.ignore[0].reason" must say why'],
] as const)(
  'refuses a config file that ignores %j',
  async ([entry, code, message], { project, emptyDb }) => {
    await project.write('evdb.config.json', JSON.stringify({ doctor: { ignore: [entry] } }));
    const result = await runCli(['doctor'], { cwd: project.dir, env: { EVDB_URL: emptyDb.url } });
    expectError(result, code, 2);
    expectHint(result);
    expect(result.stderr).toContain(message);
  },
);

test.for([
  [['--only', 'index'], 'doctor has no check or group "index"'],
  [['--ignore', 'lock-wait:a'], 'doctor has no check "lock-wait"'],
  [['--fail-on', 'unknwon'], '--fail-on'],
  [['--check-timeout', 'soon'], '--check-timeout'],
  [['--markdown', '--json'], '--markdown'],
] as const)('refuses %j', async ([args, message], { project, emptyDb }) => {
  const result = await runCli(['doctor', ...args], {
    cwd: project.dir,
    env: { EVDB_URL: emptyDb.url },
  });
  expect(result.code).toBe(2);
  expect(result.stderr).toContain(message);
  expectNoStack(result);
});

test('calls unknown what a role with few privileges may not see, with the grant that helps', async ({
  project,
  emptyDb,
  role,
  admin,
}) => {
  await emptyDb.sql`create table a (id int generated always as identity)`;
  await emptyDb.sql`select nextval('a_id_seq')`;
  const options = { cwd: project.dir, env: { EVDB_URL: role.url } };
  const result = await runCli(['doctor', '--json', ...CALM], options);
  const { checks } = parseJson(result) as unknown as { checks: DoctorCheckReport[] };
  const unknown = checks.filter(({ status }) => status === 'unknown').map(({ check }) => check);
  expect(unknown).toEqual(
    expect.arrayContaining(['idle-in-transaction', 'long-transactions', 'sequence-runway']),
  );
  expectNoPassword(result);
  const text = await runCli(['doctor', '--only', 'connections'], options);
  const grant = /run: (grant pg_read_all_stats to .*;)/.exec(text.stdout)?.[1] ?? '';
  await admin.unsafe(grant);
  const seen = await runCli(['doctor', '--only', 'connections'], options);
  expect(seen.stdout).toMatch(/✓ ok {7}idle-in-transaction/);
});

test('looks at the migrations of the project, where there are any', async ({
  oneFile,
  emptyDb,
  project,
}) => {
  const env = { EVDB_URL: emptyDb.url };
  const doctor = () => runCli(['doctor', '--only', 'evdb'], { cwd: oneFile.dir, env });
  expect((await doctor()).stdout).toContain(
    '! warning  migrations\n    1 migration is pending\n      fix: evdb migrate up',
  );
  const up = await runCli(['migrate', 'up'], { cwd: oneFile.dir, env });
  expect(up, up.stderr).toMatchObject({ code: 0 });
  expect((await doctor()).stdout).toContain(
    '✓ ok       migrations: 1 migration applied, none is pending',
  );
  await project.migration('001_users', 'create table users (id bigint);');
  const changed = await doctor();
  expect(changed.stdout).toContain('✗ critical migrations');
  expect(changed.code).toBe(3);
  const without = await runCli(['doctor', '--only', 'evdb', '--migrations-dir', 'none'], {
    cwd: oneFile.dir,
    env,
  });
  expect(without.stdout).toContain('- skipped  migrations: there are no migration files here');
});

test('ends quietly where its reader has gone', async ({ project, emptyDb }) => {
  const { child, result } = startCli(['doctor'], {
    cwd: project.dir,
    env: { EVDB_URL: emptyDb.url },
  });
  child.stdout?.destroy();
  const { stderr } = await result;
  expect(stderr).not.toContain('EPIPE');
});
