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
});
