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
});
