import { expect } from 'vitest';
import { EvdbError, migrateUp, ScriptError } from '../../../src/index.ts';
import { type MigrateStage, test, untilHeard } from '../../support/migrate-kit.ts';
import { startProxy } from '../../support/proxy.ts';
import { failureOf } from '../../support/waiting.ts';

const NAMES = ['001', '002', '003', '004'];

function tableOf(label: string): string {
  return `create table t${label} (id int);`;
}

async function writeFour(stage: MigrateStage, at?: number, text = ''): Promise<void> {
  for (const [index, label] of NAMES.entries()) {
    await stage.migration(`${label}_t`, tableOf(label) + (index === at ? `\n${text}` : ''));
  }
}

/** Everything exactly once, and the ledger says so. */
async function expectWhole(stage: MigrateStage): Promise<void> {
  await migrateUp(stage.options);
  expect(await stage.ledger()).toEqual(NAMES.map((label) => `${label} applied`));
  const ups = (await stage.history()).filter((entry) => entry.startsWith('up'));
  expect(ups).toEqual(NAMES.map((label) => `up ${label}`));
  expect(await stage.relations()).toEqual(expect.arrayContaining(NAMES.map((name) => `t${name}`)));
}

/** The ledger is there already, and so are its guards against one version. */
async function refuseAtCommit(stage: MigrateStage): Promise<void> {
  await stage.migration('000_first', 'create table first (id int);');
  await migrateUp(stage.options);
  await stage.sql.unsafe(`
    create table public.refused (version bigint);
    create function public.refuse() returns trigger language plpgsql as $$
    begin
      if exists (select from public.refused where version = new.version) then
        raise exception 'not this one';
      end if;
      return null;
    end $$;
    create constraint trigger refuse after insert on evdb.migration
      deferrable initially deferred for each row execute function public.refuse();`);
}

test('an error in any of the migrations sent ahead is told of that one, and stops there', async ({
  stage,
}) => {
  const [{ version } = { version: 0 }] = await stage.sql<{ version: number }[]>`
    select current_setting('server_version_num')::int as version`;
  const wrong = ['create table w (id nothing);', 'create table w (id int references nowhere);'];
  // This server cannot even read it, so that its message fails before it begins.
  if (version < 180_000) wrong.push('create table w (id int, constraint named not null id);');
  for (const text of wrong) {
    for (const at of NAMES.keys()) {
      await writeFour(stage, at, text);
      const error = await failureOf<ScriptError>(migrateUp(stage.options));
      expect(error).toBeInstanceOf(ScriptError);
      expect(error.location).toMatchObject({ file: expect.stringContaining(NAMES[at] ?? '?') });
      expect(error.location.line).toBe(2);
      expect(error.details.completed).toHaveLength(at);
      expect(await stage.ledger()).toEqual(NAMES.slice(0, at).map((name) => `${name} applied`));
      const history = await stage.history();
      expect(history).toEqual([
        ...NAMES.slice(0, at).map((name) => `up ${name}`),
        `failed ${NAMES[at]}`,
      ]);
      await writeFour(stage);
      await expectWhole(stage);
      await stage.sql.unsafe(
        'drop schema evdb cascade; drop schema public cascade; create schema public;',
      );
    }
  }
});

test('a commit that is refused takes those behind it along', async ({ stage }) => {
  await refuseAtCommit(stage);
  for (const at of NAMES.keys()) {
    await writeFour(stage);
    await stage.sql`insert into refused values (${at + 1})`;
    const error = await failureOf<EvdbError>(migrateUp(stage.options));
    expect(error.message).toContain('not this one');
    expect(error.details.completed).toHaveLength(at);
    const rows = ['000', ...NAMES.slice(0, at)].map((name) => `${name} applied`);
    expect(await stage.ledger()).toEqual(rows);
    const tables = (await stage.relations()).filter((name) => name.startsWith('t'));
    expect(tables).toEqual(NAMES.slice(0, at).map((name) => `t${name}`));
    await stage.sql`delete from refused`;
    expect((await migrateUp(stage.options)).steps).toHaveLength(NAMES.length - at);
    await stage.sql.unsafe(`
      delete from evdb.migration where version > 0;
      delete from evdb.migration_text where version > 0;
      drop table t001, t002, t003, t004;`);
  }
});

test('what waits for a lock is tried again alone, and the others come behind it', async ({
  stage,
}) => {
  for (const at of NAMES.keys()) {
    await stage.sql`create table busy (id int primary key)`;
    await writeFour(stage, at, 'create table w (id int references busy);');
    const holder = stage.openOther();
    await holder.unsafe('begin; lock table busy in access exclusive mode');
    stage.heard.length = 0;
    const running = migrateUp(stage.options);
    const { step } = await untilHeard(stage.heard, 'retry');
    expect(step.label).toBe(NAMES[at]);
    expect(await stage.ledger()).toHaveLength(at);
    await holder.unsafe('rollback');
    await running;
    const told = stage.heard.flatMap((one) =>
      one.kind === 'step-started' || one.kind === 'step-done'
        ? `${one.kind} ${one.step.label}`
        : [],
    );
    expect(told).toEqual(NAMES.flatMap((name) => [`step-started ${name}`, `step-done ${name}`]));
    await expectWhole(stage);
    await stage.sql.unsafe(
      'drop schema evdb cascade; drop schema public cascade; create schema public;',
    );
  }
});

