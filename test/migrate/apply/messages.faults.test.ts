import { expect } from 'vitest';
import { EvdbError, migrateUp, ScriptError } from '../../../src/index.ts';
import { type MigrateStage, test, untilHeard } from '../../support/migrate-kit.ts';
import { type FaultyProxy, startProxy } from '../../support/proxy.ts';
import { failureOf } from '../../support/waiting.ts';

/** Quick ones share a message; the others have one of their own. */
const QUICK = [
  'create table first (id int primary key);',
  'create index first_id_idx on first (id);',
  "comment on table first is 'é 😀';",
  'create table second (\n  id int references first\n);',
  "comment on column second.id is 'b';",
];
const OWN = "insert into first values (1);\ncomment on table first is 'filled';";

/** What fails, and where in itself: at a place that the server names, or at its start. */
const WRONG = [
  { text: 'create table wrong (\n  id nothing\n);', line: 2, column: 6 },
  { text: "comment on table nowhere is '';", line: 1, column: 1 },
  { text: 'create table wrong (id int references nowhere);', line: 1, column: 1 },
];

test('tells the place of an error wherever it stands in a message, and nothing stays', async ({
  stage,
}) => {
  await stage.migration('002_next', 'create table next (id int);');
  for (const statements of [QUICK, [...QUICK, OWN], [OWN.replaceAll('first', 'given'), ...QUICK]]) {
    await stage.sql`drop table if exists given`;
    await stage.sql`create table given (id int)`;
    for (const [which, wrong] of WRONG.entries()) {
      for (let at = 0; at <= statements.length; at++) {
        const before = statements.slice(0, at).map((statement) => `${statement}\n`);
        const script = [...before, wrong.text, '\n', ...statements.slice(at)].join('');
        await stage.migration('001_a', script);
        const error = await failureOf(migrateUp(stage.options));
        const firstLine = before.join('').split('\n').length;
        expect(error, `${which} at ${at}`).toBeInstanceOf(ScriptError);
        expect((error as ScriptError).location).toMatchObject({
          line: firstLine + wrong.line - 1,
          column: wrong.column,
        });
        expect(await stage.relations()).toEqual(['given']);
      }
    }
  }
  expect(await stage.ledger()).toEqual([]);
});

const SECOND = {
  'whose second one is not quick': 'insert into b values (1);',
  'that are all quick': "comment on table b is 'b';",
};

for (const [which, second] of Object.entries(SECOND)) {
  test(`a cut after any number of bytes leaves whole migrations ${which}, and its report is true`, async ({
    stage,
    onTestFinished,
  }) => {
    await stage.migration('001_a', 'create table a (id int);\ncreate index a_idx on a (id);');
    await stage.migration('002_b', `create table b (id int);\n${second}`);
    await stage.migration('003_c', "create table c (id int);\ncomment on table c is 'c';");
    const proxy = await startProxy(stage.url);
    onTestFinished(proxy.close);
    const options = { ...(await stage.optionsFor(proxy.url)), schema: 'whole' };
    const before = { toServer: proxy.passed('toServer'), toClient: proxy.passed('toClient') };
    await migrateUp(options);
    let cuts = 0;
    for (const direction of ['toServer', 'toClient'] as const) {
      const total = proxy.passed(direction) - before[direction];
      const step = Math.ceil(total / 25);
      for (let bytes = 1; bytes < total; bytes += step) {
        // Where the schema has to be made, the first one is not sent ahead.
        const schema = `cut_${direction.toLowerCase()}_${bytes}`;
        if (cuts % 2 === 0) await stage.sql.unsafe(`create schema ${schema}`);
        await cutAndGoOn(stage, { proxy, bytes, direction, schema });
        cuts++;
      }
    }
    expect(cuts).toBeGreaterThan(40);
  }, 180_000);
}

