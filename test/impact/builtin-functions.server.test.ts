import { expect } from 'vitest';
import { isVolatileBuiltin } from '../../src/impact/volatility.ts';
import { test } from '../support/fixture.ts';

test('the volatility of every function that an expression can call is known', async ({
  emptyDb,
}) => {
  const rows = await emptyDb.sql<{ name: string; isVolatile: boolean }[]>`
    select p.proname as name, bool_or(p.provolatile = 'v') as "isVolatile"
    from pg_catalog.pg_proc as p
    where p.pronamespace = 'pg_catalog'::regnamespace
      and p.prokind in ('f', 'w')
    group by p.proname`;
  const wrong = rows
    .filter(({ name, isVolatile }) => {
      const known = isVolatileBuiltin(name);
      return known !== undefined && known !== isVolatile;
    })
    .map(({ name }) => name);
  // One of its forms is volatile: of `timezone` that of a time with zone before 15, and of
  // `ts_rewrite` the one that runs a query.
  expect(wrong.filter((name) => name !== 'timezone' && name !== 'ts_rewrite')).toEqual([]);
  const volatile = ['random', 'gen_random_uuid', 'clock_timestamp', 'nextval', 'timeofday'];
  expect(volatile.map(isVolatileBuiltin)).toEqual(volatile.map(() => true));
  const stable = ['now', 'jsonb_build_object', 'current_setting', 'lower', 'to_char', 'md5'];
  expect(stable.map(isVolatileBuiltin)).toEqual(stable.map(() => false));
  expect(isVolatileBuiltin('uuid_generate_v4')).toBeUndefined();
});
