import { expect } from 'vitest';
import { closeSql, openSql } from './databases.ts';
import { test } from './fixture.ts';
import { startProxy } from './proxy.ts';

test('passes on what both sides say', async ({ emptyDb, onTestFinished }) => {
  const proxy = await startProxy(emptyDb.url);
  onTestFinished(proxy.close);
  const sql = openSql(proxy.url, 1);
  expect(await sql`select 1 as one`).toEqual([{ one: 1 }]);
  expect(proxy.connections()).toBe(1);
  await closeSql(sql);
});

test('breaks every connection and takes new ones after it is restored', async ({
  emptyDb,
  onTestFinished,
}) => {
  const proxy = await startProxy(emptyDb.url);
  onTestFinished(proxy.close);
  const sql = openSql(proxy.url, 1);
  await sql`select 1`;
  const lost = expect(sql`select pg_sleep(60)`).rejects.toMatchObject({ code: 'ECONNRESET' });
  const sleepers = () => emptyDb.sql`
    select 1 from pg_stat_activity
    where datname = current_database() and wait_event = 'PgSleep'`;
  await expect.poll(sleepers).toHaveLength(1);
  proxy.cut();
  await lost;
  expect(proxy.connections()).toBe(0);
  proxy.restore();
  const another = openSql(proxy.url, 1);
  expect(await another`select 2 as two`).toEqual([{ two: 2 }]);
  await Promise.all([closeSql(sql), closeSql(another)]);
});

test('forwards nothing while it is silent', async ({ emptyDb, onTestFinished }) => {
  const proxy = await startProxy(emptyDb.url);
  onTestFinished(proxy.close);
  const sql = openSql(proxy.url, 1);
  await sql`create table seen (id integer)`;
  proxy.silence();
  const insert = sql`insert into seen values (1)`.execute();
  expect(await emptyDb.sql`select * from seen`).toEqual([]);
  proxy.restore();
  await insert;
  expect(await emptyDb.sql`select * from seen`).toEqual([{ id: 1 }]);
  await closeSql(sql);
});

test('loses the answer to a statement that the server carries out', async ({
  emptyDb,
  onTestFinished,
}) => {
  const proxy = await startProxy(emptyDb.url);
  onTestFinished(proxy.close);
  const sql = openSql(proxy.url, 1);
  await sql`create table kept (id integer)`;
  proxy.cutOn('insert into kept', { forward: true });
  await expect(sql.unsafe('insert into kept values (1)').simple()).rejects.toThrow();
  await expect.poll(() => emptyDb.sql`select * from kept`).toEqual([{ id: 1 }]);
  await closeSql(sql);
});

test('loses a statement before the server hears it', async ({ emptyDb, onTestFinished }) => {
  const proxy = await startProxy(emptyDb.url);
  onTestFinished(proxy.close);
  const sql = openSql(proxy.url, 1);
  await sql`create table kept (id integer)`;
  proxy.cutOn('insert into kept', { forward: false });
  await expect(sql.unsafe('insert into kept values (1)').simple()).rejects.toThrow();
  const others = () => emptyDb.sql`
    select pid from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle'`;
  await expect.poll(others).toEqual([]);
  expect(await emptyDb.sql`select * from kept`).toEqual([]);
  await closeSql(sql);
});

test('holds back every packet, and keeps their order', async ({ emptyDb, onTestFinished }) => {
  const proxy = await startProxy(emptyDb.url);
  onTestFinished(proxy.close);
  const sql = openSql(proxy.url, 1);
  await sql`select 1`;
  proxy.delay(100, 100);
  const overtaken: string[] = [];
  const late = sql`select 1`.then(() => overtaken.push('by way of the proxy'));
  await emptyDb.sql`select 1`.then(() => overtaken.push('direct'));
  await late;
  expect(overtaken).toEqual(['direct', 'by way of the proxy']);
  proxy.delay(1, 10);
  const numbers = Array.from({ length: 50 }, (_, n) => n);
  const rows = await Promise.all(numbers.map((n) => sql`select ${n}::int as n`));
  expect(rows.map(([row]) => row?.n)).toEqual(numbers);
  await closeSql(sql);
});

test('swallows what goes one way, and lets new connections work', async ({
  emptyDb,
  onTestFinished,
}) => {
  const proxy = await startProxy(emptyDb.url);
  onTestFinished(proxy.close);
  const sql = openSql(proxy.url, 1);
  await sql`create table kept (id integer)`;
  proxy.drop('toClient');
  const unheard = sql`insert into kept values (1)`.execute().catch((error) => error.code);
  await expect.poll(() => emptyDb.sql`select * from kept`).toEqual([{ id: 1 }]);

  const another = openSql(proxy.url, 1);
  expect(await another`select id from kept`).toEqual([{ id: 1 }]);
  proxy.drop('toServer');
  const unsaid = another`insert into kept values (2)`.execute().catch((error) => error.code);
  expect(await emptyDb.sql`select * from kept`).toEqual([{ id: 1 }]);
  expect(proxy.connections()).toBe(2);

  proxy.restore();
  expect(await Promise.all([unheard, unsaid])).toEqual(['ECONNRESET', 'ECONNRESET']);
  expect(await emptyDb.sql`select * from kept`).toEqual([{ id: 1 }]);
  await Promise.all([closeSql(sql), closeSql(another)]);
});

test('cuts amid a message, at the byte it is told', async ({ emptyDb, onTestFinished }) => {
  const proxy = await startProxy(emptyDb.url);
  onTestFinished(proxy.close);
  for (const direction of ['toServer', 'toClient'] as const) {
    const sql = openSql(proxy.url, 1);
    await sql`select 1`;
    const before = proxy.passed(direction);
    proxy.cutAfter(7, direction);
    await expect(sql.unsafe('select 2 as two').simple()).rejects.toThrow();
    expect(proxy.passed(direction)).toBe(before);
    await closeSql(sql);
  }
});

test('refuses connections, keeps those it has, and takes new ones later', async ({
  emptyDb,
  onTestFinished,
}) => {
  const proxy = await startProxy(emptyDb.url);
  onTestFinished(proxy.close);
  const sql = openSql(proxy.url, 1);
  await sql`select 1`;
  proxy.refuse();
  expect(await sql`select 1 as one`).toEqual([{ one: 1 }]);
  const another = openSql(proxy.url, 1);
  await expect(another`select 1`).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  await proxy.accept();
  expect(await another`select 2 as two`).toEqual([{ two: 2 }]);
  await Promise.all([closeSql(sql), closeSql(another)]);
});
