import { execFileSync, spawnSync } from 'node:child_process';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defaultLoaders } from 'cosmiconfig';
import { expect } from 'vitest';
import { test as base } from '../support/fixture.ts';
import { scrubEnvironment } from '../support/run-cli.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

interface Step {
  run: string;
  env: Record<string, string>;
}

/** The action as GitHub reads it. */
async function readAction() {
  const text = await readFile(join(root, 'action.yml'), 'utf8');
  return defaultLoaders['.yaml']('action.yml', text) as {
    inputs: Record<string, { description: string; default: string }>;
    runs: { using: string; steps: [Step, Step] };
  };
}

interface Checkout {
  dir: string;
  git(...args: string[]): string;
  /** Runs a step of the action; `inputs` are what GitHub would put into its variables. */
  step(
    index: 0 | 1,
    inputs: Record<string, string>,
  ): Promise<{ code: number | null; stdout: string }>;
  /** What the step told GitHub. */
  outputs(): Promise<Record<string, string>>;
}

/** `checkout`: of a branch with `002_mine`, whose origin has `002_theirs` on `main`. */
const test = base.extend<{ checkout: Checkout }>({
  checkout: async ({ project }, use) => {
    const origin = join(project.dir, 'origin');
    const dir = join(project.dir, 'clone');
    const write = async (name: string) => {
      await mkdir(join(origin, 'migrations'), { recursive: true });
      await writeFile(join(origin, 'migrations', name), 'create table a (id integer);\n');
    };
    const gitIn =
      (cwd: string) =>
      (...args: string[]) =>
        execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b', ...args], {
          cwd,
          encoding: 'utf8',
          stdio: ['ignore', 'pipe', 'ignore'],
        });
    await mkdir(origin);
    const git = gitIn(origin);
    git('init', '-b', 'main');
    await write('001_a.sql');
    await writeFile(join(origin, 'package.json'), '{}');
    git('add', '.');
    git('commit', '-m', 'a');
    git('checkout', '-b', 'mine');
    await write('002_mine.sql');
    git('add', '.');
    git('commit', '-m', 'b');
    git('checkout', 'main');
    await write('002_theirs.sql');
    git('add', '.');
    git('commit', '-m', 'c');
    // As actions/checkout does it: one commit of one branch.
    gitIn(project.dir)('clone', '--depth=1', '--branch=mine', `file://${origin}`, 'clone');
    await use({ dir, git: gitIn(dir), ...(await makeSteps(dir, project.dir)) });
  },
});

async function makeSteps(dir: string, runnerTemp: string) {
  const { steps } = (await readAction()).runs;
  const outputFile = join(runnerTemp, 'output');
  await writeFile(outputFile, '');
  const step: Checkout['step'] = async (index, inputs) => {
    const { status, stdout } = spawnSync('bash', ['-e', '-c', steps[index].run], {
      cwd: dir,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...scrubEnvironment(process.env),
        ...Object.fromEntries(Object.keys(steps[index].env).map((name) => [name, ''])),
        EVDB_ACTION_RUNNER: `${process.execPath} ${join(root, 'bin/evdb.js')}`,
        GITHUB_OUTPUT: outputFile,
        GITHUB_STEP_SUMMARY: join(runnerTemp, 'summary.md'),
        GITHUB_WORKSPACE: dir,
        RUNNER_TEMP: runnerTemp,
        ...inputs,
      },
    });
    return { code: status, stdout };
  };
  const outputs = async () => {
    const lines = (await readFile(outputFile, 'utf8')).trim().split('\n');
    return Object.fromEntries(lines.map((line) => line.split(/=(.*)/s).slice(0, 2)));
  };
  return { step, outputs };
}

test('the action annotates what collides with the target of the pull request', async ({
  checkout: { step, outputs },
}) => {
  const { code, stdout } = await step(0, {
    EVDB_ACTION_COMMAND: 'migrate validate',
    EVDB_ACTION_BASE: 'main',
  });
  expect(code).toBe(3);
  expect(stdout).toMatch(/^::error file=migrations\/002_mine.sql,line=1.*VERSION_COLLISION/m);
  const { 'exit-code': exitCode, 'comment-file': file = '' } = await outputs();
  expect(exitCode).toBe('3');
  expect(await readFile(file, 'utf8')).toContain('<!-- evdb migrate validate -->');
});

