import { expect } from 'vitest';
import { closeSql, openSql } from '../support/databases.ts';
import { test } from '../support/fixture.ts';
import { holdRunnerLock } from '../support/migrate-kit.ts';
import { runCli, startCli } from '../support/run-cli.ts';

test('says whom it waits for, gives up after --lock-wait-budget, and exits 4', async ({
  project,
  emptyDb,
}) => {
  await emptyDb.sql`create table busy (id int)`;
  const blocker = openSql(emptyDb.url, 1);
  await blocker.unsafe('begin; select * from busy');
  await project.migration('001_a', 'alter table busy add column n int;\n');
  const options = { cwd: project.dir, env: { EVDB_URL: emptyDb.url } };
  const result = await runCli(
    ['migrate', 'up', '--lock-timeout', '1s', '--lock-wait-budget', '1200ms', '--json'],
    options,
  );
  const [row] = await blocker`select pg_backend_pid() as pid`;
  await blocker.unsafe('rollback');
  await closeSql(blocker);
  const who = `pid ${row?.pid} \\(evdb-test, .*, idle in transaction for .*\\): begin; select \\* from busy`;
  expect(result.stderr).toMatch(new RegExp(`^001_a waits for ${who}$`, 'm'));
  expect(result.stderr).toMatch(
    /^001_a could not acquire its locks \(try 1, 1\.0 s so far\), trying again within 200 ms$/m,
  );
  expect(result.stderr).toMatch(
    new RegExp(
      `^error LOCK_TIMEOUT .*001_a could not acquire its locks: ${who} \\(seen (?:once|in 2 tries),`,
      'm',
    ),
  );
  expect(result.code).toBe(4);
  expect(JSON.parse(result.stdout)).toMatchObject({
    error: { code: 'LOCK_TIMEOUT', details: { blockers: [{ pid: row?.pid }] } },
  });
});

test('tells the phases of a concurrent build, and for whom it waits', async ({
  project,
  emptyDb,
}) => {
  await emptyDb.sql`create table busy (id int)`;
  const writer = openSql(emptyDb.url, 1);
  await writer.unsafe('begin; insert into busy values (1)');
  await project.migration(
    '001_a',
    '-- evdb: no-transaction\ncreate index concurrently busy_id_idx on busy (id);\n',
  );
  const options = { cwd: project.dir, env: { EVDB_URL: emptyDb.url } };
  const running = startCli(['migrate', 'up'], options);
  await running.printed(
    '001_a is building an index: waiting for writers before build, 0 of 1 done, now for pid ',
  );
  await writer.unsafe('commit');
  await closeSql(writer);
  expect(await running.result).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^applied {6}001_a /),
  });
});

test('shows the line of a statement that was interrupted and cannot be judged', async ({
  project,
  emptyDb,
}) => {
  await emptyDb.sql`create procedure work() language plpgsql as
    'begin commit; perform 1 / (select count(*) from pg_class where relname = $$none$$); end'`;
  await project.migration('001_a', '-- evdb: no-transaction\nselect 1;\ncall work();\n');
  const options = { cwd: project.dir, env: { EVDB_URL: emptyDb.url } };
  expect(await runCli(['migrate', 'up'], options)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('division by zero'),
  });
  const { code, stderr } = await runCli(['migrate', 'up'], options);
  expect(stderr).toMatch(
    /^error INCOMPLETE_MIGRATION {2}migrations\/001_a\.sql:3:1: 001_a stopped in its statement 2 of 2 \(call\), and whether that was done cannot be known$/m,
  );
  expect(stderr).toMatch(/^ +3 \| call work\(\);\n +\| \^$/m);
  expect(stderr).toContain('evdb migrate repair 001 --as done');
  expect(code).toBe(1);
  expect(await runCli(['migrate', 'repair', '001', '--as', 'done'], options)).toMatchObject({
    code: 0,
  });
  expect(await runCli(['migrate', 'up'], options)).toMatchObject({
    code: 0,
    stderr: expect.stringContaining(
      '001_a continues where it stopped: 2 of its 2 statements are done\n',
    ),
  });
});

for (const command of ['baseline 001 --confirm', 'repair 001 --confirm', 'seed']) {
  test(`${command} says whom it waits for, and goes on`, async ({ project, emptyDb }) => {
    await project.migration('001_a', 'create table a (id int);\n');
    await project.write('seeds/a.sql', 'insert into a values (1);\n');
    const options = { cwd: project.dir, env: { EVDB_URL: emptyDb.url } };
    if (!command.startsWith('baseline')) {
      expect(await runCli(['migrate', 'up'], options)).toMatchObject({ code: 0 });
      await project.migration('001_a', 'create table a (id int, n int);\n');
    }
    const runner = await holdRunnerLock({ openOther: () => openSql(emptyDb.url, 1) });
    const words = command === 'seed' ? ['seed'] : ['migrate', ...command.split(' ')];
    const running = startCli(words, options);
    await running.printed('waiting for pid ');
    await closeSql(runner);
    expect(await running.result).toMatchObject({ code: 0 });
  });
}
