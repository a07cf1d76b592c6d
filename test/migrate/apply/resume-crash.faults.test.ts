import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type postgres from 'postgres';
import { expect } from 'vitest';
import { closeSql, openSql } from '../../support/databases.ts';
import { test as base } from '../../support/fixture.ts';
import { type OwnServer, startOwnServer, whyNoOwnServer } from '../../support/own-server.ts';
import { runCli, startCli } from '../../support/run-cli.ts';

const test = base.extend<{ server: OwnServer }>({
  server: async ({}, use) => {
    const server = await startOwnServer({ fsync: 'on', synchronous_commit: 'off' });
    await use(server);
    await server.remove();
  },
});

/** Ends the server as a loss of power does: nothing is written any more. */
async function crash({ dataDirectory }: OwnServer): Promise<void> {
  const pidFile = await readFile(join(dataDirectory, 'postmaster.pid'), 'utf8');
  const pid = Number(pidFile.split('\n')[0]);
  process.kill(pid, 'SIGQUIT');
  const isThere = () => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  };
  await expect.poll(isThere, { timeout: 20_000 }).toBe(false);
}

async function holdSnapshot(url: string): Promise<postgres.Sql> {
  const holder = openSql(url, 1);
  await holder.unsafe('begin isolation level repeatable read; select * from seen');
  return holder;
}

test.skipIf(whyNoOwnServer() !== undefined)(
  'a crash of the server in a concurrent build lets the next up end with everything applied once',
  async ({ server, project }) => {
    const options = { cwd: project.dir, env: { EVDB_URL: server.url } };
    await project.migration(
      '001_seen',
      `-- evdb: no-transaction
insert into seen values (1);
create index concurrently seen_n_idx on seen (n);
insert into seen values (2);
`,
    );
    const before = openSql(server.url);
    await before`create table public.seen (n int)`;
    const holder = await holdSnapshot(server.url);
    const running = startCli(['migrate', 'up'], options);
    const building = () =>
      before`
        select from pg_stat_progress_create_index
        where datname = current_database() and phase = 'waiting for old snapshots'`;
    await expect.poll(async () => (await building()).length, { timeout: 30_000 }).toBe(1);
    await crash(server);
    expect(await running.result).toMatchObject({
      code: 4,
      stderr: expect.stringContaining('error CONNECTION_LOST'),
    });
    await Promise.all([closeSql(before), closeSql(holder)]);

    await server.start();
    const after = openSql(server.url);
    expect(
      await after`select statements_done as done, statement_started as started from evdb.migration`,
    ).toEqual([{ done: 1, started: 2 }]);
    expect(await runCli(['migrate', 'up'], options)).toMatchObject({
      code: 0,
      stderr: expect.stringContaining(
        '001_seen continues where it stopped: 1 of its 3 statements is done\n',
      ),
    });
    expect(await after`select n from seen order by n`.values()).toEqual([[1], [2]]);
    expect(
      await after`
        select indexrelid::regclass::text as name, indisvalid from pg_index
        where indrelid = 'seen'::regclass`,
    ).toEqual([{ name: 'seen_n_idx', indisvalid: true }]);
    await closeSql(after);
  },
  120_000,
);
