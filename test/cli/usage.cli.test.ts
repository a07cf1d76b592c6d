import type { Command } from 'commander';
import { expect } from 'vitest';
import { processContext } from '../../src/cli/context.ts';
import { buildProgram } from '../../src/cli/run.ts';
import { test } from '../support/fixture.ts';
import { runCli, startCli } from '../support/run-cli.ts';
import { expectError, readContents } from './cli-kit.ts';

const GROUPS = [[], ['migrate'], ['server']];
const COMMANDS = [
  ...['up', 'down', 'redo', 'status', 'create', 'validate', 'reset'].map((name) => [
    'migrate',
    name,
  ]),
  ...['start', 'stop', 'status', 'url'].map((name) => ['server', name]),
  ['init'],
  ['config'],
];
const asTitle = (args: string[]) => ({ args, title: ['evdb', ...args].join(' ') });

test.for([...GROUPS, ...COMMANDS].map(asTitle))(
  'explains $title with an example',
  async ({ args }, { project }) => {
    const { code, stdout, stderr } = await runCli([...args, '--help'], { cwd: project.dir });
    expect(stdout).toContain(`Usage: ${['evdb', ...args].join(' ')} `);
    const [, example = ''] = /^Examples?:\n {2}\$ evdb (.+)$/m.exec(stdout) ?? [];
    expect(example.split(' ').slice(0, args.length)).toEqual(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  },
);

test.for(COMMANDS.map(asTitle))('offers --json for $title', async ({ args }, { project }) => {
  const { stdout } = await runCli([...args, '--help'], { cwd: project.dir });
  expect(stdout).toMatch(/^ {2}--json /m);
});

test('gives the same help by way of the command help', async ({ project }) => {
  const { stdout: asked } = await runCli(['help', 'migrate'], { cwd: project.dir });
  const { stdout: flagged } = await runCli(['migrate', '--help'], { cwd: project.dir });
  expect(asked).toBe(flagged);
  expect(asked).toContain('evdb migrate');
});

test.for([
  ['help', 'migrate', 'up'],
  ['migrate', 'help', 'up'],
  ['help', '-q', 'migrate', 'up'],
])('gives the help of a command in a group for %j', async (args, { project }) => {
  const { stdout: flagged } = await runCli(['migrate', 'up', '--help'], { cwd: project.dir });
  expect(await runCli(args, { cwd: project.dir })).toMatchObject({ code: 0, stdout: flagged });
  expect(flagged).toContain('Usage: evdb migrate up');
});

test.for([['version'], ['version', '-q'], ['--version'], ['-V']])(
  'prints the version for %j',
  async (args, { project }) => {
    const result = await runCli(args, { cwd: project.dir });
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(result.stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  },
);

test.for(GROUPS.map(asTitle))(
  '$title alone shows what there is, on stderr',
  async ({ args }, { project }) => {
    const { code, stdout, stderr } = await runCli(args, { cwd: project.dir });
    expect(stderr).toContain(`Usage: ${['evdb', ...args].join(' ')} `);
    expect(stderr).toContain('Commands:');
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  },
);

const MISTAKES: [args: string[], says: string, hint: string][] = [
  [['migrat'], "unknown command 'migrat'", 'Did you mean migrate?'],
  [['migrate', 'upp'], "unknown command 'upp'", 'Did you mean up?'],
  [['migrate', 'staus'], "unknown command 'staus'", 'Did you mean status?'],
  [['frobnicate'], "unknown command 'frobnicate'", 'evdb --help'],
  [['migrate', 'up', '--dryrun'], "unknown option '--dryrun'", 'Did you mean --dry-run?'],
  [['migrate', 'up', '--frobnicate'], "unknown option '--frobnicate'", 'evdb migrate up --help'],
  [['migrate', 'validate', '--dry-run'], "unknown option '--dry-run'", 'evdb migrate validate'],
  [['migrate', 'up', '003'], 'too many arguments', 'evdb migrate up --to 003'],
  [['migrate', 'up', 'soon'], 'too many arguments', 'evdb migrate up --help'],
  [['up', '--to', '003'], "unknown command 'up'", 'evdb migrate up --to 003'],
  [['help', 'migrat'], "unknown command 'migrat'", 'Did you mean migrate?'],
  [['help', 'migrate', 'upp'], "unknown command 'upp'", 'Did you mean up?'],
  [['help', 'up'], "unknown command 'up'", 'evdb migrate up --help'],
  [['up', '--help'], "unknown command 'up'", 'evdb migrate up --help'],
  [['migrate', 'up', '--to'], "'--to <version>' argument missing", 'evdb migrate up --help'],
  [['migrate', 'create'], "missing required argument 'name'", 'evdb migrate create --help'],
  [['migrate', 'create', 'a', 'b'], 'too many arguments', "evdb migrate create 'a b'"],
  [['migrate', 'create', 'a', '--sequential', '--timestamp'], 'cannot be used with', 'evdb'],
  [['server', 'start', '--port', '70000'], 'from 1 to 65535', 'evdb server start --help'],
];

test.for(MISTAKES.map(([args, says, hint]) => ({ ...asTitle(args), says, hint })))(
  'refuses $title and helps',
  async ({ args, says, hint }, { project }) => {
    const result = await runCli(args, { cwd: project.dir });
    expectError(result, 'USAGE', 2);
    expect(result.stderr).toContain(says);
    expect(result.stderr.split('hint: ')[1]).toContain(hint);
  },
);

test.for(['0', '-1', '1.5', 'x', '1e3', '9999999999'])(
  'refuses --steps %s before it looks at the database',
  async (steps, { project, emptyDb }) => {
    await project.migration('001_users', 'create table users (id integer);');
    const before = await readContents(emptyDb.sql);
    const options = { cwd: project.dir, env: { EVDB_URL: emptyDb.url } };
    const result = await runCli(['migrate', 'up', `--steps=${steps}`], options);
    expectError(result, 'USAGE', 2);
    expect(result.stderr).toContain('positive whole number');
    expect(await readContents(emptyDb.sql)).toEqual(before);
  },
);

test('refuses two databases at once', async ({ project }) => {
  const args = ['migrate', 'status', '--embedded', '--url', 'postgres://app@localhost/app'];
  const result = await runCli(args, { cwd: project.dir });
  expectError(result, 'USAGE', 2);
});

test('refuses an empty URL instead of taking another database', async ({ project, emptyDb }) => {
  const env = { EVDB_URL: emptyDb.url };
  const result = await runCli(['migrate', 'up', '--url', ''], { cwd: project.dir, env });
  expectError(result, 'CONFIG_INVALID', 2);
});

test('says nothing where the reader of its output goes away', async ({ project }) => {
  const running = startCli(['migrate', '--help'], { cwd: project.dir });
  running.child.stdout?.destroy();
  expect(await running.result).toEqual({ code: 0, signal: null, stdout: '', stderr: '' });
});

const context = processContext(process);
const build = (words: string[]) => buildProgram(context, { exitCode: 0, command: '' }, words);

/** The help of every command that can run, by its path. */
function helpOf(command: Command, path: string[] = []): Map<string, string> {
  if (command.commands.length === 0) return new Map([[path.join(' '), command.helpInformation()]]);
  return new Map(command.commands.flatMap((one) => [...helpOf(one, [...path, one.name()])]));
}

test('makes no command but the one that is named, and that one whole', () => {
  const all = helpOf(build([]));
  expect(all.size).toBeGreaterThan(50);
  for (const [path, help] of all) {
    expect([...helpOf(build([...path.split(' '), '--json']))]).toEqual([[path, help]]);
  }
});

test.for([
  ['help', 'migrate', 'up'],
  ['migrate'],
  ['migrate', '--help'],
  ['migrate', 'help', 'up'],
  ['migrate', 'upp'],
  ['--json', 'migrate', 'up'],
  ['constructor'],
])('makes every command where the words are %j', (words) => {
  expect(helpOf(build(words))).toEqual(helpOf(build([])));
});

test('writes a command of another group with what was given', async ({ project }) => {
  const args = ['lint', '--strict', '--migrations-dir', 'nowhere'];
  const { stderr } = await runCli(args, { cwd: project.dir });
  expect(stderr).toContain("migrate create 'first table' --migrations-dir nowhere`");
});