async function cutAndGoOn(
  stage: MigrateStage,
  cut: {
    proxy: FaultyProxy;
    bytes: number;
    direction: 'toServer' | 'toClient';
    schema: string;
  },
): Promise<void> {
  const { proxy, bytes, direction, schema } = cut;
  const cutOptions = { ...(await stage.optionsFor(proxy.url)), schema };
  proxy.cutAfter(bytes, direction);
  const error = await migrateUp(cutOptions).then(
    () => undefined,
    (failure: unknown) => failure,
  );
  // It may be that a try to see what happened was all that went by way of the cut line.
  if (error !== undefined) expect(error).toBeInstanceOf(EvdbError);
  const { code, details } = (error ?? {}) as Partial<EvdbError>;
  if (error !== undefined) {
    expect(['CONNECTION_LOST', 'CONNECTION_REFUSED', 'AUTHENTICATION_FAILED']).toContain(code);
  }
  const options = { ...(await stage.optionsFor(stage.url)), schema };
  const { steps } = await migrateUp({ ...options, lockWaitMs: 20_000 });
  const completed = (details?.completed as unknown[] | undefined)?.length ?? 0;
  const committed = details?.commit === 'committed' ? 1 : 0;
  if (code === 'CONNECTION_LOST') {
    expect(steps, `${schema}: ${String(error)}`).toHaveLength(3 - completed - committed);
  }
  expect(await stage.ledger(schema)).toEqual(['001 applied', '002 applied', '003 applied']);
  const ups = (await stage.history(schema)).filter((row) => row.startsWith('up'));
  expect(ups).toEqual(['up 001', 'up 002', 'up 003']);
  expect(await stage.relations(schema)).toEqual(['a', 'a_idx', 'b', 'c']);
}

test('a cancel amid a message of several statements leaves nothing, and the lock is free', async ({
  stage,
}) => {
  await stage.sql`create table busy (id int primary key)`;
  const holder = stage.openOther();
  await holder.unsafe('begin; lock table busy in access exclusive mode');
  await stage.migration(
    '001_a',
    'create table a (id int);\ncreate table b (id int references busy);\ncreate table c (id int);',
  );
  await stage.migration('002_b', 'create table d (id int);');
  const stop = new AbortController();
  const running = migrateUp({ ...stage.options, signal: stop.signal, lockTimeoutMs: 20_000 });
  const outcome = failureOf(running);
  await untilBlocked(stage);
  stop.abort(new Error('enough'));
  expect(String(await outcome)).toContain('enough');
  await holder.unsafe('rollback');
  expect(await stage.relations()).toEqual(['busy', 'busy_pkey']);
  expect((await migrateUp(stage.options)).steps).toHaveLength(2);
});

async function untilBlocked(stage: MigrateStage): Promise<void> {
  for (let i = 0; i < 1_000; i++) {
    const blocked = await stage.sql`
      select from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`;
    if (blocked.length > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error('it never waited');
}

test('a lock that is not free amid a message is tried for again, from the start', async ({
  stage,
}) => {
  await stage.sql`create table busy (id int primary key)`;
  const holder = stage.openOther();
  await holder.unsafe('begin; lock table busy in access exclusive mode');
  await stage.migration(
    '001_a',
    'create table a (id int);\ncreate table b (id int references busy);',
  );
  const running = migrateUp(stage.options);
  await untilHeard(stage.heard, 'retry');
  await holder.unsafe('rollback');
  await running;
  expect(await stage.history()).toEqual(['up 001']);
  expect(await stage.relations()).toEqual(['a', 'b', 'busy', 'busy_pkey']);
});

test('a session that a script changed is clean for a quick one behind it', async ({ stage }) => {
  await stage.migration('001_quick', 'create table one (id int);');
  await stage.migration(
    '002_own',
    `create temp table two (id int);
set search_path = pg_temp;
set default_table_access_method = 'heap';
set lock_timeout = '1ms';
set role none;`,
  );
  await stage.migration('003_quick', 'create table two (id int);');
  await stage.migration('004_quick', 'create table three (id int);\ncreate index on three (id);');
  await migrateUp(stage.options);
  expect(await stage.relations()).toEqual(['one', 'three', 'three_id_idx', 'two']);
});

test('where an event trigger may change the session each migration begins with a clean one', async ({
  stage,
}) => {
  await stage.sql.unsafe(`
    create schema watch;
    create table watch.seen (work_mem text);
    create function watch.disturb() returns event_trigger language plpgsql as $$
    begin
      insert into watch.seen values (current_setting('work_mem'));
      perform set_config('work_mem', '77MB', false);
    end $$;
    create event trigger disturb on ddl_command_end when tag in ('CREATE TABLE')
      execute function watch.disturb();`);
  try {
    await stage.migration('001_a', 'create table a (id int);');
    await migrateUp(stage.options);
    await stage.sql`delete from watch.seen`;
    await stage.migration('002_b', 'create table b (id int);');
    await stage.migration('003_c', 'create table c (id int);');
    await migrateUp(stage.options);
    const seen = await stage.sql`select distinct work_mem from watch.seen`;
    expect(seen).toHaveLength(1);
    expect(seen).not.toEqual([{ work_mem: '77MB' }]);
  } finally {
    await stage.sql.unsafe('drop event trigger disturb');
  }
});
