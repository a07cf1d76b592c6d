import { expect } from 'vitest';
import { openSession, type Session } from '../../src/connection/session.ts';
import { test } from '../support/migrate-kit.ts';
import { failureOf } from '../support/waiting.ts';

async function open(options: Parameters<typeof openSession>[0]): Promise<Session> {
  const session = await openSession(options);
  await session.run('create temp table seen (id int); create temp table other (id int)');
  return session;
}

/** Texts of which one is wrong, and what stands before it is of every width. */
function textsWith(wrong: string, at: number): string[] {
  const texts = ["insert into seen values (length('ü😀'))", 'insert into seen values (2)'];
  texts.push("select 'a ; b' as last", "comment on table other is '😀'");
  return texts.toSpliced(at, 0, wrong);
}

test('tells which of the statements of one message failed, and where in it', async ({ stage }) => {
  const session = await open(stage.options.connection);
  const wrongs = {
    'select 1 from "no 😀", nowhere': { code: '42P01', position: '15' },
    'select 1 /* 😀 */ frm nowhere': { code: '42601', position: '22' },
    'select 1 / (1 - 1)': { code: '22012', position: undefined },
    "do $$ begin perform 'a'::int; end $$": { code: '22P02', position: undefined },
  };
  for (const [wrong, { code, position }] of Object.entries(wrongs)) {
    for (let at = 0; at <= 4; at++) {
      const answered: number[] = [];
      const error = await failureOf(
        session.runEach(textsWith(wrong, at), (index) => answered.push(index)),
      );
      expect({ ...error, at }).toMatchObject({ code, failedAt: at });
      expect((error as { position?: string }).position).toBe(position);
      // Where the grammar refuses a text nothing of the message runs.
      const isRead = code !== '42601';
      expect(answered).toEqual(isRead ? [...Array(at).keys()] : []);
    }
  }
  expect(await session.run('select count(*)::int as n from seen')).toEqual([{ n: 0 }]);
  await session.close();
});

test('gives the rows of the last statement that returned any, and tells of each', async ({
  stage,
}) => {
  const session = await open(stage.options.connection);
  const answered: number[] = [];
  const rows = await session.runEach(textsWith('select 1 as first', 0), (at) => answered.push(at));
  expect(rows).toEqual([{ last: 'a ; b' }]);
  expect(answered).toEqual([0, 1, 2, 3, 4]);
  await session.close();
});

test('tells of which statement a notice is', async ({ stage }) => {
  const heard: unknown[] = [];
  const session = await openSession(stage.options.connection, {
    onNotice: ({ message }, statement) => heard.push([message, statement]),
  });
  const say = (what: string) => `do $$ begin raise notice '${what}'; end $$`;
  await session.runEach([say('a'), 'select 1', say('b'), say('c')], () => undefined);
  expect(heard).toEqual(['a', 'b', 'c'].map((what) => [what, say(what)]));
  await session.close();
});

test('sends several messages ahead, and tells their answers apart', async ({ stage }) => {
  const session = await open(stage.options.connection);
  const answered: string[] = [];
  const message = (name: string, texts: string[]) =>
    session
      .runEach(texts, (at) => answered.push(`${name}${at}`))
      .then(
        (rows) => rows,
        (error: { failedAt: number }) => error.failedAt,
      );
  const results = await Promise.all([
    message('a', ['select 1 as n', 'select 2 as n']),
    message('b', ['select 3 as n', 'select nothing']),
    session.run('select 4 as n'),
    message('c', ['select 5 as n']),
  ]);
  expect(results).toEqual([[{ n: 2 }], 1, [{ n: 4 }], [{ n: 5 }]]);
  expect(answered).toEqual(['a0', 'a1', 'b0', 'c0']);
  await session.close();
});

test('fails where the connection is lost amid the message', async ({ stage }) => {
  const session = await open(stage.options.connection);
  const end = 'select pg_terminate_backend(pg_backend_pid())';
  const lost = session.runEach(['select 1', end, 'select 2'], () => undefined);
  expect(await failureOf(lost)).toMatchObject({ code: '57P01', failedAt: 1 });
  expect(session.isClosed).toBe(true);
});
