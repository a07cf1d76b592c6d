import { spawnSync } from 'node:child_process';
import { openSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, inject } from 'vitest';
import { runnerLock } from '../../src/migrate/ledger/lock.ts';
import { closeSql, openSql } from '../support/databases.ts';
import { runCli, scrubEnvironment } from '../support/run-cli.ts';
import { test } from '../support/sessions.ts';
import { expectError } from './cli-kit.ts';

const SECRET = 'Super5ecret99';
const HOSTILE = 'a\x1b[2J\x1b[31m\n::error file=mig.sql,line=1::pwned';

test('shows a value of the database as a text that no terminal or pipeline obeys', async ({
  project,
  emptyDb,
}) => {
  await emptyDb.sql`create table t (name text)`;
  await emptyDb.sql`insert into t values (${HOSTILE}), (${HOSTILE})`;
  await project.migration('001_unique', 'create unique index t_name on t (name);');
  const env = { EVDB_URL: emptyDb.url, GITHUB_ACTIONS: 'true' };
  const outputs = await Promise.all(
    [[], ['--json']].map((flags) => runCli(['migrate', 'up', ...flags], { cwd: project.dir, env })),
  );
  for (const { stdout, stderr } of outputs) {
    expect(stderr).toContain('pwned');
    expect(stdout + stderr).not.toContain('\x1b');
    expect(stdout + stderr).not.toMatch(/^\s*::/m);
  }
});

test('prints no password of a statement, whichever way it is written', async ({
  project,
  emptyDb,
}) => {
  const statements = [
    `create user evdb_x1 password'${SECRET}'`,
    `create user evdb_x2 password $$${SECRET}$$`,
    `create user evdb_x3 /* */ password /* */ U&'${SECRET}'`,
    `create user mapping for public server nowhere options ("password" '${SECRET}')`,
    `create subscription evdb_s connection 'host=h password=${SECRET}' publication p`,
  ];
  const env = { EVDB_URL: emptyDb.url };
  for (const [index, statement] of statements.entries()) {
    await project.migration('001_users', `select 1;\n${statement} nonsense nonsense;`);
    await project.migration('002_users', `select 1;\n${statement};\nselect nothing_${index};`);
    for (const words of [
      ['migrate', 'up', '--verbose'],
      ['migrate', 'plan', '--verbose'],
      ['migrate', 'plan', '--json'],
      ['migrate', 'validate', '--json'],
      ['migrate', 'validate', '--format', 'github'],
      ['lint', '--format', 'sarif'],
    ]) {
      const { stdout, stderr } = await runCli(words, { cwd: project.dir, env });
      expect({ words, text: stdout + stderr }).toEqual({
        words,
        text: expect.not.stringContaining(SECRET),
      });
    }
  }
}, 120_000);

test('shows what other sessions run without its passwords', async ({ project, emptyDb }) => {
  const other = openSql(emptyDb.url, 1);
  const busy = other.unsafe(`select pg_sleep(30) /* alter role nobody password $x$${SECRET}$x$ */`);
  busy.catch(() => undefined);
  try {
    await expect
      .poll(async () => {
        const env = { EVDB_URL: emptyDb.url };
        const shown = await Promise.all(
          [[], ['--json']].map((flags) =>
            runCli(['stats', 'activity', ...flags], { cwd: project.dir, env }),
          ),
        );
        expect(shown.map(({ stdout }) => stdout.includes(SECRET))).toEqual([false, false]);
        return shown.map(({ stdout }) => stdout.includes('pg_sleep(30)'));
      })
      .toEqual([true, true]);
  } finally {
    await emptyDb.sql`
      select pg_cancel_backend(pid) from pg_stat_activity
      where query like 'select pg_sleep(30)%' and datname = current_database()`;
    await closeSql(other);
  }
});

/** Each way to write a password, as somebody else's statement. */
const SPELLED = [
  `alter role r password'${SECRET}'`,
  `alter role r password $$${SECRET}$$`,
  `alter role r password U&'${SECRET}'`,
  `alter role r password /* why */ '${SECRET}'`,
  `alter role r password -- why\n  '${SECRET}'`,
  `alter role r password 'first'\n  '${SECRET}'`,
  `create user mapping for r server s options ("password" '${SECRET}')`,
  `create subscription s connection 'host=h password=${SECRET}' publication p`,
  `select dblink_connect('postgres://app:${SECRET}@db/shop')`,
];

