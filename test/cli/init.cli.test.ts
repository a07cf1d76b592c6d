import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { test } from '../support/fixture.ts';
import { runCli } from '../support/run-cli.ts';
import { createTerminal } from '../support/terminal.ts';
import { canRunTypes, expectError, parseJson } from './cli-kit.ts';

const bundled = fileURLToPath(new URL('../../migrations/', import.meta.url));

async function listSchemaFiles(): Promise<string[]> {
  return (await readdir(bundled)).filter((name) => /^\d+_.*\.sql$/.test(name));
}

test('copies the event schema, a config file and an example of .env', async ({ project }) => {
  const { code, stdout } = await runCli(['init'], { cwd: project.dir });
  expect(code).toBe(0);
  const files = await listSchemaFiles();
  expect((await readdir(join(project.dir, 'migrations'))).sort()).toEqual(files.sort());
  for (const name of files) {
    const [copy, original] = await Promise.all([
      readFile(join(project.dir, 'migrations', name), 'utf8'),
      readFile(join(bundled, name), 'utf8'),
    ]);
    expect(copy).toBe(original);
    expect(stdout).toContain(`created  migrations/${name}\n`);
  }
  expect(await readFile(join(project.dir, '.env.example'), 'utf8')).toContain('DB_HOST=');
  expect(stdout).toContain('evdb migrate up --embedded');
});

test('makes a project that evdb takes as it is', async ({ project, emptyDb }) => {
  await runCli(['init'], { cwd: project.dir });
  const env = { EVDB_URL: emptyDb.url };
  const up = await runCli(['migrate', 'up', '--json'], { cwd: project.dir, env });
  expect(parseJson(up)).toMatchObject({ ok: true, warnings: [] });
  expect(await emptyDb.sql`select to_regclass('public.registrations') is not null as made`).toEqual(
    [{ made: true }],
  );
});

test('tells nothing of the event schema, and all of what takes its place', async ({ project }) => {
  await runCli(['init'], { cwd: project.dir });
  const clean = parseJson(await runCli(['lint', '--json'], { cwd: project.dir }));
  expect(clean).toMatchObject({ ok: true, findings: [] });
  const validated = parseJson(
    await runCli(['migrate', 'validate', '--json'], { cwd: project.dir }),
  );
  expect(validated).toMatchObject({ ok: true, findings: [] });
  for (const name of await listSchemaFiles()) await rm(join(project.dir, 'migrations', name));
  await project.migration('001_own', 'create table own (a int);', 'drop table own;');
  await project.migration('002_index', 'create index own_a on own (a);', 'drop index own_a;');
  const { code, stdout } = await runCli(['lint'], { cwd: project.dir });
  expect(code).toBe(3);
  expect(stdout).toContain('index-not-concurrent');
});

test('keeps what is there, also where it was changed', async ({ project }) => {
  await runCli(['init'], { cwd: project.dir });
  await project.write('evdb.config.mjs', 'export default {};\n');
  const [first = ''] = await listSchemaFiles();
  await project.write(`migrations/${first}`, '-- mine');
  const again = await runCli(['init', '--json'], { cwd: project.dir });
  expect(parseJson(again)).toMatchObject({ ok: true, created: [] });
  expect(await readFile(join(project.dir, 'migrations', first), 'utf8')).toBe('-- mine');
  expect(await readFile(join(project.dir, 'evdb.config.mjs'), 'utf8')).toBe('export default {};\n');
});

test('completes what is only there in part', async ({ project }) => {
  await runCli(['init'], { cwd: project.dir });
  const { rm } = await import('node:fs/promises');
  await rm(join(project.dir, '.env.example'));
  const again = await runCli(['init', '--json'], { cwd: project.dir });
  expect(parseJson(again)).toMatchObject({ created: ['.env.example'] });
});

test('gives a project with migrations of its own a config alone, and says so', async ({
  project,
}) => {
  await project.migration('001_my_users', 'create table users (id integer);');
  const { code, stdout } = await runCli(['init'], { cwd: project.dir });
  expect(code).toBe(0);
  expect(stdout).toContain('The event schema was not copied: migrations/ holds migrations');
  expect(await readdir(join(project.dir, 'migrations'))).toEqual(['001_my_users.sql']);
  expect((await readdir(project.dir)).sort()).toEqual([
    '.env.example',
    'evdb.config.mjs',
    'migrations',
    'package.json',
  ]);
});