test('the action writes a SARIF file and a summary where all is well', async ({ checkout }) => {
  const { code } = await checkout.step(0, {
    EVDB_ACTION_COMMAND: 'migrate validate',
    EVDB_ACTION_SARIF: 'out/evdb.sarif',
  });
  expect(code).toBe(0);
  const log = JSON.parse(await readFile(join(checkout.dir, 'out/evdb.sarif'), 'utf8'));
  expect(log.version).toBe('2.1.0');
  expect(await readFile(join(checkout.dir, '../summary.md'), 'utf8')).toContain('✅ evdb');
});

test('the action runs no command that an input holds', async ({ checkout }) => {
  const { code } = await checkout.step(0, {
    EVDB_ACTION_COMMAND: 'migrate validate',
    EVDB_ACTION_ARGUMENTS: '--schema $(touch$IFS"pwned") ; touch pwned',
    EVDB_ACTION_BASE: '$(touch pwned)',
  });
  expect(code).not.toBe(0);
  expect(checkout.git('status', '--short')).toBe('');
});

test.for([
  ['node_modules/.bin/evdb', ''],
  // npm itself would ask its registry; this stands for it, and tells what it was called with.
  ['../bin/npx', '--yes evdb@0.1.0 '],
] as const)(
  'the action calls %s where no other way is named',
  async ([file, first], { checkout: { dir, step } }) => {
    const path = join(dir, file);
    await mkdir(join(path, '..'), { recursive: true });
    await writeFile(path, `#!/usr/bin/env bash\necho "$*" >"${dir}/../called"\n`);
    await chmod(path, 0o755);
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
    const { code } = await step(0, {
      PATH: `${join(dir, '../bin')}:${process.env.PATH}`,
      EVDB_ACTION_RUNNER: '',
      EVDB_ACTION_PATH: root,
      EVDB_ACTION_COMMAND: 'lint',
    });
    expect(code).toBe(0);
    const called = await readFile(join(dir, '../called'), 'utf8');
    expect(called).toContain(`${first.replace('0.1.0', version)}lint --format github`);
  },
);

test('the action writes over its earlier comment', async ({ checkout }) => {
  const { dir, step } = checkout;
  const bin = join(dir, '../bin');
  const file = join(dir, '../comment.md');
  await mkdir(bin);
  await writeFile(file, '<!-- evdb lint -->\n### x\n');
  // GitHub itself is not here; this stands for its client, and tells what it was called with.
  await writeFile(
    join(bin, 'gh'),
    `#!/usr/bin/env bash\necho "$*" >>"${dir}/../gh.log"\nif [ -z "$EARLIER" ]; then exit 0; fi\ncase "$*" in *--jq*) echo 42 ;; esac\n`,
  );
  await chmod(join(bin, 'gh'), 0o755);
  const inputs = {
    PATH: `${bin}:${process.env.PATH}`,
    EVDB_ACTION_FILE: file,
    EVDB_ACTION_PULL: '7',
    GITHUB_REPOSITORY: 'a/b',
  };
  expect((await step(1, { ...inputs, EARLIER: '' })).code).toBe(0);
  expect((await step(1, { ...inputs, EARLIER: '1' })).code).toBe(0);
  const calls = (await readFile(join(dir, '../gh.log'), 'utf8')).trim().split('\n');
  expect(calls[1]).toContain('repos/a/b/issues/7/comments -F body=@');
  expect(calls[3]).toContain('-X PATCH repos/a/b/issues/comments/42');
});

test('the action describes each input, and takes them as variables only', async () => {
  const { inputs, runs } = await readAction();
  expect(runs.using).toBe('composite');
  for (const { description } of Object.values(inputs)) expect(description).toMatch(/\S/);
  for (const { run } of runs.steps) expect(run).not.toContain('${{');
});
