import { spawn } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, inject } from 'vitest';
import { test as base } from '../support/fixture.ts';
import { type CliResult, pasteCommand, scrubEnvironment } from '../support/run-cli.ts';
import { expectHint, expectNoStack, parseJson, readContents } from './cli-kit.ts';

interface NpmProject {
  dir: string;
  /** Runs `npm run migrate` with these words behind it. */
  npmRunMigrate(...words: string[]): Promise<CliResult>;
}

/** `npm`: a project whose script `migrate` is evdb's, and two migrations. */
const test = base.extend<{ npm: NpmProject }>({
  npm: async ({ project, emptyDb }, use) => {
    const scripts = { migrate: `node "${inject('evdbBin')}" migrate` };
    await project.write('package.json', JSON.stringify({ private: true, scripts }));
    await project.migration('001_users', 'create table users (id integer);', 'drop table users;');
    await project.migration(
      '002_events',
      'create table events (id integer);',
      'drop table events;',
    );
    const env = { ...npmEnvironment(project.dir), EVDB_URL: emptyDb.url };
    const npmRunMigrate = (...words: string[]) =>
      runNpm(['run', 'migrate', ...words], project.dir, env);
    await use({ dir: project.dir, npmRunMigrate });
  },
});

/** Nothing of this machine's npm: neither its settings nor its cache. */
function npmEnvironment(dir: string): NodeJS.ProcessEnv {
  return {
    ...scrubEnvironment(process.env),
    npm_config_cache: join(dir, '.npm'),
    npm_config_userconfig: join(dir, 'no-npmrc'),
    npm_config_globalconfig: join(dir, 'no-global-npmrc'),
    npm_config_update_notifier: 'false',
  };
}

function runNpm(words: string[], cwd: string, env: NodeJS.ProcessEnv): Promise<CliResult> {
  const child = spawn('npm', words, {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 50_000,
    killSignal: 'SIGKILL',
    shell: process.platform === 'win32',
  });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
    });
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, ...output }));
  });
}

test('works as documented, word by word', async ({ npm: { npmRunMigrate, dir } }) => {
  const up = await npmRunMigrate('up');
  expect(up.stdout).toContain('applied 2 migrations');
  expect(up.code).toBe(0);
  const status = await npmRunMigrate('status');
  expect(status.stdout).toContain('2 migrations in schema public: 2 applied');
  expect(status.code).toBe(0);
  const create = await npmRunMigrate('create', 'add_new_feature');
  expect(create.stdout).toContain('created  migrations/003_add_new_feature.sql');
  expect(await readdir(join(dir, 'migrations'))).toContain('003_add_new_feature.down.sql');
  const validate = await npmRunMigrate('validate');
  expect(validate.stdout).toContain('EMPTY_FILE');
  expect(validate.code).toBe(3);
  const down = await npmRunMigrate('down');
  expect(down.stdout).toContain('rolled back  002_events');
  expect(down.code).toBe(0);
});

test('resets with --confirm as it is typed, and without it does not', async ({
  npm: { npmRunMigrate },
  emptyDb,
}) => {
  await npmRunMigrate('up');
  await emptyDb.sql`insert into users values (1)`;
  for (const flags of [[], ['--no-confirm'], ['--confirm=false']]) {
    const refused = await npmRunMigrate('reset', ...flags);
    expect(refused.stderr).toContain('error CONFIRM_REQUIRED');
    expect(refused.code).toBe(2);
  }
  expect(await emptyDb.sql`select id from users`).toEqual([{ id: 1 }]);
  const reset = await npmRunMigrate('reset', '--confirm');
  expect(reset.code).toBe(0);
  expect(await emptyDb.sql`select id from users`).toEqual([]);
});

test.for(['up', 'down', 'redo'])(
  'takes %s --dry-run for the dry run that it is',
  async (command, { npm: { npmRunMigrate }, emptyDb }) => {
    if (command !== 'up') await npmRunMigrate('up');
    const before = await readContents(emptyDb.sql);
    const { code, stdout } = await npmRunMigrate(command, '--dry-run');
    expect(stdout).toContain('Nothing was changed (--dry-run).');
    expect(code).toBe(0);
    expect(await readContents(emptyDb.sql)).toEqual(before);
  },
);

test('gives JSON where that is asked for, also for an error', async ({
  npm: { npmRunMigrate },
}) => {
  // npm prints a banner before and, for a failure, a JSON of its own behind.
  const ofEvdb = (result: CliResult) => ({
    ...result,
    stdout: /^\{[\s\S]*?^\}$/m.exec(result.stdout)?.[0] ?? '',
  });
  const status = await npmRunMigrate('status', '--json');
  expect(parseJson(ofEvdb(status))).toMatchObject({ counts: { pending: 2 } });
  const surplus = await npmRunMigrate('status', 'surplus', '--json');
  expect(parseJson(ofEvdb(surplus))).toMatchObject({ ok: false, error: { code: 'USAGE' } });
});