test('prints no password of sessions that are in the way, whichever way it is written', async ({
  project,
  emptyDb,
  sessions,
}) => {
  await emptyDb.sql`create table busy (id int)`;
  await project.migration('001_a', 'alter table busy add column n int;', 'select 1;');
  const runner = runnerLock({ ledgerSchema: 'evdb', targetSchema: 'public' });
  const sleeping = SPELLED.map(async (text, index) => {
    const other = sessions.open(emptyDb.url);
    await other.unsafe('begin; lock table busy in access share mode');
    await other`select pg_try_advisory_lock(${runner[0]}::int, ${runner[1]}::int)`;
    await other.unsafe(`select ${index} as in_the_way /*\n${text} */`).simple();
  });
  await Promise.all(sleeping);
  const options = { cwd: project.dir, env: { EVDB_URL: emptyDb.url } };
  const check = async (...words: string[]) => {
    const { stdout, stderr } = await runCli(words, options);
    expect({ words, text: stdout + stderr }).toEqual({
      words,
      text: expect.not.stringContaining(SECRET),
    });
    return stdout + stderr;
  };
  for (const format of [[], ['--json']]) {
    expect(await check('migrate', 'up', '--lock-wait', '0s', ...format)).toContain('in_the_way');
    expect(await check('stats', 'activity', ...format)).toContain('in_the_way');
    await check('stats', 'locks', ...format);
    await check('stats', 'connections', ...format);
    await check('doctor', ...format);
    await check('report', '--out', 'report.html', ...format);
    const page = readFileSync(join(project.dir, 'report.html'), 'utf8');
    expect(page).toContain('in_the_way');
    expect(page).not.toContain(SECRET);
  }
  await emptyDb.sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and query like '%in_the_way%' and pid <> pg_backend_pid()`;
}, 120_000);

test('prints no password of sessions whose locks a migration waits for', async ({
  project,
  emptyDb,
  sessions,
}) => {
  await emptyDb.sql`create table busy (id int)`;
  await project.migration('001_a', 'alter table busy add column n int;', 'select 1;');
  for (const [index, text] of SPELLED.entries()) {
    const other = sessions.open(emptyDb.url);
    await other.unsafe('begin; lock table busy in access share mode');
    await other.unsafe(`select ${index} as in_the_way /*\n${text} */`).simple();
  }
  const options = { cwd: project.dir, env: { EVDB_URL: emptyDb.url } };
  const words = ['migrate', 'up', '--lock-timeout', '1s', '--lock-wait-budget', '1s', '--json'];
  const { code, stdout, stderr } = await runCli(words, options);
  expect(code).toBe(4);
  expect(stdout).toContain('in_the_way');
  expect(stderr).toContain('in_the_way');
  expect(stdout + stderr).not.toContain(SECRET);
});

test('prints no password of a line that does not say that it is one', async ({
  project,
  emptyDb,
}) => {
  await project.migration('001_a', `create role evdb_x4 password\n  '${SECRET}' nonsense;`, '');
  const options = { cwd: project.dir, env: { EVDB_URL: emptyDb.url } };
  const { stdout, stderr } = await runCli(['migrate', 'up', '--json'], options);
  expect(stderr).toContain(`2 |   '***' nonsense;\n    |         ^`);
  expect(stdout + stderr).not.toContain(SECRET);
  const where = `do $$ begin execute E'create role evdb_x5 password\\n''${SECRET}'' in role nobody_'; end $$;`;
  await project.migration('001_a', where, '');
  const failed = await runCli(['migrate', 'up', '--json'], options);
  expect(failed.stderr).toContain('where: SQL statement');
  expect(failed.stdout + failed.stderr).not.toContain(SECRET);
});

test.skipIf(process.platform !== 'linux')(
  'says that results could not be written, and ends its work all the same (Linux has /dev/full)',
  async ({ project, emptyDb }) => {
    await project.migration('001_a', 'create table a ();');
    await project.migration('002_b', 'create table b ();');
    const { status, stderr } = spawnSync(
      process.execPath,
      [inject('evdbBin'), 'migrate', 'up', '--url', emptyDb.url],
      {
        cwd: project.dir,
        env: scrubEnvironment(process.env),
        stdio: ['ignore', openSync('/dev/full', 'w'), 'pipe'],
        encoding: 'utf8',
      },
    );
    expect(stderr).toMatch(/^error OUTPUT_LOST {2}the results could not be written: ENOSPC/m);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(status).toBe(1);
    const tables = await emptyDb.sql`
      select relname from pg_class where relnamespace = 'public'::regnamespace order by 1`;
    expect(tables).toEqual([{ relname: 'a' }, { relname: 'b' }]);
  },
);

test('keeps a dump that is there where a new one cannot be written', async ({
  project,
  emptyDb,
}) => {
  await emptyDb.sql`create table t ()`;
  await project.write('structure.sql', 'old');
  const result = await runCli(['schema', 'dump', '--file', 'structure.sql/is/no-folder.sql'], {
    cwd: project.dir,
    env: { EVDB_URL: emptyDb.url },
  });
  expectError(result, 'FILE_UNREADABLE', 1);
  const dump = await runCli(['schema', 'dump', '--file', 'structure.sql'], {
    cwd: project.dir,
    env: { EVDB_URL: emptyDb.url },
  });
  expect(dump.code).toBe(0);
  expect(await readFile(join(project.dir, 'structure.sql'), 'utf8')).toContain('create table');
});
