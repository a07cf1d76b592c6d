import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, vi } from 'vitest';
import { migrateDown, migrateUp, readStatus } from '../../../src/index.ts';
import { isSuperuser, type MigrateStage, test, untilHeard } from '../../support/migrate-kit.ts';
import { POLL } from '../../support/waiting.ts';

const HEADER = '-- evdb: no-transaction\n';

/** Applies what it can of a script whose second of three statements fails. */
async function interrupt(stage: MigrateStage, down?: string): Promise<unknown> {
  const text = `${HEADER}create table a (id int);\ninsert into a select 1/0;\ncreate table b ();`;
  await stage.migration('001_a', text, down);
  return migrateUp(stage.options).catch((error: unknown) => error);
}

describe('a migration without a transaction', () => {
  test('may hold what PostgreSQL refuses inside one', async ({ stage }) => {
    await stage.migration('001_a', 'create table a (id int);');
    await stage.migration(
      '002_b',
      `${HEADER}create index concurrently a_id_idx on a (id);\nvacuum a;\nreindex index concurrently a_id_idx;`,
      `${HEADER}drop index concurrently a_id_idx;`,
    );
    await migrateUp(stage.options);
    expect(await stage.relations()).toEqual(['a', 'a_id_idx']);
    expect(await stage.ledger()).toEqual(['001 applied', '002 applied']);
    const [row] = await stage.sql`
      select statements_done, statements_total, duration_ms from evdb.migration where version = 2`;
    expect(row).toEqual({
      statements_done: 3,
      statements_total: 3,
      duration_ms: expect.any(Number),
    });
    await migrateDown(stage.options);
    expect(await stage.relations()).toEqual(['a']);
    expect(await stage.history()).toEqual(['up 001', 'up 002', 'down 002']);
  });

  test('runs each statement in a transaction of its own', async ({ stage }) => {
    await stage.sql`create table seen (xid xid8)`;
    const note = 'insert into seen values (pg_current_xact_id());';
    await stage.migration('001_a', `${HEADER}${note}\n${note}\n${note}`);
    await migrateUp(stage.options);
    expect(await stage.sql`select count(distinct xid)::int as transactions from seen`).toEqual([
      { transactions: 3 },
    ]);
  });

  test('is refused where it begins a transaction itself', async ({ stage }) => {
    await stage.migration('001_a', `${HEADER}begin;\ncreate table a ();\ncommit;`);
    await expect(migrateUp(stage.options)).rejects.toMatchObject({
      code: 'TRANSACTION_CONTROL',
      location: { line: 2 },
    });
  });

  test('that fails at its first statement says that nothing is committed', async ({ stage }) => {
    await stage.migration('001_a', `${HEADER}create unique index concurrently i on missing (id);`);
    await expect(migrateUp(stage.options)).rejects.toMatchObject({
      code: 'MIGRATION_FAILED',
      hint: expect.stringMatching(
        /^001_a runs outside a transaction, and no statement of it is com/,
      ),
    });
  });

  test('that fails keeps what it did, and is recorded at its statement', async ({ stage }) => {
    expect(await interrupt(stage)).toMatchObject({
      code: 'MIGRATION_FAILED',
      location: { line: 3, column: 1 },
      server: { sqlstate: '22012' },
      hint: expect.stringContaining(
        'the statements before this one are committed and do not run again',
      ),
    });
    expect(await stage.relations()).toEqual(['a']);
    expect(await stage.ledger()).toEqual(['001 applying']);
    expect(await stage.history()).toEqual(['failed 001']);

    await stage.migration('002_b', 'create table c ();');
    expect(await readStatus(stage.options)).toMatchObject({
      migrations: [
        {
          label: '001',
          state: 'incomplete',
          appliedAt: null,
          progress: { statementsDone: 1, statementsTotal: 3 },
        },
        { label: '002', state: 'pending' },
      ],
      counts: { incomplete: 1, pending: 1 },
    });
    expect(await stage.relations()).toEqual(['a']);
  });

  test('that failed is rolled back by its down script, and applied again', async ({ stage }) => {
    await interrupt(stage, 'drop table a; drop table if exists b;');
    await migrateDown(stage.options);
    expect(await stage.ledger()).toEqual([]);
    await stage.migration('001_a', `${HEADER}create table a (id int);\ncreate table b ();`);
    await migrateUp(stage.options);
    expect(await stage.relations()).toEqual(['a', 'b']);
    expect(await stage.history()).toEqual(['failed 001', 'down 001', 'up 001']);
  });

  test('whose down script fails half way stops the next up, and down goes on', async ({
    stage,
  }) => {
    await stage.migration(
      '001_a',
      'create table a (); create table b ();',
      `${HEADER}drop table if exists a;\ndrop table missing;\ndrop table b;`,
    );
    await migrateUp(stage.options);
    await expect(migrateDown(stage.options)).rejects.toMatchObject({ code: 'MIGRATION_FAILED' });
    expect(await stage.ledger()).toEqual(['001 reverting']);
    await expect(migrateUp(stage.options)).rejects.toMatchObject({
      code: 'INCOMPLETE_MIGRATION',
      message: 'rolling back 001_a stopped at statement 2 of 3; the 1 before it is committed',
    });
    await stage.migration(
      '001_a',
      'create table a (); create table b ();',
      `${HEADER}drop table if exists a;\ndrop table b;`,
    );
    await migrateDown(stage.options);
    expect(await stage.relations()).toEqual([]);
    expect(await stage.ledger()).toEqual([]);
  });

  test('whose connection dies is recorded at its statement', async ({ stage }) => {
    await stage.migration('001_a', `${HEADER}create table a ();\nselect pg_sleep(60);\nselect 1;`);
    const run = migrateUp(stage.options);
    run.catch(() => undefined);
    await untilHeard(stage.heard, 'statement');
    await vi.waitUntil(async () => {
      const ended = await stage.sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and query = 'select pg_sleep(60)'`;
      return ended.length > 0;
    }, POLL);
    await expect(run).rejects.toMatchObject({
      code: 'CONNECTION_LOST',
      message:
        'the connection was lost while 001_a ran: terminating connection due to administrator command',
    });
    expect(await stage.ledger()).toEqual(['001 applying']);
    expect(await stage.history()).toEqual(['failed 001']);
    expect(await readStatus(stage.options)).toMatchObject({
      migrations: [{ progress: { statementsDone: 1, statementsTotal: 3 } }],
    });
  });

  test('that another runner is applying is waited for, not taken for interrupted', async ({
    stage,
  }) => {
    await stage.migration('001_a', `${HEADER}create table a ();\nselect pg_advisory_lock(42);`);
    const other = stage.openOther();
    await other`select pg_advisory_lock(42)`;
    const first = migrateUp(stage.options);
    await untilHeard(stage.heard, 'statement');
    const impatient = migrateUp({ ...stage.options, lockWaitMs: 0 });
    await expect(impatient).rejects.toMatchObject({ code: 'LOCKED' });
    const second = migrateUp(stage.options);
    await untilHeard(stage.heard, 'lock-wait');
    await other`select pg_advisory_unlock(42)`;
    expect((await first).steps).toHaveLength(1);
    expect((await second).steps).toEqual([]);
  });

  test('of a newer build that is at work is waited for by an older one, which has not its file', async ({
    stage,
  }) => {
    await stage.migration('001_a', 'create table a ();');
    await migrateUp(stage.options);
    const directory = await mkdtemp(join(tmpdir(), 'evdb-test-older-'));
    await cp(stage.options.directory, directory, { recursive: true });
    await stage.migration('002_b', `${HEADER}create table b ();\nselect pg_advisory_lock(42);`);
    const other = stage.openOther();
    await other`select pg_advisory_lock(42)`;
    const newer = migrateUp(stage.options);
    await expect
      .poll(() => stage.ledger(), { timeout: 30_000 })
      .toEqual(['001 applied', '002 applying']);
    const older = migrateUp({ ...stage.options, directory });
    await untilHeard(stage.heard, 'lock-wait');
    await other`select pg_advisory_unlock(42)`;
    await newer;
    expect(await older).toMatchObject({ steps: [], warnings: [{ code: 'LEDGER_AHEAD' }] });
    await rm(directory, { recursive: true });
  });

  test('creates its target schema where that is missing', async ({ stage }) => {
    await stage.migration('001_a', `${HEADER}create table a ();`);
    await migrateUp({ ...stage.options, schema: 'fresh' });
    expect(await stage.relations('fresh')).toEqual(['a']);
  });

  test('keeps its books although the script changes role and search_path', async ({ stage }) => {
    const { name } = await stage.createRole();
    await stage.sql.unsafe(`grant create on schema public to ${name}`);
    await stage.migration(
      '001_a',
      `${HEADER}set role ${name};\ncreate table a ();\nset search_path = '';\nselect 1;`,
    );
    await migrateUp(stage.options);
    expect(await stage.ledger()).toEqual(['001 applied']);
    expect(await stage.sql`select tableowner from pg_tables where tablename = 'a'`).toEqual([
      { tableowner: name },
    ]);
  });

  test('stays who it became, through role and session authorization, and keeps its books', async ({
    stage,
    skip,
  }) => {
    if (!(await isSuperuser(stage.sql))) skip('only superusers become somebody else');
    const { name } = await stage.createRole();
    const { name: other } = await stage.createRole();
    await stage.sql.unsafe(`grant ${other} to ${name}; grant create on schema public to ${other}`);
    await stage.migration(
      '001_a',
      `${HEADER}create table who (n int, s text, c text); grant insert on who to public;
set session authorization ${name};
insert into who select 1, session_user, current_user;
set role ${other};
insert into who select 2, session_user, current_user;
create table a ();
reset role;
insert into who select 3, session_user, current_user;
reset session authorization;
insert into who select 4, session_user, current_user;
set role ${other};
insert into who select 5, session_user, current_user;`,
    );
    await migrateUp(stage.options);
    const [me] = await stage.sql`select current_user as name`;
    expect(await stage.sql`select s, c from who order by n`.values()).toEqual([
      [name, name],
      [name, other],
      [name, name],
      [me?.name, me?.name],
      [me?.name, other],
    ]);
    expect(await stage.ledger()).toEqual(['001 applied']);
  });

  test('fails at the statement whose deferred constraint is broken', async ({ stage }) => {
    await stage.migration(
      '001_a',
      `${HEADER}create table a (id int primary key, other int references a deferrable initially deferred);
insert into a values (1, 1);
insert into a values (2, 3);
insert into a values (4, 4);`,
    );
    await expect(migrateUp(stage.options)).rejects.toMatchObject({
      code: 'MIGRATION_FAILED',
      location: { line: 4 },
      server: { sqlstate: '23503' },
    });
    expect(await stage.sql`select id from a`).toEqual([{ id: 1 }]);
  });

  test('may use a value that it has just added to an enum', async ({ stage }) => {
    await stage.migration(
      '001_a',
      `${HEADER}create type mood as enum ('sad');
alter type mood add value 'happy';
create table a (m mood default 'happy');`,
    );
    await migrateUp(stage.options);
    expect(await stage.relations()).toEqual(['a']);
  });

  test('may hold what has a meaning in transactions only, which then has none', async ({
    stage,
  }) => {
    await stage.migration(
      '001_a',
      `${HEADER}set local lock_timeout = '1s';\nset transaction read only;\ncreate table a ();`,
    );
    await migrateUp(stage.options);
    expect(await stage.relations()).toEqual(['a']);
    await stage.migration('002_b', `${HEADER}lock table a;`);
    await expect(migrateUp(stage.options)).rejects.toMatchObject({ server: { sqlstate: '25P01' } });
    await stage.migration('002_b', `${HEADER}select 1;`);
    await migrateUp(stage.options);
  });
});
