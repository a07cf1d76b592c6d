import { describe, expect } from 'vitest';
import { migrateUp, planImpact } from '../../../src/index.ts';
import { type MigrateStage, test } from '../../support/migrate-kit.ts';

async function planned(stage: MigrateStage) {
  const { steps } = await planImpact(stage.options);
  return steps.flatMap(({ statements }) => statements);
}

describe('a plan', () => {
  test.for([
    ['view', 'alter table t alter n type varchar(30)', '0A000'],
    ['materialized view', 'alter table t alter n type varchar(30)', '0A000'],
    ['view', 'alter table t drop column n', '2BP01'],
    ['materialized view', 'alter table t drop column if exists n', '2BP01'],
  ] as const)(
    'says that the server refuses to change a column that a %s uses: %s',
    async ([kind, change, sqlstate], { stage }) => {
      await stage.migration('001_t', 'create table t (id int, n varchar(20), m varchar(20));');
      await migrateUp(stage.options);
      await stage.sql.unsafe(`create ${kind} v as select n as m, id from t`);
      await stage.migration('002_n', `${change};`);
      const [told] = await planned(stage);
      expect(told).toMatchObject({ refusals: [{ sqlstate, relation: 'public.t' }], rewrites: [] });
      expect(told?.refusals[0]?.message).toContain(`because ${kind} public.v uses it`);
      await expect(stage.sql.unsafe(change)).rejects.toMatchObject({ code: sqlstate });
      for (const fits of [
        change.replace(' n', ' m').replace('exists n', 'exists m'),
        `drop ${kind} v; ${change}`,
        ...(sqlstate === '2BP01' ? [`${change} cascade`] : []),
      ]) {
        await stage.migration('002_n', `${fits};`);
        const statements = await planned(stage);
        expect(statements.flatMap(({ refusals }) => refusals)).toEqual([]);
        await stage.openOther().unsafe(`begin; ${fits}; rollback`);
      }
    },
  );

  test.for([
    ['drop table t', '2BP01', 'drop table r, t'],
    ['drop table s', '2BP01', 'drop table s cascade'],
    ['drop view v', '2BP01', 'drop view v, w'],
    [
      'alter table t drop constraint t_pkey',
      '2BP01',
      'alter table t drop constraint t_pkey cascade',
    ],
    [
      'alter table t add primary key (a)',
      '42P16',
      'alter table t drop constraint t_pkey cascade, add primary key (a)',
    ],
    ['alter table t add column a int', '42701', 'alter table t drop column a, add column a int'],
    ['alter table only t add a int', '42701', 'alter table t add column if not exists a int'],
  ] as const)(
    'says that the server refuses what others need or what is there: %s',
    async ([change, sqlstate, fits], { stage }) => {
      await stage.migration(
        '001_t',
        `create table t (id int primary key, a int);
        create table r (t_id int references t);
        create table s (id int);
        create view v as select id from s;
        create view w as select id from v;`,
      );
      await migrateUp(stage.options);
      await stage.migration('002_n', `${change};`);
      expect(await planned(stage)).toMatchObject([{ refusals: [{ sqlstate }] }]);
      await expect(stage.sql.unsafe(change)).rejects.toMatchObject({ code: sqlstate });
      await stage.migration('002_n', `${fits};`);
      expect(await planned(stage)).toMatchObject([{ refusals: [] }]);
      await stage.openOther().unsafe(`begin; ${fits}; rollback`);
    },
  );

  test.for([
    ['drop column a', '2BP01', 'drop column a cascade'],
    ['drop column a', '2BP01', 'drop trigger of_a on t; alter table t drop column a'],
    ['alter a type bigint', '0A000', 'drop trigger of_a on t; alter table t alter a type bigint'],
    ['drop column b', '2BP01', 'drop trigger when_b on t; alter table t drop column b'],
    ['drop column c', '2BP01', 'drop policy p on t; alter table t drop column c'],
    ['alter c type bigint', '0A000', 'alter policy p on t using (id > 0)'],
    ['drop column d', '2BP01', 'drop policy p on s; alter table t drop column d'],
    ['drop column d', '2BP01', 'drop table s; alter table t drop column d'],
    ['drop column d', '2BP01', 'alter table t drop column d cascade'],
    ['drop column e', '2BP01', 'drop rule r on t; alter table t drop column e'],
    ['drop column f', '2BP01', 'drop function f(); alter table t drop column f'],
    ['alter f type bigint', '0A000', 'drop function f(); alter table t alter f type bigint'],
    ['alter g type bigint', '0A000', 'alter table t alter g type bigint, drop column made'],
    [
      'alter g type bigint',
      '0A000',
      'alter table t alter made drop expression, alter g type bigint',
    ],
    [
      'drop column u',
      '2BP01',
      'alter table s drop constraint s_u_fkey; alter table t drop column u',
    ],
    ['drop column id', '2BP01', 'alter table t drop column t_id, drop column id'],
  ] as const)(
    'says that the server refuses to change a column that something uses: %s',
    async ([change, sqlstate, fits], { stage }) => {
      await stage.migration('001_t', USED);
      await migrateUp(stage.options);
      const refused = `alter table t ${change}`;
      await stage.migration('002_n', `${refused};`);
      const [told] = await planned(stage);
      expect(told?.refusals).toHaveLength(1);
      const [code] = told?.refusals.map((one) => one.sqlstate) ?? [];
      await expect(stage.sql.unsafe(refused)).rejects.toMatchObject({ code });
      // Before 15 a column that another one is generated from has a code of its own.
      if (!change.startsWith('alter g')) expect(code).toBe(sqlstate);
      const goes = fits.startsWith('drop column') ? `alter table t ${fits}` : fits;
      await stage.migration('002_n', `${goes};`);
      const statements = await planned(stage);
      expect(statements.flatMap(({ refusals }) => refusals)).toEqual([]);
      await stage.openOther().unsafe(`begin; ${goes}; rollback`);
    },
  );

  test('says what the server does to a column from which another one is generated', async ({
    stage,
  }) => {
    await stage.migration('001_t', USED);
    await migrateUp(stage.options);
    for (const change of ['drop column g', 'drop column g, drop column made']) {
      await stage.migration('002_n', `alter table t ${change};`);
      const [told] = await planned(stage);
      const answer = stage.openOther().unsafe(`begin; alter table t ${change}; rollback`);
      const code = await answer.then(
        () => undefined,
        (error: { code: string }) => error.code,
      );
      // Before 15 the other one goes with it, so that there is none to drop.
      const known = code === '42703' ? undefined : code;
      expect(told?.refusals[0]?.sqlstate).toBe(known);
    }
  });

  test.for(['drop column k', 'drop column k cascade', 'alter k type bigint'])(
    'says that a column of a partition key stays as it is: %s',
    async (change, { stage }) => {
      await stage.migration(
        '001_t',
        'create table t (k int, a int) partition by list (k); create table t1 partition of t default;',
      );
      await migrateUp(stage.options);
      await stage.migration('002_n', `alter table t ${change};`);
      expect(await planned(stage)).toMatchObject([{ refusals: [{ sqlstate: '42P16' }] }]);
      const refused = stage.sql.unsafe(`alter table t ${change}`);
      await expect(refused).rejects.toMatchObject({ code: '42P16' });
    },
  );

  test('tells the tables whose policies go with a column', async ({ stage }) => {
    await stage.migration('001_t', USED);
    await migrateUp(stage.options);
    await stage.migration('002_n', 'alter table t drop column d cascade;');
    const [told] = await planned(stage);
    const lock = { relation: 'public.s', mode: 'AccessExclusive', reason: 'dependent' };
    expect(told?.locks).toContainEqual(expect.objectContaining(lock));
  });
});

/** A table of which each column is used by something else. */
const USED = `
create table t (
  id int primary key, a int, b int, c int, d int, e int, f int, g int, u int unique,
  made int generated always as (g + 1) stored, t_id int references t
);
create table s (x int, u int references t (u));
create function tell() returns trigger language plpgsql as 'begin return new; end';
create trigger of_a before update of a on t for each row execute function tell();
create trigger when_b before update on t for each row when (new.b > 1) execute function tell();
create policy p on t using (c > 1);
create policy p on s using (x in (select d from t));
create rule r as on update to t where old.e > 1 do also select 1;
create function f() returns bigint language sql begin atomic select sum(f) from t; end;`;
