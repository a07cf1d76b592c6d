import { expect } from 'vitest';
import { test as base } from '../support/fixture.ts';
import { type CliResult, runCli } from '../support/run-cli.ts';
import { expectNoStack, parseJson } from './cli-kit.ts';

interface Noisy {
  dir: string;
  evdb(...args: string[]): Promise<CliResult>;
}

const NOISE = "do $$ begin raise notice 'a notice'; raise warning 'a warning'; end $$;";

/** `noisy`: a project whose migrations make the server talk. */
const test = base.extend<{ noisy: Noisy }>({
  noisy: async ({ project, emptyDb }, use) => {
    await project.migration('001_users', `create table users (id integer); ${NOISE}`, NOISE);
    await project.migration('002_events', NOISE, `drop table if exists nothing; ${NOISE}`);
    const env = { EVDB_URL: emptyDb.url };
    const evdb = (...args: string[]) => runCli([...args, '--json'], { cwd: project.dir, env });
    await use({ dir: project.dir, evdb });
  },
});

test('gives every command on migrations one shape, and nothing else on stdout', async ({
  noisy: { evdb },
}) => {
  const steps = (...directions: string[]) =>
    directions.map((direction) => expect.objectContaining({ direction }));
  const expected: [args: string[], exitCode: number, shape: object][] = [
    [['status', '--check'], 3, { hasLedger: false, counts: { pending: 2, applied: 0 } }],
    [['up', '--dry-run'], 0, { dryRun: true, steps: steps('up', 'up') }],
    [['up', '--verbose'], 0, { dryRun: false, schema: 'public', steps: steps('up', 'up') }],
    [['up'], 0, { dryRun: false, steps: [], warnings: [] }],
    [['redo'], 0, { steps: steps('down', 'up') }],
    [['down', '--dry-run'], 0, { dryRun: true, steps: steps('down') }],
    [['down'], 0, { steps: steps('down') }],
    [['validate'], 0, { findings: [], skipped: [] }],
    [['reset', '--confirm'], 0, { forgotten: 1, steps: steps('up', 'up') }],
    [['status', '--check'], 0, { hasLedger: true, counts: { pending: 0, applied: 2 } }],
    [['create', 'add venues'], 0, { name: 'add_venues', files: expect.any(Array) }],
  ];
  for (const [args, exitCode, shape] of expected) {
    const result = await evdb('migrate', ...args);
    const json = parseJson(result);
    expect(json).toMatchObject({ command: `migrate ${args[0]}`, ...shape });
    expect(result.code).toBe(exitCode);
  }
});

test('gives the commands that need no database the same shape', async ({ project }) => {
  for (const args of [['config'], ['init'], ['server', 'status'], ['server', 'stop']]) {
    const result = await runCli([...args, '--json'], { cwd: project.dir });
    expect(parseJson(result)).toMatchObject({ ok: true, command: args.join(' ') });
    expect(result.code).toBe(0);
  }
});

const ERRORS: [args: string[], command: string, code: string, exitCode: number][] = [
  [['migrate', 'up', '--to', '9'], 'migrate up', 'UNKNOWN_VERSION', 2],
  [['migrate', 'reset'], 'migrate reset', 'CONFIRM_REQUIRED', 2],
  [['migrate', 'up', '--bogus'], 'migrate up', 'USAGE', 2],
  [['migrate', 'upp'], 'migrate', 'USAGE', 2],
  [['bogus'], '', 'USAGE', 2],
  [['migrate', 'create', 'a/b'], 'migrate create', 'INVALID_NAME', 1],
  [['migrate', 'status', '--url', 'nonsense'], 'migrate status', 'CONFIG_INVALID', 2],
  [['server', 'url'], 'server url', 'CONNECTION_REFUSED', 4],
];

test.for(ERRORS.map(([args, command, code, exitCode]) => ({ args, command, code, exitCode })))(
  'gives $code of $args as JSON, and as text on stderr',
  async ({ args, command, code, exitCode }, { noisy: { evdb } }) => {
    const result = await evdb(...args);
    expect(parseJson(result)).toMatchObject({
      command,
      ok: false,
      error: { code, message: expect.any(String), hint: expect.any(String) },
    });
    expect(result.stderr).toContain(`error ${code}  `);
    expect(result.code).toBe(exitCode);
    expectNoStack(result);
  },
);

const MISCALLED: [args: string[], command: string][] = [
  [[], ''],
  [['migrate'], 'migrate'],
  [['migrate', 'create'], 'migrate create'],
  [['lint', '--format', 'nonsense'], 'lint'],
  [['migrate', 'up', '--steps', 'x'], 'migrate up'],
];

test.for(MISCALLED.map(([args, command]) => ({ args, command })))(
  'says in JSON that $args is no call',
  async ({ args, command }, { project }) => {
    const result = await runCli([...args, '--json'], { cwd: project.dir });
    expect(parseJson(result)).toMatchObject({ command, exitCode: 2, error: { code: 'USAGE' } });
  },
);

test('says in JSON where a statement failed and what was done before', async ({
  project,
  emptyDb,
}) => {
  await project.migration('001_users', `create table users (id integer); ${NOISE}`);
  await project.migration('002_wrong', 'select 1;\nselect nothing;\n');
  const env = { EVDB_URL: emptyDb.url };
  const result = await runCli(['migrate', 'up', '--json'], { cwd: project.dir, env });
  expect(parseJson(result)).toMatchObject({
    ok: false,
    error: {
      code: 'MIGRATION_FAILED',
      details: {
        file: 'migrations/002_wrong.sql',
        line: 2,
        column: 8,
        sqlstate: '42703',
        completed: [{ direction: 'up', label: '001', name: 'users' }],
      },
    },
  });
  expect(result.code).toBe(1);
});

test('finds with validate what it says in JSON, and exits 3', async ({ project }) => {
  await project.migration('001_wrong', 'selec 1;', 'select 1;');
  const result = await runCli(['migrate', 'validate', '--json'], { cwd: project.dir });
  expect(parseJson(result)).toMatchObject({
    ok: false,
    exitCode: 3,
    findings: [{ severity: 'error', code: 'SYNTAX_ERROR', location: { line: 1, column: 1 } }],
    skipped: [{ check: expect.any(String), reason: 'no database is configured' }],
  });
  expect(result.code).toBe(3);
});