test('leaves a folder with files of another tool alone, and says how to go on', async ({
  project,
}) => {
  await project.write('migrations/20240101_users.js', 'export const up = () => {};\n');
  for (const flags of [[], ['--event-schema']]) {
    const { code, stdout } = await runCli(['init', ...flags], { cwd: project.dir });
    expect(code).toBe(0);
    expect(stdout).toContain(
      'The event schema was not copied: migrations/ holds what seems to be migrations of another tool\n',
    );
    expect(stdout).toContain('Next: evdb migrate adopt --help\n');
    expect(await readdir(join(project.dir, 'migrations'))).toEqual(['20240101_users.js']);
  }
  await rm(join(project.dir, 'migrations/20240101_users.js'));
  await project.write('migrations/README.md', 'Migrations stand here.\n');
  const { stdout } = await runCli(['init'], { cwd: project.dir });
  expect(stdout).toContain('created  migrations/001_');
});

test('starts without the event schema where that is asked for', async ({ project }) => {
  const first = await runCli(['init', '--empty', '--json'], { cwd: project.dir });
  expect(parseJson(first)).toMatchObject({
    ok: true,
    created: ['evdb.config.mjs', '.env.example', 'migrations/.gitkeep'],
    eventSchema: 'leftOut',
  });
  expect(await readdir(join(project.dir, 'migrations'))).toEqual(['.gitkeep']);
  const create = await runCli(['migrate', 'create', 'users'], { cwd: project.dir });
  expect(create.code).toBe(0);
});

test('writes nothing where the name of the folder is taken by a file', async ({ project }) => {
  await project.write('migrations', 'a file, where the folder should be');
  const result = await runCli(['init'], { cwd: project.dir });
  expectError(result, 'FILE_UNREADABLE', 1);
  expect((await readdir(project.dir)).sort()).toEqual(['migrations', 'package.json']);
});

test('writes a config file that Node reads without a warning, whatever package.json says', async ({
  project,
}) => {
  await runCli(['init'], { cwd: project.dir });
  const { stderr } = await runCli(['config'], { cwd: project.dir });
  expect(stderr).toBe('');
});

test.for([
  ['ts', 'evdb.config.mts', /^import type \{ ConfigFileInput \} from 'evdb';$/m],
  ['json', 'evdb.config.json', /"\$schema": "\.\/node_modules\/evdb\/schemas\/config-file\.json"/],
  [
    'yaml',
    'evdb.config.yaml',
    /^# yaml-language-server: \$schema=\.\/node_modules\/evdb\/schemas\//,
  ],
] as const)('writes the config file in %s', async ([format, name, head], { project }) => {
  const init = ['init', '--empty', '--yes', '--config-format', format];
  const { code, stdout } = await runCli(init, { cwd: project.dir });
  expect(code).toBe(0);
  const text = await readFile(join(project.dir, name), 'utf8');
  expect(text).toMatch(head);
  const [, schema] = /\.\/node_modules\/evdb\/(schemas\/[\w-]+\.json)/.exec(text) ?? [];
  if (format !== 'ts')
    await readFile(join(fileURLToPath(import.meta.url), '../../..', schema ?? ''));
  const node = process.env.EVDB_TEST_NODE || process.execPath;
  const canRead = format !== 'ts' || (await canRunTypes(node));
  expect(stdout.includes('needs Node 22.18 or later')).toBe(!canRead);
  if (!canRead) return;
  const result = await runCli(['config', '--env', 'production'], { cwd: project.dir });
  expect(result).toMatchObject({ code: 0, stderr: '' });
  expect(result.stdout).toMatch(/^protected +true/m);
  expect(result.stdout).toContain(name);
});

