import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { test as base } from '../support/fixture.ts';
import {
  checkGithub,
  checkGitlab,
  checkJunit,
  checkSarif,
  type FormatCheck,
} from '../support/format-checks.ts';
import { type CliResult, runCli } from '../support/run-cli.ts';

type Run = (...args: string[]) => Promise<CliResult>;

/** `evdb`: in a project below a repository's root, on a database with something to say. */
const test = base.extend<{ evdb: Run }>({
  evdb: async ({ project, db }, use) => {
    await mkdir(join(project.dir, '.git'));
    const cwd = join(project.dir, 'services/api');
    await mkdir(join(cwd, 'migrations'), { recursive: true });
    await writeFile(join(cwd, 'package.json'), '{}');
    await writeFile(join(cwd, 'migrations/001_nodes.sql'), 'create table nodes (id integer);\n');
    await writeFile(
      join(cwd, 'migrations/002_bad.sql'),
      'drop table nodes;\ncreate tabel nodes ();\n',
    );
    await db.sql`create index nodes_a on events (location)`;
    await db.sql`create index nodes_b on events (location)`;
    await db.sql`alter table events disable trigger user`;
    await db.sql`alter table registrations disable trigger user`;
    const env = { EVDB_URL: db.url };
    await use((...args) => runCli(args, { cwd, env }));
  },
});

const COMMANDS: [command: string, ...args: string[]][] = [
  ['lint', 'lint'],
  ['migrate validate', 'migrate', 'validate'],
  ['migrate status', 'migrate', 'status', '--check'],
  ['doctor', 'doctor', '--fail-on', 'warning'],
  ['rules check', 'rules', 'check'],
  ['types', 'types', '--out', 'db.ts', '--check'],
];

const CHECKS: Record<string, FormatCheck> = {
  sarif: checkSarif,
  gitlab: checkGitlab,
  github: checkGithub,
  junit: checkJunit,
};

test('says how to read about a rule where the repository has no page about it', async ({
  evdb,
}) => {
  for (const format of ['github', 'junit', 'gitlab']) {
    const { stdout } = await evdb('lint', '--format', format);
    expect(stdout).toContain('See `evdb lint --explain destructive-change`.');
    expect(stdout).not.toContain('docs/rules/');
  }
});

for (const [command, ...args] of COMMANDS) {
  test.for(Object.keys(CHECKS))(
    `prints what ${command} finds as valid %s, and the same exit code`,
    async (format, { evdb }) => {
      const { stdout, code } = await evdb(...args, '--format', format);
      expect(code).toBe(3);
      expect(stdout).not.toBe('');
      expect(await CHECKS[format]?.(stdout)).toEqual([]);
    },
  );

  test(`prints what ${command} finds as a comment`, async ({ evdb }) => {
    const { stdout } = await evdb(...args, '--format', 'markdown');
    expect(stdout).toMatch(new RegExp(`^<!-- evdb ${command} -->\n### ❌ evdb ${command}\n`));
  });
}

test('names files from the root of the repository', async ({ evdb }) => {
  const { stdout } = await evdb('migrate', 'status', '--check', '--format', 'github');
  expect(stdout).toContain('::error file=services/api/migrations/001_nodes.sql,line=1,');
});

test('takes --format json for --json, and human for neither', async ({ evdb }) => {
  const json = await evdb('migrate', 'status', '--format', 'json');
  expect(JSON.parse(json.stdout)).toMatchObject({ ok: true, command: 'migrate status' });
  const human = await evdb('migrate', 'status', '--format', 'human');
  expect(human.stdout).toContain('2 migrations in schema public: 2 pending');
});

test('writes reports to files beside what it prints', async ({ project, db }) => {
  await project.migration('001_nodes', 'create table nodes (id integer);');
  const { stdout, code } = await runCli(
    ['migrate', 'status', '--check', '--report', 'sarif=out/a.sarif', '--report=junit=b.xml'],
    { cwd: project.dir, env: { EVDB_URL: db.url } },
  );
  expect(code).toBe(3);
  expect(stdout).toContain('1 pending');
  expect(await checkSarif(await readFile(join(project.dir, 'out/a.sarif'), 'utf8'))).toEqual([]);
  expect(await checkJunit(await readFile(join(project.dir, 'b.xml'), 'utf8'))).toEqual([]);
});

test('writes the reports of a command that fails', async ({ project }) => {
  const { code } = await runCli(['migrate', 'status', '--report', 'gitlab=a.json'], {
    cwd: project.dir,
  });
  expect(code).toBe(2);
  const text = await readFile(join(project.dir, 'a.json'), 'utf8');
  expect(text).toContain('MIGRATIONS_DIR_MISSING');
  expect(await checkGitlab(text)).toEqual([]);
});

test('says how a report is asked for, and where one cannot be written', async ({ project, db }) => {
  await project.migration('001_nodes', 'create table nodes (id integer);');
  const run = (report: string) =>
    runCli(['migrate', 'status', '--report', report], {
      cwd: project.dir,
      env: { EVDB_URL: db.url },
    });
  expect(await run('a.sarif')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--report sarif=evdb.sarif'),
  });
  expect(await run('sarif=migrations/001_nodes.sql/a')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('FILE_UNREADABLE'),
  });
});

test.for(Object.keys(CHECKS))('tells of a failure as valid %s too', async (format, { project }) => {
  await project.migration('001_nodes', 'create table nodes (id integer);');
  const { stdout, stderr, code } = await runCli(['migrate', 'status', `--format=${format}`], {
    cwd: project.dir,
    env: { EVDB_URL: 'postgres://nobody:secret@127.0.0.1:1/nowhere' },
  });
  expect(code).toBe(4);
  expect(stderr).toContain('CONNECTION_REFUSED');
  expect(stdout).toContain('CONNECTION_REFUSED');
  expect(stdout).not.toContain('secret');
  expect(await CHECKS[format]?.(stdout)).toEqual([]);
});

test('refuses a format that there is not', async ({ project }) => {
  const { code, stderr } = await runCli(['migrate', 'status', '--format', 'xml'], {
    cwd: project.dir,
  });
  expect(code).toBe(2);
  expect(stderr).toContain('human, json, sarif, github, gitlab, junit, markdown');
});