test('the next ones are at the server before the first is answered', async ({
  stage,
  onTestFinished,
}) => {
  await stage.sql`create table busy (id int primary key)`;
  const holder = stage.openOther();
  await holder.unsafe('begin; lock table busy in access exclusive mode');
  await writeFour(stage, 0, 'create table w (id int references busy);');
  const comment = 'x'.repeat(9_000);
  await stage.migration('002_t', `${tableOf('002')}\ncomment on table t002 is '${comment}';`);
  const proxy = await startProxy(stage.url);
  onTestFinished(proxy.close);
  const options = await stage.optionsFor(proxy.url);
  const running = migrateUp({ ...options, lockTimeoutMs: 60_000 });
  await expect.poll(() => stage.heard.map(({ kind }) => kind)).toContain('step-started');
  // the comment itself, and the file for the ledger
  await expect.poll(() => proxy.passed('toServer')).toBeGreaterThan(2 * comment.length);
  expect(await stage.ledger()).toEqual([]);
  await holder.unsafe('rollback');
  await running;
  await expectWhole(stage);
});

test('a stop at any migration leaves whole ones, tells which, and nothing behind', async ({
  stage,
}) => {
  for (const kind of ['step-started', 'statement', 'step-done'] as const) {
    for (const label of NAMES) {
      await writeFour(stage);
      const stop = new AbortController();
      const done: string[] = [];
      const failure = await migrateUp({
        ...stage.options,
        signal: stop.signal,
        onProgress: (one) => {
          if (one.kind === 'step-done') done.push(`${one.step.label} applied`);
          if (one.kind === kind && one.step.label === label) {
            stop.abort(new EvdbError('INTERRUPTED', 'enough'));
          }
        },
      }).catch((error: unknown) => error);
      expect(await stage.ledger()).toEqual(done);
      if (done.length < NAMES.length) expect(String(failure)).toContain('enough');
      expect(await stage.relations()).toEqual(done.map((row) => `t${row.slice(0, 3)}`));
      await expectWhole(stage);
      await stage.sql.unsafe(
        'drop schema evdb cascade; drop schema public cascade; create schema public;',
      );
    }
  }
});

test('a backend that is ended amid them has applied what the report says', async ({ stage }) => {
  await stage.sql`create table busy (id int primary key)`;
  const holder = stage.openOther();
  await holder.unsafe('begin; lock table busy in access exclusive mode');
  await writeFour(stage, 2, 'create table w (id int references busy);');
  const running = failureOf<EvdbError>(migrateUp({ ...stage.options, lockTimeoutMs: 60_000 }));
  await expect
    .poll(
      () => stage.sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'`,
      { timeout: 20_000 },
    )
    .toHaveLength(1);
  const error = await running;
  expect(error.code).toBe('CONNECTION_LOST');
  expect(error.message).toContain(
    '003_t committed; the server says that the transaction was rolled back: it is not applied',
  );
  expect(error.details).toMatchObject({ commit: 'aborted' });
  expect(error.details.completed).toHaveLength(2);
  await holder.unsafe('rollback');
  expect(await stage.ledger()).toEqual(['001 applied', '002 applied']);
  await expectWhole(stage);
});

test('what the server says is told of the file that it is of, also where answers come together', async ({
  stage,
  onTestFinished,
}) => {
  await stage.sql`create table busy (id int primary key)`;
  const holder = stage.openOther();
  await holder.unsafe('begin; lock table busy in access exclusive mode');
  await stage.sql`create table t (id int)`;
  for (const label of NAMES) {
    const waits = label === '001' ? 'create table w (id int references busy);' : '';
    await stage.migration(
      `${label}_t`,
      `${tableOf(label)}\ncreate table if not exists t (id int);\n${waits}`,
    );
  }
  const proxy = await startProxy(stage.url);
  onTestFinished(proxy.close);
  const options = await stage.optionsFor(proxy.url);
  const running = migrateUp({ ...options, lockTimeoutMs: 60_000 });
  await expect
    .poll(
      () => stage.sql`
        select from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'`,
      { timeout: 20_000 },
    )
    .toHaveLength(1);
  // the next ones are on their way by now
  await new Promise((resolve) => setTimeout(resolve, 100));
  proxy.silence();
  await holder.unsafe('rollback');
  await expect.poll(() => stage.ledger(), { timeout: 20_000 }).toHaveLength(3);
  proxy.restore();
  await running;
  const notices = stage.heard.flatMap((one) => (one.kind === 'notice' ? [one] : []));
  expect(
    notices.map(
      ({
        notice: {
          location: { file, line },
        },
      }) => `${file.slice(-9)}:${line}`,
    ),
  ).toEqual(NAMES.map((label) => `${label}_t.sql:2`));
});
