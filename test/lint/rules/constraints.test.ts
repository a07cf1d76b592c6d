import { describe, expect, test } from 'vitest';
import { findingsOf, verdictsOf } from '../lint-kit.ts';

const setup = `
  create table r (id bigint primary key);
  create table t (id bigint primary key, a integer, r_id bigint);
  create table parted (id bigint, r_id bigint) partition by range (id);
  create table parted_1 partition of parted for values from (0) to (100);
  create schema app;
  create table app."T" (a integer);
  create domain email as text;
  create table mail (address email);`;

describe('check-validated', () => {
  const rule = 'check-validated';

  test.each([
    ['alter table t add constraint k check (a > 0)', 'public.t'],
    ['alter table t add check (a > 0)', 'public.t'],
    ['alter table t add x int check (x > 0)', 'public.t'],
    ['alter table t add x int default 5 check (x > 0)', 'public.t'],
    ['alter table app."T" add check (a > 0)', 'app."T"'],
  ])('finds %s', async (script, table) => {
    const findings = await findingsOf(rule, script, { setup });
    expect(findings.map(({ severity, tables, lock }) => ({ severity, tables, lock }))).toEqual([
      { severity: 'error', tables: [table], lock: 'AccessExclusive' },
    ]);
  });

  test.each([
    'alter table t add constraint k check (a > 0) not valid',
    'create table n (a int check (a > 0))',
    'create table n (a int); alter table n add check (a > 0)',
    "alter domain email add check (value like '%@%') not valid",
  ])('says nothing of %s', async (script) => {
    expect(await verdictsOf(rule, script, { setup })).toEqual([]);
  });

  test('says nothing of a check that is not enforced', async () => {
    const script = 'alter table t add check (a > 0) not enforced';
    expect(await verdictsOf(rule, script, { setup, version: 18 })).toEqual([]);
  });

  test('finds a check of a domain, under SHARE on the tables that use it', async () => {
    const script = "alter domain email add constraint has_at check (value like '%@%')";
    const [finding] = await findingsOf(rule, script, { setup });
    expect(finding).toMatchObject({ tables: ['public.mail'], lock: 'Share', blocks: 'writes' });
  });

  test('points at each of several', async () => {
    const script = 'alter table t\n  add check (a > 0),\n  add x int,\n  add check (a < 9)';
    expect((await findingsOf(rule, script, { setup })).map(({ line }) => line)).toEqual([2, 4]);
  });
});

describe('fk-validated', () => {
  const rule = 'fk-validated';
  const add = 'add constraint f foreign key (r_id) references r (id)';

  test('finds it, with both tables', async () => {
    const [finding] = await findingsOf(rule, `alter table t ${add}`, { setup });
    expect(finding).toMatchObject({
      severity: 'error',
      lock: 'ShareRowExclusive',
      blocks: 'writes',
    });
    expect([...(finding?.tables ?? [])].sort()).toEqual(['public.r', 'public.t']);
    expect(finding?.message).toBe(
      'adding foreign key f looks every row of public.t up in public.r under SHARE ROW EXCLUSIVE: no one can write to either table meanwhile',
    );
  });

  test.each(['1', 'null'])(
    'finds a new column that references and has the default %s',
    async (value) => {
      const script = `alter table t add x bigint default ${value} references r (id)`;
      expect(await verdictsOf(rule, script, { setup })).toHaveLength(1);
    },
  );

  test.each([
    `alter table t ${add} not valid`,
    'alter table t add x bigint references r (id)',
    'create table n (id bigint references r (id))',
    `create table n (r_id bigint); alter table n ${add}`,
  ])('says nothing of %s', async (script) => {
    expect(await verdictsOf(rule, script, { setup })).toEqual([]);
  });

  test('says nothing of one that is not enforced', async () => {
    const script = `alter table t ${add} not enforced`;
    expect(await verdictsOf(rule, script, { setup, version: 18 })).toEqual([]);
  });

  test('offers another way for partitioned tables before 18', async () => {
    const hintOn = async (version: number) =>
      (await findingsOf(rule, `alter table parted ${add}`, { setup, version }))[0]?.hint;
    expect(await hintOn(17)).toContain('add it to each partition as NOT VALID');
    expect(await hintOn(18)).toContain('Add it as NOT VALID');
  });
});

