import { expect } from 'vitest';
import { migrateUp } from '../../src/index.ts';
import { test } from '../pool/pool-kit.ts';
import { test as migrateTest } from '../support/migrate-kit.ts';
import { failureOf } from '../support/waiting.ts';

/** States that other servers, or whoever raises them, give a lost connection. */
const STATES_OF_A_LOSS = ['08000', '08003', '08006', '08P01', '57P01', '57P05', '25P03', '25P04'];

test('keeps the connection where the server answered with the state of a lost one', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 1 });
  const [before] = (await pool.query('select pg_backend_pid() as pid')).rows;
  for (const state of STATES_OF_A_LOSS) {
    const raise = `do $$ begin raise 'the other server is gone' using errcode = '${state}'; end $$`;
    expect(await failureOf(pool.query(raise))).toMatchObject({
      code: 'QUERY_FAILED',
      sqlstate: state,
      message: 'the other server is gone',
    });
  }
  expect((await pool.query('select pg_backend_pid() as pid')).rows).toEqual([before]);
});

test('says that a parameter is missing, and a transaction can go on behind a savepoint', async ({
  stage,
}) => {
  const pool = stage.pool({ max: 1 });
  const isMissing = { code: 'QUERY_FAILED', sqlstate: '08P01' };
  expect(await failureOf(pool.query('select $1::int'))).toMatchObject(isMissing);
  const value = await pool.withTransaction(async (tx) => {
    await failureOf(tx.savepoint((inner) => inner.query('select $1::int')));
    return (await tx.query('select 1 as one')).rows;
  });
  expect(value).toEqual([{ one: 1 }]);
});

for (const directive of ['', '-- evdb: no-transaction\n']) {
  migrateTest(
    `names the line where a script raises the state of a lost connection${directive && ', without a transaction'}`,
    async ({ stage }) => {
      await stage.migration(
        '001_a',
        `${directive}create table a ();\ndo $$ begin raise 'gone' using errcode = '08006'; end $$;`,
      );
      const failure = await failureOf(migrateUp(stage.options));
      expect(failure).toMatchObject({
        code: 'MIGRATION_FAILED',
        message: 'gone',
        location: { line: directive ? 3 : 2 },
        server: { sqlstate: '08006' },
      });
      expect(await stage.history()).toEqual(['failed 001']);
    },
  );
}

migrateTest(
  'says that nothing was applied where a deferred trigger raises the state of a lost connection',
  async ({ stage }) => {
    await stage.migration(
      '001_a',
      `create table a (id integer);
create function raise_late() returns trigger language plpgsql as $$ begin raise 'late' using errcode = '57P01'; end $$;
create constraint trigger late after insert on a deferrable initially deferred for each row execute function raise_late();
insert into a values (1);`,
    );
    const failure = await failureOf(migrateUp(stage.options));
    expect(failure).toMatchObject({
      code: 'MIGRATION_FAILED',
      message: 'late (when the transaction ended)',
      server: { sqlstate: '57P01' },
    });
    expect(await stage.relations()).toEqual([]);
  },
);
