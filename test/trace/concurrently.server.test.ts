import { describe, expect } from 'vitest';
import { openSession } from '../../src/connection/session.ts';
import { splitStatements } from '../../src/sql/statements.ts';
import { traceSessionOf, traceStatements } from '../../src/trace/trace-statements.ts';
import { type MigrateStage, test } from '../support/migrate-kit.ts';

async function makeTable({ sql }: MigrateStage): Promise<void> {
  await sql.unsafe(`
    create table a (id int primary key, n int);
    create index a_n on a (n);`);
}

/** The locks that a statement holds while it waits for a transaction that has written to the table. */
async function locksWhileItWaits(stage: MigrateStage, statement: string): Promise<unknown> {
  const { sql } = stage;
  const writer = stage.openOther();
  await writer.unsafe('begin; insert into a values (1, 1)');
  const runner = stage.openOther();
  const [{ pid } = {}] = await runner`select pg_backend_pid() as pid`;
  const done = runner.unsafe(statement);
  done.catch(() => undefined);
  const waits = () => sql`
    select from pg_locks where pid = ${pid} and not granted`;
  await expect.poll(waits, { timeout: 30_000 }).toHaveLength(1);
  const locks = await sql`
    select 'public.' || relation::regclass as relation, replace(mode, 'Lock', '') as mode
    from pg_locks
    where pid = ${pid} and locktype = 'relation' and mode <> 'RowExclusiveLock'
        and relation in ('a'::regclass, 'a_n'::regclass)`;
  await writer.unsafe('rollback');
  await done;
  return Object.fromEntries(locks.map(({ relation, mode }) => [relation, mode]));
}

async function locksOfTrace(stage: MigrateStage, statement: string): Promise<unknown> {
  const tracer = traceSessionOf(await openSession(stage.options.connection));
  const [only] = await traceStatements(tracer, splitStatements(statement));
  await tracer.session.close();
  return Object.fromEntries(
    (only?.impact.locks ?? []).map(({ relation, mode }) => [relation, mode]),
  );
}

describe('the locks that a trace tells of a concurrent statement', () => {
  test.for([
    'create index concurrently on a (n)',
    'drop index concurrently a_n',
    'reindex index concurrently a_n',
  ])('are those that the server takes for %s', async (statement, { stage }) => {
    await makeTable(stage);
    const told = await locksOfTrace(stage, statement);
    expect(await locksWhileItWaits(stage, statement)).toEqual(told);
  });
});
