import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { runCli, startCli } from '../support/run-cli.ts';
import { expectError, parseJson, test } from './cli-kit.ts';

const WAITING = 'waiting for changes in migrations';

test('applies what is saved, and the newest one again when it changes', async ({
  emptyDb: { url, sql },
  project,
}) => {
  const columns = async () => {
    const rows = await sql`
      select attname || ' ' || atttypid::regtype as name from pg_attribute
      where attrelid = to_regclass('public.a') and attnum > 0 and not attisdropped`;
    return rows.map(({ name }) => name);
  };
  await project.migration('001_a', 'create table a (id integer);', 'drop table a;');
  const watching = startCli(['migrate', 'up', '--watch'], {
    cwd: project.dir,
    env: { EVDB_URL: url },
  });
  await watching.printed(WAITING);
  expect(await columns()).toEqual(['id integer']);

  // Rolled back by the down script as it was applied: this one belongs to what comes now.
  await project.migration('001_a', 'create table a (id bigint);', 'drop table a, never_there;');
  await expect.poll(columns, { timeout: 10_000 }).toEqual(['id bigint']);

  await project.migration('002_b', 'alter tabel a add note text;');
  await watching.printed('SYNTAX_ERROR');
  await project.migration('002_b', 'alter table a add note no_such_type;');
  await watching.printed('MIGRATION_FAILED');
  await project.migration('002_b', 'alter table a add note text;');
  await expect.poll(columns, { timeout: 10_000 }).toEqual(['id bigint', 'note text']);

  // Applied without a down script: the one that is there now has to do.
  await project.migration('002_b', 'alter table a add more text;', 'alter table a drop note;');
  await expect.poll(columns, { timeout: 10_000 }).toEqual(['id bigint', 'more text']);

  watching.child.kill('SIGINT');
  expect(await watching.result).toMatchObject({ code: 130 });
});

test('says that an older migration changed, and rolls nothing back', async ({
  emptyDb: { url, sql },
  project,
}) => {
  await project.migration('001_a', 'create table a ();', 'drop table a;');
  await project.migration('002_b', 'create table b ();', 'drop table b;');
  const options = { cwd: project.dir, env: { EVDB_URL: url } };
  const watching = startCli(['migrate', 'up', '--watch'], options);
  await watching.printed(WAITING);
  await project.migration('001_a', 'create table a (id integer);', 'drop table a;');
  await watching.printed('CHANGED_MIGRATION');
  // A folder that goes is no reason to end either.
  await rm(join(project.dir, 'migrations'), { recursive: true });
  await watching.printed('MIGRATIONS_DIR_MISSING');
  watching.child.kill('SIGTERM');
  expect(await watching.result).toMatchObject({ code: 130 });
  const rows = await sql`select action, version::text from evdb.history order by id`;
  expect(rows.map(({ action, version }) => `${action} ${version}`)).toEqual(['up 1', 'up 2']);
});

test('refuses to watch what is protected, on another machine, or read by a program', async ({
  emptyDb: { url, sql },
  project,
}) => {
  await project.migration('001_a', 'create table a ();');
  const protectedUrl = { environments: { production: { url, protected: true } } };
  await project.write('evdb.config.json', JSON.stringify(protectedUrl));
  const evdb = (...args: string[]) => runCli(['migrate', 'up', ...args], { cwd: project.dir });
  const refused = await evdb('--watch', '--env', 'production');
  expectError(refused, 'PROTECTED_ENVIRONMENT', 2);
  expect(refused.stderr).toContain('`evdb migrate up --env production`');
  const remote = await evdb('--watch', '--url', 'postgres://app@db.example/shop');
  expectError(remote, 'USAGE', 2);
  expect(remote.stderr).toContain('db.example');
  const json = parseJson(await evdb('--watch', '--json', '--url', url));
  expect(json).toMatchObject({ exitCode: 2, error: { code: 'USAGE' } });
  expect(await sql`select to_regclass('public.a') as a`).toEqual([{ a: null }]);
});
