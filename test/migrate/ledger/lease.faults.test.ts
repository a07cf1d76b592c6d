import { describe, expect, onTestFinished, vi } from 'vitest';
import { migrateUp } from '../../../src/index.ts';
import { closeSql, openSql } from '../../support/databases.ts';
import { LIES, startLyingServer } from '../../support/lying-server.ts';
import { startOwnServer, whyNoOwnServer } from '../../support/own-server.ts';
import { type CliResult, type RunningCli, runCli, startCli } from '../../support/run-cli.ts';
import { connectionTo } from '../../support/sessions.ts';
import { failureOf, POLL } from '../../support/waiting.ts';
import { ALL_APPLIED, test as base, FIRST_APPLIED, type Paced } from '../apply/apply-kit.ts';

/** Short enough for a test, long enough for a runner on a busy machine to renew it. */
const LEASE = '3s';

interface Leased extends Omit<Paced, 'evdb' | 'start'> {
  evdb(...args: string[]): Promise<CliResult>;
  start(...args: string[]): RunningCli;
}

/** Processes with a lease, on a server where an advisory lock keeps nobody out. */
const test = base.extend<{ leased: Leased }>({
  leased: async ({ paced }, use) => {
    const server = await startLyingServer(paced.db.url, LIES.sharedLocks);
    const env = { EVDB_URL: server.url, EVDB_LOCK: 'lease', EVDB_LEASE_TIME: LEASE };
    const options = { cwd: paced.dir, env };
    await use({
      ...paced,
      evdb: (...args) => runCli(args, options),
      start: (...args) => startCli(args, options),
    });
    await server.close();
  },
});

async function isLeaseOver({ db }: Leased): Promise<boolean> {
  const rows = await db.sql`select from evdb.lease where expires_at <= clock_timestamp()`;
  return rows.length === 1;
}

describe('a lease', () => {
  test('of a runner that was killed is taken over when it ends', async ({ leased }) => {
    const killed = leased.start('migrate', 'up');
    const pid = await leased.isInTheMiddle();
    const refused = await leased.evdb('migrate', 'up', '--lock-wait', '0');
    expect(refused.stderr).toMatch(
      new RegExp(
        `error LOCKED {2}another runner is at work: pid ${pid} \\(evdb, .*holding the lease`,
      ),
    );
    expect(refused.code).toBe(4);
    killed.child.kill('SIGKILL');
    await killed.result;

    await leased.speedUp();
    const next = await leased.evdb('migrate', 'up');
    expect(next.stderr).toMatch(/took over the lease of .* \(pid \d+\), which ended/);
    expect(next.stdout).toMatch(/^applied {6}002_events.*\napplied {6}003_venues/);
    expect(next.code).toBe(0);
    expect(await leased.state()).toEqual(ALL_APPLIED);
    expect(await leased.db.sql`select from evdb.lease`).toEqual([]);
  });

  test('is released by a runner that is interrupted', async ({ leased }) => {
    const first = leased.start('migrate', 'up');
    await leased.isInTheMiddle();
    first.child.kill('SIGINT');
    expect(await first.result).toMatchObject({ code: 130 });
    expect(await leased.db.sql`select from evdb.lease`).toEqual([]);
    expect(await leased.state()).toEqual(FIRST_APPLIED);
  });

  test.for<[string, string]>([
    ['in a transaction', ''],
    ['between statements without one', '-- evdb: no-transaction\n'],
  ])(
    'that a halted runner has lost keeps it from committing when it wakes up %s',
    async ([, directive], { leased, project }) => {
      await project.migration(
        '002_events',
        `${directive}select pg_sleep(seconds) from test.pace;\ncreate table events (id integer);`,
        'drop table if exists events;',
      );
      const halted = leased.start('migrate', 'up');
      const pid = await leased.isInTheMiddle();
      halted.child.kill('SIGSTOP');
      onTestFinished(() => void halted.child.kill('SIGKILL'));
      await vi.waitUntil(() => isLeaseOver(leased), POLL);
      await leased.speedUp();
      // What it has open on the server goes on: its sleep ends, and nobody hears the answer.
      await leased.db.sql`select pg_cancel_backend(${pid})`;

      const next = await leased.evdb('migrate', 'up');
      expect(next.stderr).toContain('took over the lease of');
      expect(next.code).toBe(0);
      const state = await leased.state();
      const history = await leased.db.sql`select id, action, label from evdb.history order by id`;

      halted.child.kill('SIGCONT');
      expect((await halted.result).code).not.toBe(0);
      expect(await leased.state()).toEqual(state);
      expect(await leased.db.sql`select id, action, label from evdb.history order by id`).toEqual(
        history,
      );
    },
  );

  test('outlives a restart of the server, and ends', async ({ leased, skip, project }) => {
    const reason = whyNoOwnServer();
    skip(reason !== undefined, reason);
    await leased.speedUp();
    const server = await startOwnServer();
    onTestFinished(() => server.remove());
    await project.migration('002_events', 'select pg_sleep(600); create table events ();');
    const options = {
      connection: await connectionTo(server.url),
      directory: `${leased.dir}/migrations`,
      env: {},
      lock: 'lease' as const,
      leaseMs: 3_000,
    };
    const sql = openSql(server.url);
    const run = failureOf(migrateUp(options));
    const sleeping = () => sql`
      select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'`;
    await vi.waitUntil(async () => (await sleeping()).length === 1, POLL);
    await closeSql(sql);
    await server.stop();
    expect(await run).toMatchObject({ code: expect.stringMatching(/^[A-Z_]+$/) });
    await server.start();
    await project.migration('002_events', 'create table events ();');
    const { steps } = await migrateUp(options);
    expect(steps.map(({ label }) => label)).toEqual(['002', '003']);
  });
});
