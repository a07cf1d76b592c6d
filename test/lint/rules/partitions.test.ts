import { describe, expect, test } from 'vitest';
import { findingsOf, verdictsOf } from '../lint-kit.ts';

const setup = `
  create table r (id bigint primary key);
  create table child (id bigint, r_id bigint references r (id));
  create schema app;
  create table app."Other" (id bigint, constraint o_fk foreign key (id) references r (id));
  create table p (id bigint not null, a integer) partition by range (id);
  create table p_1 partition of p for values from (0) to (100);
  create table d (id bigint not null) partition by range (id);
  create table d_1 partition of d for values from (0) to (100);
  create table d_rest partition of d default;
  create table candidate (id bigint not null, a integer);
  create view v as select id from r;
  create function trg() returns trigger language plpgsql as 'begin return new; end';
  create type mood as enum ('a');
  create table moods (m mood);`;

const bounds = 'for values from (100) to (200)';

describe('partition-attach', () => {
  const rule = 'partition-attach';

  test('finds a partition that is created in place', async () => {
    const [finding] = await findingsOf(rule, `create table p_2 partition of p ${bounds}`, {
      setup,
    });
    expect(finding).toMatchObject({
      severity: 'warning',
      tables: ['public.p'],
      lock: 'AccessExclusive',
    });
    expect(finding?.message).toBe(
      'creating public.p_2 as a partition takes ACCESS EXCLUSIVE on all of public.p: no one can read or write it meanwhile',
    );
  });

  test('tells that the default partition is read', async () => {
    const [finding] = await findingsOf(rule, `create table d_2 partition of d ${bounds}`, {
      setup,
    });
    expect(finding?.tables).toEqual(['public.d', 'public.d_rest']);
    expect(finding?.message).toContain('reads every row of public.d_rest under ACCESS EXCLUSIVE');
  });

  test('finds a table that is read when it is attached', async () => {
    const script = `alter table p attach partition candidate ${bounds}`;
    const [finding] = await findingsOf(rule, script, { setup });
    expect(finding?.message).toContain(
      'attaching public.candidate reads every row of public.candidate',
    );
  });

  test('finds a default partition that is read, even for a new table', async () => {
    const script = `create table n (id bigint not null); alter table d attach partition n ${bounds}`;
    const [finding] = await findingsOf(rule, script, { setup });
    expect(finding?.tables).toEqual(['public.d_rest']);
  });

  test.each([
    [
      'a table that the file made',
      `create table n (like p); alter table p attach partition n ${bounds}`,
    ],
    [
      'a partitioned table that the file made',
      `create table n (id bigint) partition by range (id); create table n_1 partition of n ${bounds}`,
    ],
  ])('says nothing of %s', async (_, script) => {
    expect(await verdictsOf(rule, script, { setup })).toEqual([]);
  });

  test('says nothing where a validated check proves the bounds', async () => {
    const proven = `${setup} alter table candidate add check (id >= 100 and id < 200);`;
    const script = `alter table p attach partition candidate ${bounds}`;
    expect(await verdictsOf(rule, script, { setup: proven })).toEqual([]);
  });
});

describe('partition-detach', () => {
  const rule = 'partition-detach';

  test('finds it', async () => {
    const script = 'alter table p detach partition p_1';
    const [finding] = await findingsOf(rule, script, { setup });
    expect(finding).toMatchObject({ severity: 'warning', tables: ['public.p', 'public.p_1'] });
  });

  test.each([
    'alter table p detach partition p_1 concurrently',
    'alter table p detach partition p_1 finalize',
    'alter table d detach partition d_1',
    `create table n (id bigint) partition by range (id); create table n_1 partition of n ${bounds};
     alter table n detach partition n_1`,
  ])('says nothing of %s', async (script) => {
    expect(await verdictsOf(rule, script, { setup })).toEqual([]);
  });
});

describe('lock-fanout', () => {
  const rule = 'lock-fanout';

  test.each([
    ['info', 'alter table candidate add foreign key (id) references r (id)', ['public.r']],
    ['info', 'alter table candidate add x bigint references r (id)', ['public.r']],
    ['info', 'create table n (id bigint references r (id))', ['public.r']],
    [
      'info',
      'create trigger g before insert on r for each row execute function trg()',
      ['public.r'],
    ],
    ['warning', 'drop table child', ['public.r']],
    ['warning', 'alter table app."Other" drop constraint o_fk', ['public.r']],
    ['warning', 'create policy c on r using (true)', ['public.r']],
    ['warning', 'create or replace view v as select id from r where id > 0', ['public.v']],
    ['warning', 'alter table p add x int', ['public.p_1']],
    ['warning', 'drop type mood cascade', ['public.moods']],
  ])('gives %s for %s', async (severity, script, tables) => {
    const findings = await findingsOf(rule, script, { setup });
    expect(findings.map((one) => [one.severity, one.tables])).toEqual([[severity, tables]]);
  });

  test.each([
    ['drop table child', true],
    ['drop policy c on r', false],
    ['drop type mood cascade', false],
  ])('says to drop foreign keys first for %s: %s', async (script, isAsked) => {
    const [finding] = await findingsOf(rule, script, { setup });
    expect(finding?.hint.startsWith('Drop the foreign keys first')).toBe(isAsked);
  });

  test('names the tables that reference a key dropped with cascade', async () => {
    const [finding] = await findingsOf(rule, 'alter table r drop constraint r_pkey cascade', {
      setup,
    });
    expect([...(finding?.tables ?? [])].sort()).toEqual(['app."Other"', 'public.child']);
    expect(finding?.message).toContain(
      'public.child and app."Other" (ACCESS EXCLUSIVE): no one can read or write them meanwhile',
    );
  });

  test('tells of a default partition, where a partition cannot be detached concurrently', async () => {
    const [finding] = await findingsOf(rule, 'alter table d detach partition d_1', { setup });
    expect(finding?.tables).toContain('public.d_rest');
  });

  test.each([
    'alter table candidate add x int',
    'create view w as select 1',
    'insert into child values (1, 1)',
    'create table n (id bigint primary key); create table m (id bigint references n (id))',
    'create table n (id bigint); create trigger g before insert on n for each row execute function trg()',
    `create table p_2 partition of p ${bounds}`,
    'create index on p (a)',
  ])('says nothing of %s', async (script) => {
    expect(await verdictsOf(rule, script, { setup })).toEqual([]);
  });

  test('tells of the lock on the other table where the file made the one', async () => {
    const script =
      'create table n (id bigint); alter table n add foreign key (id) references r (id)';
    expect((await findingsOf(rule, script, { setup })).map(({ tables }) => tables)).toEqual([
      ['public.r'],
    ]);
  });
});
