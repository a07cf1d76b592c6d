import { expect } from 'vitest';
import { closeSql, openSql } from '../support/databases.ts';
import { startOwnServer, whyNoOwnServer } from '../support/own-server.ts';
import { runCli } from '../support/run-cli.ts';
import { POLL, until } from '../support/waiting.ts';
import { readDocuments, test } from './fleet-kit.ts';

const names = (count: number, prefix = 't') =>
  Array.from({ length: count }, (_, index) => `${prefix}_${String(index + 1).padStart(3, '0')}`);

/** The long form, `npm run test:races`, has as many as a fleet may have. */
const MEMBERS = process.env.EVDB_TEST_SEEDS ? 200 : 40;

/** Counts how often it ran: twice for a member would be a second row. */
const COUNTING = `create table ran (at timestamptz not null default clock_timestamp());
insert into ran default values;
select pg_sleep(0.02);
`;

async function expectOnce(
  { sql }: { sql: ReturnType<typeof openSql> },
  schemas: readonly string[],
): Promise<void> {
  const counts = await Promise.all(
    schemas.map(async (schema) => {
      const [row] = await sql.unsafe(`select count(*)::int as count from ${schema}.ran`);
      return { schema, count: row?.count };
    }),
  );
  expect(counts.filter(({ count }) => count !== 1)).toEqual([]);
}

test('a runner that is killed leaves nobody out, and nobody twice, when it goes on', async ({
  fleet,
}) => {
  const schemas = names(MEMBERS);
  await fleet.fleets({ tenants: { members: schemas } });
  await fleet.project.migration('002_ran', COUNTING, 'drop table ran;\n');
  const up = ['migrate', 'up', '--fleet', 'tenants', '--concurrency', '4', '--json'];
  let resume: string[] = [];
  let done = 0;
  // Twice in the middle, wherever that is.
  for (const after of [MEMBERS / 5, MEMBERS / 4]) {
    const running = fleet.start(...up, ...resume);
    await until(() => running.output.stdout.split('\n').length > after);
    running.child.kill('SIGKILL');
    await running.result;
    resume = ['--resume'];
    // What was printed last may not be written down.
    done += after - 4;
  }
  const { members, summary, problems } = readDocuments(await fleet.evdb(...up, '--resume'));
  expect(problems).toEqual([]);
  const { counts } = summary as { counts: { done: number; doneBefore: number } };
  expect(counts.doneBefore).toBeGreaterThanOrEqual(done);
  expect(counts.done + counts.doneBefore).toBe(MEMBERS);
  expect(members.size).toBe(counts.done);
  await expectOnce(fleet, schemas);
  const status = await fleet.evdb('fleet', 'status', 'tenants', '--check', '--json');
  expect(JSON.parse(status.stdout)).toMatchObject({ isUniform: true, groups: [{ newest: '002' }] });
});

test('members whose sessions die fail alone, and are made up for', async ({ fleet }) => {
  const schemas = names(MEMBERS);
  await fleet.fleets({ tenants: { members: schemas } });
  await fleet.project.migration('002_ran', COUNTING, 'drop table ran;\n');
  const running = fleet.start('migrate', 'up', '--fleet', 'tenants', '--keep-going', '--json');
  let ended = false;
  void running.result.finally(() => {
    ended = true;
  });
  await expect
    .poll(
      async () => {
        await fleet.sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where application_name = 'evdb' and datname = current_database()
        order by random() limit 1`;
        return ended;
      },
      { ...POLL, interval: 60 },
    )
    .toBe(true);
  const first = readDocuments(await running.result);
  expect(first.problems).toEqual([]);
  const states = (first.summary as { counts: Record<string, number> }).counts;
  expect((states.done ?? 0) + (states.failed ?? 0)).toBe(MEMBERS);
  const second = await fleet.evdb('migrate', 'up', '--fleet', 'tenants', '--json');
  expect(readDocuments(second).summary).toMatchObject({ exitCode: 0, counts: { done: MEMBERS } });
  await expectOnce(fleet, schemas);
});

test('a member that hangs holds nobody else, and Ctrl-C says where each stands', async ({
  fleet,
}) => {
  await fleet.fleets({ tenants: { members: ['a', 'b', 'c', 'd'] } });
  await fleet.evdb('migrate', 'up', '--fleet', 'tenants');
  await fleet.project.migration(
    '002_note',
    'alter table people add column note text;\n',
    'select 1;\n',
  );
  const holder = openSql(fleet.url, 1);
  await holder.unsafe('begin; lock table a.people in access exclusive mode');
  const up = ['migrate', 'up', '--fleet', 'tenants', '--concurrency', '2'];
  const slow = await fleet.evdb(...up, '--keep-going', '--member-timeout', '2s');
  expect(slow.code).toBe(4);
  expect(slow.stdout).toContain('failed: a (MEMBER_TIMEOUT)');
  expect(await fleet.applied()).toEqual({ a: '001', b: '001 002', c: '001 002', d: '001 002' });
  const running = fleet.start(...up);
  await running.printed('[a] 002_note');
  await until(() => running.output.stdout.includes('[d] '));
  running.child.kill('SIGINT');
  const { code, stdout } = await running.result;
  expect(code).toBe(130);
  expect(stdout).toContain('3 done');
  expect(stdout).toContain('interrupted: a (INTERRUPTED)');
  await closeSql(holder);
  expect(await fleet.evdb(...up, '--resume')).toMatchObject({ code: 0 });
  expect(await fleet.applied()).toMatchObject({ a: '001 002' });
});

test.skipIf(whyNoOwnServer() !== undefined)(
  'a server that restarts in the middle costs tries, and nothing else; the other server goes on',
  async ({ fleet }) => {
    const server = await startOwnServer();
    try {
      const here = names(MEMBERS / 4, 'h');
      const there = names(MEMBERS / 4, 's');
      const url = server.url;
      const members = [...here, ...there.map((schema) => ({ schema, url }))];
      await fleet.fleets({ both: { members } });
      await fleet.project.migration('002_ran', COUNTING, 'drop table ran;\n');
      const env = { EVDB_URL: fleet.url };
      const up = ['migrate', 'up', '--fleet', 'both', '--keep-going', '--json'];
      const running = fleet.start(...up);
      await until(() => /"member":"s_/.test(running.output.stdout));
      await server.stop();
      await server.start();
      const first = readDocuments(await running.result);
      expect(here.filter((name) => first.members.get(name)?.ok !== true)).toEqual([]);
      await expect
        .poll(async () => (await runCli(up, { cwd: fleet.project.dir, env })).code, {
          ...POLL,
          interval: 500,
        })
        .toBe(0);
      const sql = openSql(url, 1);
      await expectOnce(fleet, here);
      await expectOnce({ sql }, there);
      await closeSql(sql);
    } finally {
      await server.remove();
    }
  },
);
