import { execFileSync } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { test as base } from '../support/fixture.ts';
import type { TestProject } from '../support/project.ts';
import { type CliResult, runCli } from '../support/run-cli.ts';
import { parseJson } from './cli-kit.ts';

interface Repository extends TestProject {
  git(...args: string[]): string;
  /** Writes migrations and commits them. */
  commit(...names: string[]): Promise<void>;
  validate(ref: string, ...args: string[]): Promise<CliResult>;
}

/** `repository`: one with `001_a` on `main`, and a branch `mine` that is checked out. */
const test = base.extend<{ repository: Repository }>({
  repository: async ({ project }, use) => {
    const git = (...args: string[]) =>
      execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b', ...args], {
        cwd: project.dir,
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      });
    const commit = async (...names: string[]) => {
      for (const name of names) await project.migration(name, 'select 1;', 'select 1;');
      git('add', '.');
      git('commit', '-m', names.join(' '));
    };
    const validate = (ref: string, ...args: string[]) =>
      runCli(['migrate', 'validate', '--base', ref, ...args], { cwd: project.dir });
    git('init', '-b', 'main');
    await commit('001_a');
    git('checkout', '-b', 'mine');
    await use({ ...project, git, commit, validate });
  },
});

test('says which file to rename to what when two branches took one version', async ({
  repository: { git, commit, validate },
}) => {
  await commit('002_mine');
  git('checkout', 'main');
  await commit('002_theirs', '003_more');
  git('checkout', 'mine');
  const { code, stdout } = await validate('main');
  expect(code).toBe(3);
  expect(stdout).toContain('002_mine.sql has the version of 002_theirs.sql on main');
  expect(stdout).toContain(
    'git mv migrations/002_mine.sql migrations/004_mine.sql && git mv migrations/002_mine.down.sql migrations/004_mine.down.sql',
  );
});

test('gives the renames to programs, and is content when they are done', async ({
  repository: { git, commit, validate },
}) => {
  await commit('002_mine');
  git('checkout', 'main');
  await commit('005_theirs');
  git('checkout', 'mine');
  const { findings } = parseJson(await validate('main', '--json')) as unknown as {
    findings: { code: string; details: { renames: { from: string; to: string }[] } }[];
  };
  expect(findings.map(({ code }) => code)).toEqual(['BEHIND_BASE']);
  for (const { from, to } of findings[0]?.details.renames ?? []) git('mv', from, to);
  expect(await validate('main')).toMatchObject({ code: 0 });
});

test('knows a baseline that replaces what the base has, on either side', async ({ repository }) => {
  const { git, commit, validate, migration, dir } = repository;
  git('checkout', 'main');
  await commit('002_b');
  git('checkout', '-b', 'squash');
  for (const name of ['001_a', '002_b']) {
    git('rm', `migrations/${name}.sql`, `migrations/${name}.down.sql`);
  }
  const header = '-- evdb: replaces 001-002\n-- evdb: irreversible it makes all\n';
  await migration('002_baseline', `${header}select 1;`);
  git('add', '.');
  git('commit', '-m', 'squash');
  await commit('003_mine');
  const codesOf = async (ref: string) => {
    const { findings } = parseJson(await validate(ref, '--json')) as unknown as {
      findings: { code: string; severity: string; message: string }[];
    };
    return findings.filter(({ severity }) => severity === 'error').map(({ message }) => message);
  };
  expect(await codesOf('main')).toEqual([]);
  git('checkout', 'main');
  await commit('004_theirs');
  expect(await codesOf('squash')).toEqual([]);
  git('rm', 'migrations/001_a.sql', 'migrations/001_a.down.sql');
  git('commit', '-m', 'removed');
  git('checkout', '-b', 'other', 'HEAD~1');
  await rm(join(dir, 'migrations', '001_a.down.sql'));
  await rm(join(dir, 'migrations', '001_a.sql'));
  expect(await codesOf('HEAD')).toEqual(['001_a.sql is on HEAD, and was removed here']);
});

test('fails for what is new here, and not for what stands on the base', async ({ repository }) => {
  const { git, migration, validate } = repository;
  const blocking = 'create table t (a int); insert into t values (1);';
  git('checkout', 'main');
  await migration('002_t', blocking, 'drop table t;');
  await migration('003_index', 'create index i on t (a);', 'drop index i;');
  git('add', '.');
  git('commit', '-m', 'blocking');
  git('checkout', 'mine');
  git('merge', 'main');
  await migration('004_mine', 'select 1;', 'select 1;');
  const known = await validate('main');
  expect(known.code).toBe(0);
  expect(known.stdout).toContain('in files that are the same on main');
  await migration('005_index', 'create index j on t (a, a);', 'drop index j;');
  const { findings } = parseJson(await validate('main', '--json')) as unknown as {
    findings: { code: string; severity: string }[];
  };
  const errors = findings.filter(({ severity }) => severity === 'error');
  expect(errors).toMatchObject([
    { code: 'index-not-concurrent', location: { file: 'migrations/005_index.sql' } },
  ]);
});

