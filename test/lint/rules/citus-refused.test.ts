import { describe, expect, test } from 'vitest';
import { findingsOf } from '../lint-kit.ts';

const rule = 'citus-refused';
const setup = `
  create table countries (code text primary key);
  create table accounts (tenant_id bigint primary key);
  create table orders (tenant_id bigint, id bigint, number bigint, at timestamptz, country text, primary key (tenant_id, id));
  create table plain (id bigint primary key);
  create schema tenant_1;
  create function f() returns trigger language plpgsql as $$ begin return new; end $$;
  select create_reference_table('countries');
  select create_distributed_table('accounts', 'tenant_id');
  select create_distributed_table('public.orders', distribution_column => 'tenant_id');
  select citus_schema_distribute('tenant_1');`;

describe('what Citus refuses', () => {
  test.each([
    ['create unique index u on orders (number)', 'u is unique without tenant_id'],
    ['alter table orders add constraint u unique (number)', 'u is unique without tenant_id'],
    ['alter table orders add column code text unique', 'unique without tenant_id'],
    [
      'alter table orders add constraint fk foreign key (id) references plain (id)',
      'public.plain is not distributed',
    ],
    [
      'alter table orders add constraint fk foreign key (id) references accounts (tenant_id)',
      'so the rows lie on different nodes',
    ],
    [
      'alter table countries add owner bigint constraint fk references accounts (tenant_id)',
      'a reference table cannot reference public.accounts',
    ],
    [
      'create trigger t before insert on orders for each row execute function f()',
      'without citus.enable_unsafe_triggers',
    ],
    ['update orders set at = case when number > 1 then now() end', 'now() in a CASE or COALESCE'],
    ['update orders set number = coalesce(number, random()::bigint)', 'random() in a CASE'],
    ['update orders set at = coalesce(at, current_timestamp)', 'current_timestamp in a CASE'],
    ['create table tenant_1.copy as select 1 as a', 'the schema of a tenant'],
    [
      "create table n (a bigint, b bigint unique); select create_distributed_table('n', 'a')",
      'is unique without a',
    ],
    [
      "create table n (id bigint generated always as identity, a bigint, c text references countries); select create_distributed_table('n', 'a')",
      'identity column and a foreign key to a reference table',
    ],
    [
      "create table n (a bigint, p bigint references plain); select create_distributed_table('n', 'a')",
      'public.plain is not distributed',
    ],
    [
      "create table n (a bigint); create trigger t before insert on n for each row execute function f(); select create_distributed_table('n', 'a')",
      'without citus.enable_unsafe_triggers',
    ],
  ])('is found: %s', async (script, message) => {
    const findings = await findingsOf(rule, script, { setup });
    expect(findings.map((one) => one.message)).toEqual([expect.stringContaining(message)]);
    expect(findings[0]?.severity).toBe('error');
  });

  test.each([
    'create unique index u on orders (number, tenant_id)',
    'create unique index u on plain (id)',
    'create index i on orders (number)',
    'alter table orders add constraint fk foreign key (tenant_id) references accounts (tenant_id)',
    'alter table orders add constraint fk foreign key (country) references countries (code)',
    'alter table countries add p bigint references plain (id)',
    'set local citus.enable_unsafe_triggers = on; create trigger t before insert on orders for each row execute function f()',
    'create trigger t before insert on plain for each row execute function f()',
    'update orders set at = now()',
    'update plain set id = case when id > 1 then random() end',
    'update orders set number = case when number > 1 then abs(number) end',
    'create table copy as select 1 as a',
    "create table n (a bigint primary key, c text references countries); select create_distributed_table('n', 'a')",
    "select undistribute_table('orders'); create unique index u on orders (number)",
  ])('says nothing of %s', async (script) => {
    expect(await findingsOf(rule, script, { setup })).toEqual([]);
  });

  test('says nothing where no migration distributes a table', async () => {
    const plain = setup.replaceAll(/select c\w+\(.*?\);/g, '');
    const script =
      'create unique index u on orders (number); update orders set at = coalesce(at, now())';
    expect(await findingsOf(rule, script, { setup: plain })).toEqual([]);
  });
});
