import { expect } from 'vitest';
import { test } from '../support/fixture.ts';
import { runCli } from '../support/run-cli.ts';
import { expectError } from './cli-kit.ts';

const NOISY = "do $$ begin raise warning 'told'; end $$;\ncreate table t (id bigint);\n";
const COLOUR = '\u001b[';

test.for([
  ['migrate', 'up', '-q'],
  ['migrate', 'up', '--quiet'],
  ['-q', 'migrate', 'up'],
  ['migrate', '--quiet', 'up'],
])('%j prints results and no notes', async (args, { project, emptyDb }) => {
  await project.migration('001_t', NOISY);
  // A config file that is not read is something to warn of.
  await project.write('evdb.config.json', '{}');
  await project.write('evdb.config.yaml', '{}');
  const options = { cwd: project.dir, env: { EVDB_URL: emptyDb.url } };
  const result = await runCli(args, options);
  expect(result).toMatchObject({ code: 0, stderr: '' });
  expect(result.stdout).toContain('001_t');
});

test('without --quiet the same notes are printed', async ({ project, emptyDb }) => {
  await project.migration('001_t', NOISY);
  await project.write('evdb.config.json', '{}');
  await project.write('evdb.config.yaml', '{}');
  const options = { cwd: project.dir, env: { EVDB_URL: emptyDb.url } };
  const { stderr } = await runCli(['migrate', 'up'], options);
  expect(stderr).toContain('told');
  expect(stderr).toContain('is not read');
});

test('errors are printed with --quiet too', async ({ project, emptyDb }) => {
  await project.migration('001_t', 'select nonsense;\n');
  const options = { cwd: project.dir, env: { EVDB_URL: emptyDb.url } };
  const result = await runCli(['migrate', 'up', '-q'], options);
  expectError(result, 'MIGRATION_FAILED', 1);
  expect(result.stderr).toContain('nonsense');
});

test.for([
  [{ FORCE_COLOR: '1' }, [], true],
  [{ FORCE_COLOR: '0' }, [], false],
  [{ FORCE_COLOR: 'false' }, [], false],
  [{ FORCE_COLOR: '1', NO_COLOR: '1' }, [], false],
  [{ FORCE_COLOR: '1' }, ['--no-color'], false],
  [{}, [], false],
] as const)('%j %j prints colours to a file: %s', async ([set, flags, isColoured], { project }) => {
  const env = { NO_COLOR: undefined, ...set };
  // Of errors in the rest of the line too.
  for (const args of [['lint', '--list-rules'], ['frobnicate'], ['lint', '--frobnicate']]) {
    const { stdout, stderr } = await runCli([...args, ...flags], { cwd: project.dir, env });
    const isUsage = args.includes('frobnicate') || args.includes('--frobnicate');
    if (isUsage) expect(stderr).toContain('USAGE');
    expect((stdout + stderr).includes(COLOUR), args.join(' ')).toBe(isColoured);
  }
});

test('--no-color stands in front of the command too', async ({ project }) => {
  const env = { NO_COLOR: undefined, FORCE_COLOR: '1' };
  const result = await runCli(['--no-color', 'lint', '--list-rules'], { cwd: project.dir, env });
  expect(result).toMatchObject({ code: 0, stderr: '' });
  expect(result.stdout).not.toContain(COLOUR);
});

test('a colour setting of npm is none of ours', async ({ project }) => {
  const env = { npm_lifecycle_event: 'lint', npm_config_color: '' };
  expect(await runCli(['lint', '--list-rules'], { cwd: project.dir, env })).toMatchObject({
    code: 0,
  });
});
