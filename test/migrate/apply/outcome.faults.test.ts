import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import { openSession } from '../../../src/connection/session.ts';
import { migrateUp } from '../../../src/index.ts';
import type { ApplyContext } from '../../../src/migrate/apply/context.ts';
import { resolveOutcome } from '../../../src/migrate/apply/outcome.ts';
import { readServerIdentity } from '../../../src/migrate/ledger/provenance.ts';
import type { MigrationStep } from '../../../src/migrate/plan/prepare.ts';
import { holdRunnerLock, type MigrateStage, test } from '../../support/migrate-kit.ts';

const STEPS = ['001', '002', '003'].map(
  (label) =>
    ({ version: Number(label), label, name: 't', direction: 'up' }) as unknown as MigrationStep,
);

/** What is known behind a loss: who was connected to which server, and which run it was. */
async function contextOf(stage: MigrateStage, runId: string) {
  const worker = await openSession(stage.options.connection);
  const server = await readServerIdentity(worker);
  await worker.close({ force: true });
  const key = { ledgerSchema: 'evdb', targetSchema: 'public' };
  const provenance = { runId, toolVersion: '0' };
  return { worker, key, provenance, server: Promise.resolve(server), signal: undefined };
}

async function outcomeOf(stage: MigrateStage, runId: string, steps = STEPS) {
  const context = (await contextOf(stage, runId)) as unknown as ApplyContext;
  const loss = { cause: new Error('lost'), transactionId: undefined };
  const { index, error } = await resolveOutcome(steps, loss, context);
  return { index, code: error.code, commit: error.details.commit, message: error.message };
}

async function applyTwo(stage: MigrateStage): Promise<string> {
  await stage.migration('001_t', 'create table t1 (id int);');
  await stage.migration('002_t', 'create table t2 (id int);');
  await migrateUp(stage.options);
  const rows = await stage.sql<{ id: string }[]>`
    select distinct run_id::text as id from evdb.history where action = 'up'`;
  expect(rows).toHaveLength(1);
  return rows[0]?.id ?? '';
}

test('what a run recorded is committed, and what stands behind it is not', async ({ stage }) => {
  const runId = await applyTwo(stage);
  expect(await outcomeOf(stage, runId)).toMatchObject({
    ...{ index: 1, code: 'CONNECTION_LOST', commit: 'committed' },
    message: expect.stringContaining(
      '002_t committed; the server says that the commit succeeded: it is applied',
    ),
  });
  expect(await outcomeOf(stage, runId, STEPS.slice(2))).toMatchObject({
    ...{ index: 0, code: 'CONNECTION_LOST', commit: 'aborted' },
    message: expect.stringContaining(
      '003_t committed; the server says that the transaction was rolled back: it is not applied',
    ),
  });
});

test('the same migration recorded by another run is not this one', async ({ stage }) => {
  await applyTwo(stage);
  expect(await outcomeOf(stage, randomUUID())).toMatchObject({ index: 0, commit: 'aborted' });
});

test('what another runner has rolled back since was committed all the same', async ({ stage }) => {
  const runId = await applyTwo(stage);
  await stage.sql`delete from evdb.migration`;
  expect(await outcomeOf(stage, runId)).toMatchObject({ index: 1, commit: 'committed' });
});

test('on another server the outcome stays open', async ({ stage }) => {
  const runId = await applyTwo(stage);
  const context = await contextOf(stage, runId);
  const elsewhere = { ...(await context.server), system: 'another' };
  const { error } = await resolveOutcome(STEPS, { cause: undefined, transactionId: undefined }, {
    ...context,
    server: Promise.resolve(elsewhere),
  } as unknown as ApplyContext);
  expect(error).toMatchObject({ code: 'OUTCOME_UNKNOWN', details: { commit: 'unknown' } });
  expect(error.message).toContain('001_t and 2 more after it committed');
});

test('while the lost session has the lock it may still commit, and another runner proves it gone', async ({
  stage,
}) => {
  await applyTwo(stage);
  const context = await contextOf(stage, randomUUID());
  const holder = await holdRunnerLock(stage);
  const [{ pid } = { pid: 0 }] = await holder<{ pid: number }[]>`select pg_backend_pid() as pid`;
  const loss = { cause: undefined, transactionId: undefined };
  const outcomes = [pid, pid + 1].map((lost) => {
    const worker = { options: context.worker.options, facts: { pid: lost } };
    return resolveOutcome(STEPS, loss, { ...context, worker } as unknown as ApplyContext);
  });
  const [mayBe, isGone] = await Promise.all(outcomes);
  expect(mayBe?.error.code).toBe('OUTCOME_UNKNOWN');
  expect(isGone?.error).toMatchObject({ code: 'CONNECTION_LOST', details: { commit: 'aborted' } });
}, 90_000);
