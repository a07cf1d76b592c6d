import { describe, expect, vi } from 'vitest';
import { migrateUp } from '../../../src/index.ts';
import { type MigrateStage, test, untilHeard } from '../../support/migrate-kit.ts';
import { failureOf } from '../../support/waiting.ts';

const ALONE = '-- evdb: no-transaction\n';

/** A role for whom every time limit that the server knows is far shorter than the work. */
async function impatientRole(stage: MigrateStage) {
  const role = await stage.createRole('superuser');
  const names = await stage.sql<{ name: string }[]>`
    select name from pg_settings where name in
      ('idle_session_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')`;
  for (const { name } of names) {
    await stage.sql.unsafe(`alter role ${role.name} set ${name} = '300ms'`);
  }
  return role;
}

/** Sessions of the runner but for the one that works on `query`. */
function endOthers(stage: MigrateStage, query: string) {
  return stage.sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and application_name like 'evdb%'
      and application_name <> 'evdb-test' and query not like ${`%${query}%`}`;
}

function untilRuns(stage: MigrateStage, query: string): Promise<number> {
  return vi.waitUntil(
    async () => {
      const [row] = await stage.sql`
        select pid from pg_stat_activity where datname = current_database()
          and state = 'active' and query like ${`${query}%`} and pid <> pg_backend_pid()`;
      return row?.pid as number;
    },
    { timeout: 20_000 },
  );
}

describe('with a role whose every time limit is shorter than the work', () => {
  test('applies transactional and other files, also behind `reset all`', async ({ stage }) => {
    const { url } = await impatientRole(stage);
    await stage.migration('001_a', 'create table a (); select pg_sleep(1);');
    await stage.migration(
      '002_b',
      `${ALONE}select pg_sleep(1);\nvacuum a;\nreset all;\nselect pg_sleep(1);\nvacuum a;\ncreate table b ();`,
    );
    await stage.migration('003_c', 'reset all; select pg_sleep(0.1); create table c ();');
    await migrateUp(await stage.optionsFor(url));
    expect(await stage.relations()).toEqual(['a', 'b', 'c']);
    expect(await stage.ledger()).toEqual(['001 applied', '002 applied', '003 applied']);
  });

  for (const [kind, header] of [
    ['transactional', ''],
    ['no-transaction', ALONE],
  ]) {
    test(`waits for the lock of another runner and between tries (${kind})`, async ({ stage }) => {
      const { url } = await impatientRole(stage);
      await stage.sql`create table a (id integer)`;
      await stage.migration('001_a', `${header}alter table a add column b integer;`);
      const other = stage.openOther();
      await other`begin`;
      await other`lock table a in access share mode`;
      const run = migrateUp(await stage.optionsFor(url));
      run.catch(() => undefined);
      const waiting = migrateUp(await stage.optionsFor(url));
      waiting.catch(() => undefined);
      // two pauses of at least half a second
      await vi.waitUntil(() => stage.heard.filter(({ kind }) => kind === 'retry').length >= 2, {
        timeout: 30_000,
      });
      await other`rollback`;
      await run;
      await waiting;
      expect(await stage.ledger()).toEqual(['001 applied']);
    });
  }
});

describe('where the second session is lost', () => {
  test('goes on, and keeps the journal, however often', async ({ stage }) => {
    await stage.sql`create table a (id integer)`;
    const statements = Array.from(
      { length: 8 },
      (_, index) => `vacuum a;\nselect pg_sleep(0.15);\ncreate table t${index} ();`,
    );
    await stage.migration('001_a', `${ALONE}${statements.join('\n')}`);
    const run = migrateUp(stage.options);
    let isOver = false;
    const over = () => {
      isOver = true;
    };
    run.then(over, over);
    await untilHeard(stage.heard, 'statement');
    while (!isOver) {
      const { sql } = stage;
      // the worker holds the runner's lock
      await sql`
        select pg_terminate_backend(a.pid) from pg_stat_activity a
        where a.datname = current_database() and a.application_name = 'evdb'
          and not exists (select from pg_locks l where l.pid = a.pid and l.locktype = 'advisory')`;
      await new Promise((resolve) => setTimeout(resolve, 20 + Math.random() * 60));
    }
    await run;
    expect(await stage.ledger()).toEqual(['001 applied']);
    expect(await stage.history()).toEqual(['up 001']);
    const [row] = await stage.sql`select statements_done, statements_total from evdb.migration`;
    expect(row).toEqual({ statements_done: 24, statements_total: 24 });
  });

  test('says so where it cannot be opened again, and the next run goes on', async ({ stage }) => {
    const role = await stage.createRole('superuser');
    await stage.sql`create table a ()`;
    await stage.migration('001_a', `${ALONE}select pg_sleep(1);\nvacuum a;\ncreate table b ();`);
    const options = await stage.optionsFor(role.url);
    const stop = new AbortController();
    const run = failureOf(migrateUp({ ...options, signal: stop.signal }));
    await untilRuns(stage, 'select pg_sleep');
    await stage.sql.unsafe(`alter role ${role.name} nologin`);
    await endOthers(stage, 'pg_sleep');
    stop.abort(new Error('enough'));
    expect(await run).toMatchObject({ message: 'enough' });
    await stage.sql.unsafe(`alter role ${role.name} login`);
    await migrateUp(options);
    expect(await stage.ledger()).toEqual(['001 applied']);
  });

  test('goes on where it does not answer any more', async ({ stage, skip }) => {
    await stage.sql`create table a ()`;
    await stage.migration('001_a', `${ALONE}select pg_sleep(2);\nvacuum a;\ncreate table b ();`);
    const run = migrateUp(stage.options);
    run.catch(() => undefined);
    const worker = await untilRuns(stage, 'select pg_sleep');
    const [row] = await stage.sql`
      select pid from pg_stat_activity
      where datname = current_database() and application_name = 'evdb' and pid <> ${worker}`;
    const pid = Number(row?.pid);
    let isHere = true;
    try {
      process.kill(pid, 'SIGSTOP');
    } catch {
      isHere = false;
    }
    try {
      skip(!isHere, 'the server runs elsewhere, so that its processes cannot be halted');
      await run;
    } finally {
      if (isHere) process.kill(pid, 'SIGCONT');
    }
    expect(await stage.ledger()).toEqual(['001 applied']);
    expect(await stage.history()).toEqual(['up 001']);
  });

  test('cancels what runs at once', async ({ stage }) => {
    const role = await stage.createRole('superuser');
    await stage.migration('001_a', 'select pg_sleep(60);');
    const options = await stage.optionsFor(role.url);
    const stop = new AbortController();
    const run = failureOf(migrateUp({ ...options, signal: stop.signal }));
    const pid = await untilRuns(stage, 'select pg_sleep');
    await stage.sql.unsafe(`alter role ${role.name} nologin`);
    await endOthers(stage, 'pg_sleep');
    stop.abort(new Error('enough'));
    expect(await run).toMatchObject({ message: 'enough' });
    const isThere = () => stage.sql`select from pg_stat_activity where pid = ${pid}`;
    await expect.poll(isThere, { timeout: 20_000 }).toEqual([]);
  });
});

test('says that evdb needs two connections where the role may have one', async ({ stage }) => {
  const role = await stage.createRole('connection limit 1');
  await stage.sql.unsafe(`grant create on schema public to ${role.name}`);
  await stage.sql.unsafe(
    `do $$ begin execute format('grant create on database %I to ${role.name}', current_database()); end $$`,
  );
  await stage.migration('001_a', 'create table a ();');
  expect(await failureOf(migrateUp(await stage.optionsFor(role.url)))).toMatchObject({
    code: 'TOO_MANY_CONNECTIONS',
    message: expect.stringContaining('evdb needs two connections at a time, and got only one'),
    hint: expect.stringContaining('connection limit'),
  });
});
