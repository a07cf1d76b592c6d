import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { scrubEnvironment } from '../support/run-cli.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const LEFT_OUT = ['node_modules', 'dist', '.git', '.cache', '.evdb', 'coverage'];
const runMs = 300_000;
let copy = '';

// The project itself stays as it is: what is written is written into a copy of it.
beforeAll(() => {
  copy = mkdtempSync(join(tmpdir(), 'evdb-test-new-'));
  cpSync(root, copy, { recursive: true, filter: (path) => !LEFT_OUT.includes(basename(path)) });
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
}, runMs);

afterAll(() => rmSync(copy, { recursive: true, force: true }));

/** Runs a script of the copy, or of a package. */
function run(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: copy,
    env: scrubEnvironment(process.env),
    encoding: 'utf8',
    timeout: runMs,
  });
  return { code: status, stdout, stderr };
}

const read = (path: string) => readFileSync(join(copy, path), 'utf8');
const passes = (...args: string[]) => expect(run(...args)).toMatchObject({ code: 0 });

test(
  'what npm run new writes compiles, is in order, and passes the tests of lists and pages',
  () => {
    const rule = run('scripts/new.mjs', 'rule', 'lost-comment');
    expect(rule).toMatchObject({ code: 0, stderr: '' });
    expect(rule.stdout).toContain('created  docs/rules/lost-comment.md\n');
    expect(read('docs/rules/README.md')).toContain('[lost-comment](lost-comment.md)');
    const check = run('scripts/new.mjs', 'check', 'notify-queue');
    expect(check).toMatchObject({ code: 0, stderr: '' });
    expect(read('docs/doctor.md')).toContain('| `notify-queue` ');
    const command = run('scripts/new.mjs', 'command', 'where-from');
    expect(command).toMatchObject({ code: 0, stderr: '' });
    expect(read('docs/README.md')).toContain('[evdb where-from](where-from.md)');
    expect(read('docs/reference/cli.md')).toContain('## evdb where-from\n');
    passes('node_modules/typescript/bin/tsc', '-p', 'tsconfig.json');
    passes('node_modules/@biomejs/biome/bin/biome', 'check', '--error-on-warnings', 'src', 'test');
    passes('node_modules/knip/bin/knip.js');
    passes('scripts/schemas.mjs', '--check');
    const tests = ['lost-comment', 'notify-queue', 'rule-pages', 'doctor/ignore', 'architecture'];
    passes('node_modules/vitest/vitest.mjs', 'run', '--project', 'unit', ...tests);
    passes('scripts/build.mjs', '--no-check');
    expect(run('bin/evdb.js', 'where-from')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('migrations'),
    });
  },
  runMs,
);

test.each([
  [['rule', 'lock-table'], 1, 'src/lint/rules/lock-table.ts already exists'],
  [['rule', 'Lock Table'], 2, 'Usage: npm run new'],
  [['table', 'people'], 2, 'Usage: npm run new'],
  [['rule'], 2, 'Usage: npm run new'],
  [[], 2, 'Usage: npm run new'],
])('npm run new refuses %j, and writes nothing', (args, code, message) => {
  const result = run('scripts/new.mjs', ...args);
  expect(result).toMatchObject({ code, stdout: '', stderr: expect.stringContaining(message) });
  expect(existsSync(join(copy, 'src/lint/rules/Lock Table.ts'))).toBe(false);
});
