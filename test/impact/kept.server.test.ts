import { expect } from 'vitest';
import { readCatalog } from '../../src/catalog/read/catalog.ts';
import { impactOf } from '../../src/impact/impact-of.ts';
import { loadSqlParser } from '../../src/sql/parser.ts';
import { type TestDatabase, test } from '../support/fixture.ts';
import { differencesOn } from '../support/impact-corpus/differences.ts';
import { inspect } from '../support/sessions.ts';

const parser = await loadSqlParser();

async function impactOn({ url }: TestDatabase, text: string) {
  const { catalog, serverVersion } = await inspect(url, async (session) => ({
    catalog: await readCatalog(session, { parser }),
    serverVersion: session.facts.serverVersion,
  }));
  const tree = parser.parse(text);
  if (tree === null) throw new Error(`does not parse: ${text}`);
  return impactOf({ tree, text, catalog, serverVersion, timeZoneIsUtc: true });
}

test('knows what keeps a table, a partition of one, and a view from being dropped', async ({
  emptyDb,
}) => {
  await emptyDb.sql
    .unsafe(`
      create table p (id int primary key, up int references p) partition by range (id);
      create table p1 partition of p for values from (0) to (10);
      create table p2 partition of p for values from (10) to (20);
      create table r (x int references p);
      create table q (id int, x int references p) partition by range (id);
      create table q1 partition of q for values from (0) to (10);
      create table one (x int references p1);
      create table alone (id int) partition by range (id);
      create table alone1 partition of alone for values from (0) to (10);
      create view seen as select id from alone1;
      create table read (a int);
      create table guarded (x int);
      create policy g on guarded using (x in (select a from read));
      create table counted (a int);
      create function f() returns bigint language sql begin atomic select count(*) from counted; end`)
    .simple();
  const { found, judged } = await differencesOn(
    emptyDb.url,
    [
      ...[
        'drop table p1',
        'drop table p2',
        'drop table p2 cascade',
        'drop table p1, p2, r, q, one',
      ],
      ...['drop table p', 'drop table p, one', 'drop table p, r, q, one', 'drop table q1'],
      ...[
        'drop table r',
        'drop table q',
        'drop table one',
        'drop table alone',
        'drop table alone1',
      ],
      ...['drop view seen', 'drop table alone cascade'],
      ...[
        'drop table read',
        'drop table read, guarded',
        'drop table guarded',
        'drop table counted',
      ],
      ...['drop table p1, r, q, one', 'drop table p2 restrict'],
    ],
    { withRefusals: true },
  );
  expect(found).toEqual({});
  expect(judged).toBe(21);
});

test('says what a partition that is detached has to do without', async ({ emptyDb }) => {
  await emptyDb.sql
    .unsafe(`
      create table p (id int primary key) partition by range (id);
      create table p1 partition of p for values from (0) to (10);
      create table r (x int references p);
      insert into p values (1);
      insert into r values (1)`)
    .simple();
  const text = 'alter table p detach partition p1';
  const { scans } = await impactOn(emptyDb, text);
  const told = { relation: 'public.r', subject: 'r_x_fkey' };
  expect(scans).toMatchObject([{ ...told, detail: 'no row may reference public.p1' }]);
  await expect(emptyDb.sql.unsafe(text)).rejects.toMatchObject({ code: '23503' });
});

test('knows which changes of a type have foreign keys checked again', async ({ emptyDb }) => {
  const pairs = [
    ...[
      ['numeric(10, 2)', 'numeric(12, 4)'],
      ['numeric(10, 2)', 'numeric(12, 2)'],
    ],
    ...[
      ['varchar(10)', 'varchar(5)'],
      ['varchar(5)', 'varchar(10)'],
      ['varchar(5)', 'text'],
    ],
    ...[
      ['text', 'varchar(5)'],
      ['text', 'varchar'],
      ['text', 'bpchar'],
      ['text', 'char(5)'],
    ],
    ...[
      ['varchar', 'bpchar'],
      ['char(5)', 'text'],
      ['char(5)', 'bpchar'],
      ['int', 'bigint'],
    ],
  ];
  for (const [from, to] of pairs) {
    await emptyDb.sql
      .unsafe(`
        drop table if exists p, r;
        create table p (k ${from} primary key);
        create table r (k ${from} references p);
        alter table r disable trigger all;
        insert into r values ('1')`)
      .simple();
    for (const table of ['p', 'r']) {
      const text = `alter table ${table} alter k type ${to}`;
      const { scans } = await impactOn(emptyDb, text);
      const isTold = scans.some((one) => one.reason === 'validate constraint');
      // The row that references nothing is only noticed by who looks.
      const answer = emptyDb.sql.begin(async (tx) => {
        await tx.unsafe(text);
        await tx.unsafe('rollback');
      });
      const isChecked = await answer.then(
        () => false,
        (error: { code: string }) => error.code === '23503',
      );
      expect(isTold, `${text} from ${from}`).toBe(isChecked);
    }
  }
});
