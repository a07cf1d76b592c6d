import { spawnSync } from 'node:child_process';
import { openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, inject } from 'vitest';
import { closeSql, openSql } from '../support/databases.ts';
import { test } from '../support/fixture.ts';
import { runCli, scrubEnvironment } from '../support/run-cli.ts';
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
  const result = await runCli(['schema', 'dump', '--file', 'no/such/folder.sql'], {
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