test('fails for a repeatable that was changed here, and not for one that is the same on the base', async ({
  repository,
}) => {
  const { git, write, validate } = repository;
  const bad = (name: string) => `create view ${name} as select 1 as one;\n`;
  git('checkout', 'main');
  await write('migrations/repeatable/known.sql', bad('known'));
  git('add', '.');
  git('commit', '-m', 'views');
  git('checkout', 'mine');
  git('merge', 'main');
  const same = await validate('main');
  expect(same.stdout).not.toContain('REPEATABLE_REFUSED');
  expect(same).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('in files that are the same on main'),
  });
  await write('migrations/repeatable/mine.sql', bad('mine'));
  const added = await validate('main');
  expect(added.code).toBe(3);
  expect(added.stdout).toContain('REPEATABLE_REFUSED  migrations/repeatable/mine.sql:1');
  expect(added.stdout).not.toContain('known.sql');
  await write('migrations/repeatable/known.sql', `${bad('known')}-- more\nselect 1;\n`);
  expect((await validate('main')).stdout).toContain('migrations/repeatable/known.sql:1');
});

test('sees migrations that are not committed yet', async ({ repository }) => {
  repository.git('checkout', 'main');
  await repository.commit('002_theirs');
  repository.git('checkout', 'mine');
  await repository.migration('002_mine', 'select 1;', 'select 1;');
  const { stdout } = await repository.validate('main');
  expect(stdout).toContain('VERSION_COLLISION');
  // git refuses to move what it does not track.
  expect(stdout).toContain(
    'Rename it: mv migrations/002_mine.sql migrations/003_mine.sql && mv mi',
  );
});

test('names a down script without its migration once, by its relative path', async ({
  repository: { dir, validate },
}) => {
  await rm(join(dir, 'migrations/001_a.sql'));
  const { stdout } = await validate('main');
  expect(stdout).toContain(
    'error DOWN_WITHOUT_UP  migrations/001_a.down.sql: belongs to no migration\n',
  );
  expect(stdout).not.toContain(dir);
});

test('tells of a file that is the same on the base, but not in the database', async ({
  repository: { git, commit, dir, migration },
  emptyDb,
}) => {
  const options = { cwd: dir, env: { EVDB_URL: emptyDb.url } };
  await migration('001_a', 'select 2;', 'select 1;');
  expect(await runCli(['migrate', 'up'], options)).toMatchObject({ code: 0 });
  git('checkout', '.');
  await commit('002_mine');
  const { stdout, code } = await runCli(['migrate', 'validate', '--base', 'main'], options);
  expect(stdout).toContain('error CHANGED_MIGRATION  migrations/001_a.sql:1:1: 001_a changed');
  expect(code).toBe(3);
});

test('refuses a script of the base whose SQL was changed or that was removed here', async ({
  repository,
}) => {
  repository.git('checkout', 'main');
  await repository.commit('002_theirs');
  repository.git('checkout', '-b', 'late');
  await repository.migration('001_a', 'select 2;');
  for (const name of ['002_theirs.sql', '002_theirs.down.sql']) {
    await rm(join(repository.dir, 'migrations', name));
  }
  const { code, stdout } = await repository.validate('main');
  expect(code).toBe(3);
  expect(stdout).toContain('001_a.sql is on main already, and its SQL was changed here');
  expect(stdout).toContain('002_theirs.sql is on main, and was removed here');
});

test('warns of a script of the base whose comments or white space were changed here', async ({
  repository: { migration, validate },
}) => {
  await migration('001_a', '-- why\r\nselect\t1;\r\n', 'select 1;');
  const result = await validate('main', '--json');
  expect(parseJson(result)).toMatchObject({
    ok: true,
    findings: expect.arrayContaining([
      expect.objectContaining({
        ...{ code: 'CHANGED_SINCE_BASE', severity: 'warning' },
        message: '001_a.sql is on main already, and its comments or white space were changed here',
      }),
    ]),
  });
  expect(result.code).toBe(0);
});

test('does not take what the base has done since for a change of this branch', async ({
  repository: { git, commit, validate },
}) => {
  git('checkout', 'main');
  await commit('002_theirs');
  git('checkout', 'mine');
  expect(await validate('main')).toMatchObject({ code: 0 });
});

test('names a base that git does not know, and no repository', async ({ repository, project }) => {
  const { code, stderr } = await repository.validate('--nowhere');
  expect(code).toBe(1);
  expect(stderr).toContain('GIT_FAILED');
  await rm(join(project.dir, '.git'), { recursive: true });
  expect((await repository.validate('main')).stderr).toMatch(/GIT_FAILED.*not a git repository/);
});
