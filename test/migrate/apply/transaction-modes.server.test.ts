import { describe, expect, vi } from 'vitest';
import { migrateUp } from '../../../src/index.ts';
import { type MigrateStage, test, untilHeard } from '../../support/migrate-kit.ts';
import { failureOf } from '../../support/waiting.ts';

const SHOW = "select current_setting('transaction_isolation') as isolation";

describe('the first statement of a script', () => {
  for (const isolation of ['serializable', 'repeatable read']) {
    test(`chooses ${isolation} as its transaction's isolation`, async ({ stage }) => {
      await stage.migration(
        '001_a',
        `-- why\nset transaction isolation level ${isolation};\ncreate table a as ${SHOW};`,
      );
      await stage.migration('002_b', `create table b as ${SHOW};`);
      await migrateUp(stage.options);
      expect(await stage.sql`select * from a`).toEqual([{ isolation }]);
      expect(await stage.sql`select * from b`).toEqual([{ isolation: 'read committed' }]);
    });
  }

  test('makes the transaction read only, and the ledger is written', async ({ stage }) => {
    await stage.migration(
      '001_a',
      'set transaction isolation level serializable, read only, deferrable;\nselect 1;',
    );
    await stage.migration('002_b', 'set transaction read only;\ncreate table b ();');
    await stage.migration('003_c', 'create table c ();');
    expect(await failureOf(migrateUp(stage.options))).toMatchObject({
      location: { line: 2 },
      server: { sqlstate: '25006' },
    });
    expect(await stage.ledger()).toEqual(['001 applied']);
    await stage.migration('002_b', 'set transaction read only;\nset transaction read write;');
    await migrateUp(stage.options);
    expect(await stage.ledger()).toEqual(['001 applied', '002 applied', '003 applied']);
  });
});

describe('lock_timeout', () => {
  const NOTE = "insert into noted select current_setting('lock_timeout')";
  const DDL_NOTE = "create table noted as select current_setting('lock_timeout') as held";

  async function noted(stage: MigrateStage): Promise<unknown[]> {
    return (await stage.sql`select held from noted`).map(({ held }) => held);
  }

  for (const [kind, header] of [
    ['transactional', ''],
    ['no-transaction', '-- evdb: no-transaction\n'],
  ]) {
    test(`is never taken away or lengthened by a script (${kind})`, async ({ stage }) => {
      const scripts = ['set lock_timeout = 0', "set lock_timeout = '1h'", 'reset lock_timeout'];
      await stage.migration(
        '001_a',
        `${header}${scripts.map((set, index) => `${set};\n${DDL_NOTE.replace('noted', `n${index}`)};\n`).join('')}
select set_config('lock_timeout', '0', false);\n${DDL_NOTE.replace('noted', 'n3')};`,
      );
      await migrateUp(stage.options);
      for (const table of ['n0', 'n1', 'n2', 'n3']) {
        expect(await stage.sql`select held from ${stage.sql(table)}`).toEqual([{ held: '200ms' }]);
      }
    });

    test(`holds across statements where the script's is shorter (${kind})`, async ({ stage }) => {
      await stage.migration(
        '001_a',
        `${header}set lock_timeout = '150ms';\n${DDL_NOTE};\n${NOTE};\nset lock_timeout = '7s';\n${NOTE};\ncreate table x ();\nset lock_timeout = 0;\n${NOTE};`,
      );
      await migrateUp(stage.options);
      expect(await noted(stage)).toEqual(['150ms', '150ms', '7s', '10s']);
    });

    test(`is lengthened by the directive (${kind})`, async ({ stage }) => {
      await stage.migration(
        '001_a',
        `${header}-- evdb: lock-timeout 4s\nset lock_timeout = 0;\n${DDL_NOTE};`,
      );
      await migrateUp(stage.options);
      expect(await noted(stage)).toEqual(['4s']);
    });

    test(`makes a reader wait for a moment only, behind a script that takes it away (${kind})`, async ({
      stage,
    }) => {
      await stage.sql`create table a (id integer)`;
      await stage.migration(
        '001_a',
        `${header}set lock_timeout = 0;\nalter table a add b integer;`,
      );
      const other = stage.openOther();
      await other`begin; lock table a in access share mode`.simple();
      const run = migrateUp(stage.options);
      run.catch(() => undefined);
      await untilHeard(stage.heard, 'retry');
      await other`rollback`;
      await run;
      expect(await stage.ledger()).toEqual(['001 applied']);
    });
  }
});

test('says of a runner between two tries that it waits for the next one', async ({ stage }) => {
  await stage.sql`create table a (id integer)`;
  await stage.migration('001_a', 'alter table a add b integer;');
  const other = stage.openOther();
  await other`begin; lock table a in access share mode`.simple();
  const run = migrateUp(stage.options);
  run.catch(() => undefined);
  const names = () => stage.sql`
    select application_name as name from pg_stat_activity
    where datname = current_database() and application_name like 'evdb waits%'`;
  await vi.waitUntil(async () => (await names()).length > 0, { timeout: 30_000, interval: 10 });
  expect(await names()).toEqual([
    { name: expect.stringMatching(/^evdb waits for try \d of 001_a$/) },
  ]);
  let second: Error & { hint?: string };
  do {
    second = await failureOf(migrateUp({ ...stage.options, lockWaitMs: 0 }));
  } while (!second.message.includes('waits for try'));
  expect(second.message).toMatch(
    /another runner is at work: pid \d+ \(evdb, .*\) waits for try \d of 001_a/,
  );
  expect(second.hint).not.toContain('pg_terminate_backend');
  await other`rollback`;
  await run;
  expect(await names()).toEqual([]);
});

for (const [where, header] of [
  ['in a transaction', ''],
  ['without one', '-- evdb: no-transaction\n'],
]) {
  test(`says of a runner in a further try which one it is, ${where}`, async ({ stage }) => {
    await stage.sql`create table a (id integer)`;
    await stage.migration('001_a', `${header}alter table a add b integer;`);
    const other = stage.openOther();
    await other`begin; lock table a in access share mode`.simple();
    const run = migrateUp({ ...stage.options, lockTimeoutMs: 5000 });
    run.catch(() => undefined);
    await untilHeard(stage.heard, 'retry');
    let second: Error & { hint?: string };
    do {
      second = await failureOf(migrateUp({ ...stage.options, lockWaitMs: 0 }));
    } while (!second.message.includes('is at try'));
    expect(second.message).toMatch(/: pid \d+ \(evdb, .*\) is at try 2 of 001_a \(waited/);
    expect(second.hint).not.toContain('pg_terminate_backend');
    await other`rollback`;
    await run;
    const left = await stage.sql`
      select from pg_stat_activity
      where datname = current_database() and application_name like 'evdb is at%'`;
    expect(left).toEqual([]);
  });
}