describe('validate-same-tx', () => {
  const rule = 'validate-same-tx';
  const add = 'alter table t add constraint k check (a > 0) not valid;\n';
  const validate = 'alter table t validate constraint k;';

  test('finds it behind what took a strong lock, and says since when', async () => {
    const [finding, ...others] = await findingsOf(rule, add + validate, { setup });
    expect(others).toEqual([]);
    expect(finding).toMatchObject({ line: 2, severity: 'error', lock: 'AccessExclusive' });
    expect(finding?.message).toContain('since line 1 holds ACCESS EXCLUSIVE');
  });

  test('finds it in the statement that takes the lock', async () => {
    const script = 'alter table t add constraint k check (a > 0) not valid, validate constraint k';
    expect(await verdictsOf(rule, script, { setup })).toEqual(['error: validate constraint k']);
  });

  test('finds it under SHARE ROW EXCLUSIVE', async () => {
    const script = `
      alter table t add constraint f foreign key (r_id) references r (id) not valid;
      alter table t validate constraint f;`;
    expect((await findingsOf(rule, script, { setup }))[0]?.lock).toBe('ShareRowExclusive');
  });

  test.each([
    ['alone', validate, true],
    ['behind a weak lock', `alter table t set (fillfactor = 70); ${validate}`, true],
    ['behind a lock on another table', `alter table r add x int; ${validate}`, true],
    ['in a no-transaction migration', add + validate, false],
  ])('says nothing of it %s', async (_, script, isTransactional) => {
    const added = setup + (script.includes('check') ? '' : add);
    expect(await verdictsOf(rule, script, { setup: added, isTransactional })).toEqual([]);
  });

  test('says nothing of a table that the file made', async () => {
    const script = `create table n (a int);
      alter table n add constraint k check (a > 0) not valid;
      alter table n validate constraint k;`;
    expect(await verdictsOf(rule, script, { setup })).toEqual([]);
  });
});

describe('constraint-builds-index', () => {
  const rule = 'constraint-builds-index';

  test.each([
    'alter table t add constraint u unique (a)',
    'alter table t add unique (a, r_id)',
    'alter table t add x int unique',
    'alter table app."T" add primary key (a)',
    'alter table app."T" add x int primary key',
  ])('finds %s', async (script) => {
    expect(await verdictsOf(rule, script, { setup })).toEqual([expect.stringMatching(/^error: /)]);
  });

  test.each([
    'alter table t add constraint u unique using index t_pkey',
    'create table n (a int primary key, b int unique)',
    'create table n (a int); alter table n add primary key (a)',
  ])('says nothing of %s', async (script) => {
    expect(await verdictsOf(rule, script, { setup })).toEqual([]);
  });

  test('offers another way for partitioned tables', async () => {
    const [finding] = await findingsOf(rule, 'alter table parted add unique (id)', { setup });
    expect(finding?.hint).toContain('on each partition');
  });
});

describe('pk-nullable-index', () => {
  const rule = 'pk-nullable-index';
  const indexed = `${setup} create unique index t_i on app."T" (a);`;
  const script = 'alter table app."T" add primary key using index t_i';

  test('is an error where the column may be null', async () => {
    const [finding] = await findingsOf(rule, script, { setup: indexed });
    expect(finding?.severity).toBe('error');
    expect(finding?.message).toContain('reads every row of app."T"');
  });

  test('warns where nothing is known of the index', async () => {
    const unknown = 'alter table elsewhere add primary key using index some_index';
    expect(await verdictsOf(rule, unknown)).toEqual([expect.stringMatching(/^warning: /)]);
  });

  test.each([
    ['is not null', 'alter table app."T" alter a set not null;'],
    ['is proven by a check', 'alter table app."T" add check (a is not null);'],
  ])('says nothing where the column %s', async (_, first) => {
    expect(await verdictsOf(rule, script, { setup: indexed + first })).toEqual([]);
  });

  test('leaves a primary key that builds its index to constraint-builds-index', async () => {
    expect(await verdictsOf(rule, 'alter table app."T" add primary key (a)', { setup })).toEqual(
      [],
    );
  });
});

describe('exclusion-constraint', () => {
  const rule = 'exclusion-constraint';

  test('finds it', async () => {
    const script = 'alter table t add constraint x exclude using gist (a with =)';
    const [finding] = await findingsOf(rule, script, { setup });
    expect(finding).toMatchObject({ severity: 'error', lock: 'AccessExclusive' });
  });

  test('says nothing of a table that the file made', async () => {
    const script = 'create table n (a int); alter table n add exclude using gist (a with =)';
    expect(await verdictsOf(rule, script, { setup })).toEqual([]);
  });
});