const SWALLOWED = [
  ['up', '--to', '001'],
  ['up', '--to=001'],
  ['up', '--steps', '1'],
  ['up', '--steps=1'],
  ['up', '--strict'],
  ['up', '--out-of-order'],
  ['up', '--verbose'],
  ['up', '--schema', 'x'],
  ['up', '--schema=x'],
  ['up', '--url', 'postgres://app@127.0.0.1:1/app'],
  ['up', '--embedded'],
  ['up', '--env', 'production'],
  ['up', '--env=production'],
  ['up', '--config', 'other.json'],
  ['up', '--migrations-dir', 'other'],
  ['up', '--lock-wait', '5s'],
  ['up', '--lock-timeout=5s'],
  ['up', '--statement-timeout', '5s'],
  ['up', '--dryrun'],
  ['up', '--check'],
  ['up', '--confirm'],
  ['up', '3'],
  ['down', '--to', '0'],
  ['down', '--steps', '2'],
  ['down', '--from-ledger'],
  ['status', '--check'],
  ['status', '--all'],
  ['create', 'x', '--sequential'],
  ['create', 'x', '--timestamp'],
  ['create', 'x', '--no-transaction'],
  ['create', 'x', '--irreversible'],
  ['create', 'x', '--dry-run'],
  ['create', 'two', 'words'],
  ['reset', '--confirm', '--dry-run'],
  ['reset', '--confirm', '--schema', 'x'],
  ['reset', '--confirm=perhaps'],
];

test('refuses every flag that npm keeps, says how to pass it, and does nothing', async ({
  npm: { npmRunMigrate, dir },
  emptyDb,
}) => {
  await npmRunMigrate('up');
  await emptyDb.sql`insert into users values (1)`;
  const before = [await readContents(emptyDb.sql), await readdir(join(dir, 'migrations'))];
  for (const words of SWALLOWED) {
    const result = await npmRunMigrate(...words);
    expect.soft({ words, code: result.code }).toEqual({ words, code: 2 });
    expect.soft(result.stderr).toContain('error USAGE  ');
    expect.soft(result.stderr).toContain('npm run migrate -- …');
    expectHint(result);
    expectNoStack(result);
  }
  expect([await readContents(emptyDb.sql), await readdir(join(dir, 'migrations'))]).toEqual(before);
}, 180_000);

test('gets every flag behind two dashes', async ({ npm: { npmRunMigrate, dir }, emptyDb }) => {
  const up = await npmRunMigrate('--', 'up', '--to', '001', '--verbose');
  expect(up.stdout).toContain('applied      001_users');
  expect(up.stderr).toContain('001_users:1  ');
  expect(await emptyDb.sql`select label from evdb.migration`).toEqual([{ label: '001' }]);
  const create = await npmRunMigrate('--', 'create', 'x', '--no-transaction');
  expect(create.code).toBe(0);
  const text = await readFile(join(dir, 'migrations/003_x.sql'), 'utf8');
  expect(text).toContain('-- evdb: no-transaction');
});

test("is not confused by npm's own settings", async ({ npm: { npmRunMigrate, dir }, project }) => {
  await project.write('.npmrc', 'loglevel=warn\nsave-exact=true\nengine-strict=true\nfund=false\n');
  const { code, stdout } = await npmRunMigrate('up');
  expect(stdout).toContain('applied 2 migrations');
  expect(code).toBe(0);
  expect(await readdir(dir)).toContain('.npmrc');
});

test('is named as npm called it in a command that can be pasted', async ({
  npm: { npmRunMigrate, dir },
  emptyDb,
}) => {
  await npmRunMigrate('--', 'up', '--schema', 'a $(b)');
  await emptyDb.sql`insert into "a $(b)".users values (1)`;
  const { stderr } = await npmRunMigrate('--', 'reset', '--schema', 'a $(b)');
  const [, printed = ''] = /If that is intended: (.*)\n/.exec(stderr) ?? [];
  expect(printed).toBe("npm run migrate -- reset --schema 'a $(b)' --confirm");
  const env = { ...npmEnvironment(dir), EVDB_URL: emptyDb.url };
  expect(await pasteCommand(printed, { cwd: dir, env })).toMatchObject({ code: 0 });
  expect(await emptyDb.sql`select * from "a $(b)".users`).toEqual([]);
});

test('leaves to npx the --yes that was given to npx', async ({ npm: { dir } }) => {
  const env = { ...npmEnvironment(dir), npm_config_yes: 'true' };
  const line = `node "${inject('evdbBin')}" init --empty`;
  const packageFile = JSON.parse(await readFile(join(dir, 'package.json'), 'utf8'));
  await writeFile(
    join(dir, 'package.json'),
    JSON.stringify({ ...packageFile, scripts: { set: line } }),
  );
  expect(await runNpm(['run', 'set'], dir, env)).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('created  evdb.config.mjs'),
  });
});
