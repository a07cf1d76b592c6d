import { describe, expect, vi } from 'vitest';
import {
  type ImpactPlan,
  migrateUp,
  type PlanImpactOptions,
  planImpact,
  type StatementImpact,
} from '../../../src/index.ts';
import { renderImpactPlan } from '../../../src/migrate/preview/report.ts';
import { PLAIN } from '../../../src/report/table.ts';
import { type MigrateStage, test } from '../../support/migrate-kit.ts';

async function migrateOrders(stage: MigrateStage): Promise<void> {
  await stage.migration(
    '001_orders',
    `create table users (id int primary key);
    create table orders (id int primary key, user_id int, amount int);
    create index orders_amount_idx on orders (amount);`,
    'drop table orders; drop table users;',
  );
  await migrateUp(stage.options);
  await stage.sql`insert into orders select i, i, i from generate_series(1, 500) as i`;
  await stage.sql`analyze orders`;
}

const plan = (stage: MigrateStage, options: Partial<PlanImpactOptions> = {}) =>
  planImpact({ ...stage.options, ...options });

function statementsOf({ steps }: ImpactPlan): StatementImpact[] {
  return steps.flatMap(({ statements }) => statements);
}

describe('a plan', () => {
  test('names who holds a lock now for which a migration would wait', async ({ stage }) => {
    await migrateOrders(stage);
    await stage.migration('002_tag', 'alter table orders add column tag text;');
    const holder = stage.openOther();
    await holder.unsafe("begin; set local application_name = 'checkout'; select from orders");
    // Shorter ones are gone before it matters.
    await vi.waitUntil(async () => (await plan(stage)).steps[0]?.heldBy.length === 1, {
      timeout: 60_000,
      interval: 500,
    });
    const told = await plan(stage);
    expect(told.steps[0]?.heldBy).toMatchObject([
      { tables: ['public.orders'], state: 'idle in transaction' },
    ]);
    expect(renderImpactPlan(told, { nothing: '', verbose: false, style: PLAIN })).toMatch(
      /would now wait for a lock on public\.orders of pid \d+ \(/,
    );
    await holder.unsafe('rollback');
    expect((await plan(stage)).steps[0]?.heldBy).toEqual([]);
  });

  test('names what goes down and up again with a view whose columns change', async ({ stage }) => {
    await migrateOrders(stage);
    const big = (columns: string, more = '') =>
      `-- as wanted\ncreate or replace view big (key) as select ${columns}, 'as' as "as" from orders where amount > 10${more};\n`;
    await stage.migration('repeatable/big', big('id'));
    await migrateUp(stage.options);
    await stage.sql.unsafe(`
      create view more as select key from big;
      create materialized view kept as select key from more;
      create unique index on kept (key);`);
    const rebuilds = async () => (await plan(stage)).steps.map((step) => step.rebuilds);
    for (const fits of [big('id').replace('"as"', '"as", 1 as one'), big('amount')]) {
      await stage.migration('repeatable/big', fits);
      expect(await rebuilds()).toEqual([[]]);
    }
    for (const [columns, more] of [
      ['id::bigint', ''],
      ['id, amount', ''],
      ['id, user_id', ' with local check option'],
    ] as const) {
      await stage.migration('repeatable/big', big(columns, more));
      expect(await rebuilds()).toEqual([
        [
          {
            object: 'view public.big',
            dependents: ['view public.more', 'materialized view public.kept'],
            refused: [],
          },
        ],
      ]);
    }
    expect(
      renderImpactPlan(await plan(stage), { nothing: '', verbose: false, style: PLAIN }),
    ).toContain(
      'the columns of view public.big change: takes down and makes again view public.more, materialized view public.kept',
    );
    await migrateUp(stage.options);
    expect(stage.heard.findLast(({ kind }) => kind === 'rebuilt')).toMatchObject({
      objects: ['view public.more', 'materialized view public.kept'],
    });
    await stage.sql`create table uses_it (one big)`;
    await stage.migration('repeatable/big', big('amount::text'));
    expect(await rebuilds()).toMatchObject([[{ refused: [expect.stringContaining('uses_it')] }]]);
    // What an earlier step makes is not there yet, and a table that is locked is not waited for.
    await stage.migration('repeatable/big', big('gone'));
    expect(await rebuilds()).toEqual([[]]);
  });

  test('names what goes down where a column of a view gets another length or precision', async ({
    stage,
  }) => {
    const narrow = (text: string, number: string) =>
      `create or replace view narrow as select 'a'::${text} as text, 1::${number} as number;\n`;
    await stage.migration('001_a', 'create table a ();');
    await stage.migration('repeatable/narrow', narrow('varchar(20)', 'numeric(10, 2)'));
    await migrateUp(stage.options);
    await stage.sql`create view more as select text from narrow`;
    for (const [text, number] of [
      ['varchar(30)', 'numeric(10, 2)'],
      ['varchar', 'numeric(10, 2)'],
      ['varchar(20)', 'numeric(10, 3)'],
    ] as const) {
      await stage.migration('repeatable/narrow', narrow(text, number));
      expect((await plan(stage)).steps).toMatchObject([
        { rebuilds: [{ object: 'view public.narrow', dependents: ['view public.more'] }] },
      ]);
    }
    await stage.migration('repeatable/narrow', narrow('varchar( 20 )', 'decimal(10,2)'));
    expect((await plan(stage)).steps).toMatchObject([{ rebuilds: [] }]);
  });

  test('names what goes down with a function that is called otherwise or returns something else', async ({
    stage,
  }) => {
    const total = (head: string, value = '1') =>
      `create or replace function total(${head} language sql stable as $$ select ${value} $$;\n`;
    const before = total('one int, two int default 2) returns bigint', '1::bigint');
    await stage.migration('001_a', 'create table a ();');
    await stage.migration('repeatable/total', before);
    await migrateUp(stage.options);
    await stage.sql`create view w as select total(1)`;
    const rebuilds = async () => (await plan(stage)).steps.map((step) => step.rebuilds);
    for (const changed of [
      total('one int, two int default 2) returns int'),
      total('one int, two int default 2) returns setof bigint', '1::bigint'),
      total('one int, two int) returns bigint', '1::bigint'),
      total('one int, three int default 2) returns bigint', '1::bigint'),
      total('one int, two int default 2, out a int, out b int)', '1, 2'),
      total('one int, two int default 2) returns table (a int, b int)', '1, 2'),
    ]) {
      await stage.migration('repeatable/total', changed);
      expect(await rebuilds()).toEqual([
        [
          {
            object: 'function public.total(integer,integer)',
            dependents: ['view public.w'],
            refused: [],
          },
        ],
      ]);
      await expect(stage.sql.unsafe(changed)).rejects.toMatchObject({ code: '42P13' });
    }
    const other = stage.openOther();
    for (const fits of [
      before.replace('stable', 'immutable'),
      total('one int = 1, two int default 3) returns int8', '2::bigint'),
      total('one integer, two int default 2, out a bigint)', '1::bigint'),
    ]) {
      await stage.migration('repeatable/total', fits);
      expect(await rebuilds()).toEqual([[]]);
      await other.unsafe(`begin; ${fits} rollback`);
    }
    await stage.migration('repeatable/total', total('one int, two int default 2) returns int'));
    expect(
      renderImpactPlan(await plan(stage), { nothing: '', verbose: false, style: PLAIN }),
    ).toContain(
      'function public.total(integer,integer) cannot change in place: takes down and makes again view public.w',
    );
    await migrateUp(stage.options);
    expect(stage.heard.findLast(({ kind }) => kind === 'rebuilt')).toMatchObject({
      objects: ['view public.w'],
    });
    await stage.sql`create table checked (a int check (total(a) > 0))`;
    await stage.migration('repeatable/total', before);
    expect(await rebuilds()).toMatchObject([[{ refused: [expect.stringContaining('checked')] }]]);
  });

  test('tells how many rows a statement changes, and about how long it takes', async ({
    stage,
  }) => {
    await migrateOrders(stage);
    await stage.sql`insert into orders select i, i, i from generate_series(501, 100000) as i`;
    await stage.sql`analyze orders`;
    await stage.migration(
      '002_change',
      `update orders set amount = 0;
      delete from orders where amount > 5;
      alter table orders add column token int not null;
      drop index orders_pkey;
      insert into users values ${Array.from({ length: 50_000 }, (_, i) => `(${i})`).join()};`,
    );
    const told = await plan(stage);
    const [update, remove, required, refused, long] = statementsOf(told);
    expect(update).toMatchObject({
      changes: [{ relation: 'public.orders', verb: 'update', isAll: true }],
      estimatedMs: expect.any(Number),
    });
    expect(update?.estimatedMs).toBeGreaterThan(100);
    expect(remove?.changes).toEqual([{ relation: 'public.orders', verb: 'delete', isAll: false }]);
    expect(required?.scans).toMatchObject([{ reason: 'not null of a new column' }]);
    expect(refused?.refusals).toMatchObject([{ sqlstate: '2BP01' }]);
    expect(long?.text.length).toBeLessThan(2100);
    const text = renderImpactPlan(told, { nothing: '', verbose: true, style: PLAIN });
    expect(text).toMatch(/updates every row {2,}about 100,000 rows of public\.orders\n/);
    expect(text).toMatch(/deletes rows {2,}at most about 100,000 rows of public\.orders\n/);
    expect(text).toMatch(/takes {2,}about \d/);
    expect(text).toMatch(/fails {2,}index public\.orders_pkey belongs to constraint orders_pkey/);
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThan(400);
  });

  test('tells what each statement does to the tables that are there', async ({ stage }) => {
    await migrateOrders(stage);
    await stage.migration(
      '002_change',
      `alter table orders add column token uuid default gen_random_uuid();
      create index on orders (user_id);
      alter table orders add foreign key (user_id) references users (id);
      update orders set amount = 0;`,
    );
    const told = await plan(stage);
    expect(statementsOf(told)).toMatchObject([
      {
        evidence: 'live',
        locks: [{ relation: 'public.orders', mode: 'AccessExclusive', isHeld: false }],
        rewrites: [{ relation: 'public.orders', reason: 'volatile default' }],
      },
      {
        locks: [{ relation: 'public.orders', mode: 'Share', isHeld: true }],
        builds: [{ relation: 'public.orders', reason: 'create index' }],
      },
      {
        locks: [
          { relation: 'public.orders', mode: 'ShareRowExclusive', isHeld: true },
          { relation: 'public.users', mode: 'ShareRowExclusive', reason: 'referenced table' },
        ],
        scans: [{ relation: 'public.orders' }, { relation: 'public.users' }],
      },
      { locks: [{ mode: 'RowExclusive', blocks: '' }], scans: [{ reason: 'query' }] },
    ]);
    expect(told.tables['public.orders']).toEqual({
      ...{ rows: 500, bytes: expect.any(Number), indexes: 2, isNew: false },
    });
    expect(told.steps[0]?.strongestLock).toEqual({
      ...{ mode: 'AccessExclusive', blocks: 'reads and writes', relations: ['public.orders'] },
    });
  });

  test('leaves out what a migration makes itself', async ({ stage }) => {
    await stage.migration(
      '001_new',
      `create table a (id int primary key);
      create table b (a_id int references a (id));
      create index on b (a_id);
      alter table b add column c uuid default gen_random_uuid();`,
    );
    const told = await plan(stage);
    expect(statementsOf(told).flatMap(({ locks, rewrites }) => [...locks, ...rewrites])).toEqual(
      [],
    );
    expect(told.tables).toEqual({});
    expect(told.steps[0]?.strongestLock).toBeNull();
  });

  test('marks what an earlier migration of the plan makes', async ({ stage }) => {
    await stage.migration('001_a', 'create table a (id int)');
    await stage.migration('002_b', 'alter table a add check (id > 0)');
    const told = await plan(stage);
    expect(told.steps[1]).toMatchObject({
      strongestLock: null,
      statements: [{ locks: [{ relation: 'public.a' }], scans: [{ relation: 'public.a' }] }],
    });
    expect(told.tables).toMatchObject({ 'public.a': { isNew: true, rows: null } });
  });

  test('estimates rows as the planner does, by the pages that are there now', async ({ stage }) => {
    await stage.sql
      .unsafe(`
      create table nothing (id int);
      create table grown (id int) with (autovacuum_enabled = off);
      insert into grown select generate_series(1, 100);
      analyze grown;
      insert into grown select generate_series(1, 10000);
      create table parts (id int) partition by range (id);
      create table parts_1 partition of parts for values from (0) to (10);`)
      .simple();
    await stage.migration(
      '001_change',
      `alter table nothing add x int;
      alter table grown add x int;
      alter table parts add x int;`,
    );
    const { tables } = await plan(stage);
    expect(tables).toMatchObject({ 'public.nothing': { rows: 0 }, 'public.parts': { rows: 0 } });
    expect(tables['public.grown']?.rows).toBeGreaterThan(4000);
  });

  test('does not read a table for a foreign key of one without rows', async ({ stage }) => {
    await migrateOrders(stage);
    await stage.migration(
      '002_new',
      `create table notes (order_id int);
      alter table notes add foreign key (order_id) references orders (id);
      create table labels (order_id int);
      insert into labels select id from orders;
      alter table labels add foreign key (order_id) references orders (id);`,
    );
    const [, added, , , filled] = statementsOf(await plan(stage));
    expect(added?.scans).not.toContainEqual(expect.objectContaining({ relation: 'public.orders' }));
    expect(filled?.scans).toContainEqual(expect.objectContaining({ relation: 'public.orders' }));
  });

  test('calls a table by the name that others know', async ({ stage }) => {
    await migrateOrders(stage);
    await stage.migration(
      '002_rename',
      `alter table orders rename to sales;
      alter table sales add check (amount > 0);`,
    );
    await stage.migration('003_after', 'alter table sales add column x int');
    const told = await plan(stage);
    expect(statementsOf(told)).toMatchObject([
      { locks: [{ relation: 'public.orders' }] },
      {
        locks: [{ relation: 'public.orders', isHeld: true }],
        scans: [{ relation: 'public.orders' }],
      },
      { locks: [{ relation: 'public.sales', isHeld: false }] },
    ]);
    expect(told.tables['public.sales']).toMatchObject({ rows: 500, isNew: false });
  });

  test('sees what a block of code does, and what it may do', async ({ stage }) => {
    await migrateOrders(stage);
    await stage.migration(
      '002_code',
      `do $$ begin alter table orders alter column amount type bigint; end $$;
      do $$ begin if now() > '2000-01-01' then alter table users alter column id type bigint; end if; end $$;
      do $$ declare t text; begin select 'users' into t; execute 'drop table ' || t; end $$;`,
    );
    const [surely, maybe, unknown] = statementsOf(await plan(stage));
    expect(surely?.rewrites).toMatchObject([{ relation: 'public.orders', isCertain: true }]);
    expect(maybe?.rewrites).toMatchObject([{ relation: 'public.users', isCertain: false }]);
    expect(unknown?.unknowns).toEqual(['it runs SQL that is put together at run time']);
  });

  test('tells of the way back', async ({ stage }) => {
    await migrateOrders(stage);
    expect(await plan(stage, { command: 'down' })).toMatchObject({
      steps: [
        {
          direction: 'down',
          statements: [
            { locks: [{ relation: 'public.orders', mode: 'AccessExclusive' }] },
            { locks: [{ relation: 'public.users' }] },
          ],
        },
      ],
    });
    const redo = await plan(stage, { command: 'redo' });
    expect(redo.steps.map(({ direction }) => direction)).toEqual(['down', 'up']);
  });

  test('tells how long each step waits for locks', async ({ stage }) => {
    await migrateOrders(stage);
    await stage.migration(
      '002_a',
      '-- evdb: lock-timeout 2s\n-- evdb: statement-timeout 1min\nselect 1',
    );
    await stage.migration('003_b', 'select 1');
    expect((await plan(stage, { dataLockTimeoutMs: 4000 })).steps).toMatchObject([
      { waits: { lockTimeoutsMs: Array(10).fill(2000), statementTimeoutMs: 60_000 } },
      { waits: { dataLockTimeoutMs: 4000, statementTimeoutMs: null } },
    ]);
  });

  test('writes nothing, also where there is no ledger yet', async ({ stage }) => {
    await stage.migration('001_a', 'create table a (id int)');
    await plan(stage);
    expect(await stage.sql`select to_regnamespace('evdb') as evdb`).toEqual([{ evdb: null }]);
    expect(await stage.relations()).toEqual([]);
  });

  test('does not wait for a table that somebody has locked', async ({ stage }) => {
    await migrateOrders(stage);
    await stage.sql`alter table orders add constraint orders_known check (id is not null)`;
    await stage.migration('002_a', 'alter table orders add column x int');
    const other = stage.openOther();
    await other.unsafe('begin; lock table orders in access exclusive mode');
    expect(statementsOf(await plan(stage))).toMatchObject([
      { locks: [{ mode: 'AccessExclusive' }] },
    ]);
    await other.unsafe('rollback');
  });

  test('refuses what up would refuse', async ({ stage }) => {
    await migrateOrders(stage);
    await stage.migration('001_orders', 'create table something_else ()');
    await expect(plan(stage)).rejects.toMatchObject({ code: 'CHANGED_MIGRATION' });
  });
});