test('writes no second config file beside one that is there', async ({ project }) => {
  await project.write('evdb.config.json', '{ "schema": "tenant" }');
  const asked = await runCli(['init', '--config-format', 'yaml'], { cwd: project.dir });
  expect(asked.stdout).toContain(
    'No config file in yaml was written: evdb.config.json is there already\n',
  );
  const example = await readFile(join(project.dir, '.env.example'), 'utf8');
  expect(example).toContain('# Any setting of evdb.config.json:');
  const { stdout } = await runCli(['config'], { cwd: project.dir });
  expect(stdout).toMatch(/^schema +tenant +evdb\.config\.json$/m);
});

const ENTER = '\r';
const DOWN = '\u001b[B';
const CTRL_C = '\u0003';

test('asks on a terminal what no flag says, and ends with the next command', async ({
  project: { dir, write },
}) => {
  await write('package.json', '{\n\t"name": "shop",\n\t"scripts": { "db:up": "mine" }\n}');
  const terminal = createTerminal({ columns: 80, rows: 24 }, { cwd: dir });
  const ended = terminal.run('init');
  await terminal.answer('What do you start with?', ENTER);
  await terminal.answer('Add npm scripts to package.json?', ENTER);
  await terminal.answer('Write a pipeline that checks the migrations?', DOWN, ENTER);
  expect(await ended).toBe(0);
  expect(terminal.written()).toBe(
    [
      'created  evdb.config.mjs',
      'created  .env.example',
      'created  migrations/.gitkeep',
      'created  .github/workflows/migrations.yml',
      'changed  package.json (scripts that call evdb)',
      "Next: evdb migrate create 'first table'\n",
    ].join('\n'),
  );
  const text = await readFile(join(dir, 'package.json'), 'utf8');
  expect(text).toMatch(/^\t"scripts": \{\n\t\t"db:up": "mine",\n/m);
  expect(JSON.parse(text).scripts).toMatchObject({ 'db:up': 'mine', 'db:new': expect.any(String) });
});

test('asks for the tool, and leads on to its migrations', async ({ project: { dir } }) => {
  const terminal = createTerminal({ columns: 80, rows: 24 }, { cwd: dir });
  const ended = terminal.run('init', '--ci', 'none', '--npm-scripts');
  await terminal.answer('What do you start with?', DOWN, DOWN, ENTER);
  await terminal.answer('Which tool?', DOWN, DOWN, ENTER);
  expect(await ended).toBe(0);
  expect(terminal.written()).toContain('Next: evdb migrate adopt --from goose --dry-run\n');
});

test('offers no event schema beside migrations of the project', async ({ project }) => {
  await project.migration('001_own', 'create table own ();');
  const terminal = createTerminal({ columns: 80, rows: 24 }, { cwd: project.dir });
  const ended = terminal.run('init', '--ci', 'none', '--npm-scripts');
  await terminal.answer('What do you start with?', ENTER);
  expect(await ended).toBe(0);
  expect(terminal.stderr()).not.toContain('The event schema');
});

test('writes nothing where the questions are ended', async ({ project: { dir } }) => {
  const terminal = createTerminal({ columns: 80, rows: 24 }, { cwd: dir });
  const ended = terminal.run('init');
  await terminal.answer('What do you start with?', ENTER);
  await terminal.answer('Add npm scripts to package.json?', CTRL_C);
  expect(await ended).toBe(130);
  expect(terminal.stderr()).toContain('INTERRUPTED');
  expect(await readdir(dir)).toEqual(['package.json']);
});

test('asks nothing with --yes, and takes the same as flags', async ({ project }) => {
  const terminal = createTerminal({ columns: 80, rows: 24 }, { cwd: project.dir });
  expect(await terminal.run('init', '--yes', '--from', 'dbmate', '--ci', 'gitlab')).toBe(0);
  expect(terminal.written()).toContain('created  .gitlab-ci.yml\n');
  expect(await readdir(join(project.dir, 'migrations'))).toEqual(['.gitkeep']);
  await project.write('.gitlab-ci.yml', 'stages: [test]\n');
  expect(await terminal.run('init', '--yes', '--ci', 'gitlab')).toBe(0);
  expect(terminal.written()).toContain('To use .gitlab/migrations.gitlab-ci.yml, include it');
  expect(await readFile(join(project.dir, '.gitlab-ci.yml'), 'utf8')).toBe('stages: [test]\n');
  const both = await runCli(['init', '--empty', '--event-schema'], { cwd: project.dir });
  expectError(both, 'USAGE', 2);
});

test('writes nothing beside a package.json that is broken', async ({ project }) => {
  await project.write('package.json', '{ "name": ');
  const result = await runCli(['init', '--npm-scripts'], { cwd: project.dir });
  expectError(result, 'FILE_UNREADABLE', 1);
  expect(await readdir(project.dir)).toEqual(['package.json']);
});

test('writes pipelines whose commands pass for a project that is sound', async ({ project }) => {
  await project.migration('001_own', 'create table own (id bigint);', 'drop table own;');
  for (const ci of ['github', 'gitlab']) {
    await runCli(['init', '--ci', ci], { cwd: project.dir });
  }
  const files = ['.github/workflows/migrations.yml', '.gitlab-ci.yml'];
  const texts = await Promise.all(files.map((file) => readFile(join(project.dir, file), 'utf8')));
  const lines = texts.join('').matchAll(/npx --yes evdb@([\w.-]+) (.*)$/gm);
  const commands = [...lines].map(([, version, command = '']) => {
    expect(version).toMatch(/^\d+\.\d+\.\d+/);
    return command.replace(/ --base \S+/, '');
  });
  expect(commands).toHaveLength(6);
  for (const command of new Set(commands)) {
    const result = await runCli(command.split(' '), { cwd: project.dir, env: { CI: 'true' } });
    expect(result).toMatchObject({ code: 0 });
  }
  await runCli(['server', 'stop'], { cwd: project.dir });
});

test('writes a pipeline that passes before there is a migration', async ({ project }) => {
  await runCli(['init', '--empty', '--ci', 'github'], { cwd: project.dir });
  const text = await readFile(join(project.dir, '.github/workflows/migrations.yml'), 'utf8');
  const commands = [...text.matchAll(/npx --yes evdb@\S+ (.*)$/gm)].map(([, command = '']) =>
    command.replace(/ --base \S+/, '').split(' '),
  );
  expect(commands).toHaveLength(3);
  for (const command of [...commands, ['lint'], ['migrate', 'status', '--embedded']]) {
    const result = await runCli(command, { cwd: project.dir, env: { CI: 'true' } });
    expect(result).toMatchObject({ code: 0 });
    if (!command.includes('github')) expect(result.stdout).toContain('no migrations yet');
  }
  expect(await readdir(project.dir)).not.toContain('.evdb');
});

test('writes a pipeline that takes evdb from the project where it is installed', async ({
  project,
}) => {
  await project.write('package.json', '{ "devDependencies": { "evdb": "1" } }');
  await project.write('package-lock.json', '{}');
  for (const ci of ['github', 'gitlab']) {
    await runCli(['init', '--empty', '--ci', ci], { cwd: project.dir });
  }
  for (const file of ['.github/workflows/migrations.yml', '.gitlab-ci.yml']) {
    const text = await readFile(join(project.dir, file), 'utf8');
    expect(text).toMatch(/- (run: )?npm ci\n/);
    expect(text.match(/npx evdb migrate/g)).toHaveLength(3);
    expect(text).not.toMatch(/--yes|\{\{/);
  }
});

test('has git ignore .env, and says so', async ({ project }) => {
  await project.write('.git/HEAD', '');
  const init = () => runCli(['init', '--empty'], { cwd: project.dir });
  expect((await init()).stdout).toContain('created  .gitignore\n');
  expect(await readFile(join(project.dir, '.gitignore'), 'utf8')).toBe('.env\n');
  expect((await init()).stdout).not.toContain('.gitignore');
  await project.write('.gitignore', 'node_modules');
  expect((await init()).stdout).toContain('changed  .gitignore (.env is ignored)\n');
  expect(await readFile(join(project.dir, '.gitignore'), 'utf8')).toBe('node_modules\n.env\n');
});

test('has an own first migration judged', async ({ project }) => {
  await runCli(['init', '--empty'], { cwd: project.dir });
  await project.migration(
    '001_own',
    'create table a (id bigint primary key); create table b (a_id bigint references a);',
  );
  const { stdout } = await runCli(['lint'], { cwd: project.dir });
  expect(stdout).toContain('fk-without-index');
});
