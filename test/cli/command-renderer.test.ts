import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { createCommandRenderer } from '../../src/cli/command-renderer.ts';
import { type CliContext, processContext } from '../../src/cli/context.ts';
import { ROLLING_BACK_MIGRATIONS, withStop } from '../../src/cli/exit-codes.ts';
import { buildProgram } from '../../src/cli/run.ts';
import { commandLine, sameCommand, withCommandRenderer } from '../../src/text/command-line.ts';

const folder = mkdtempSync(join(tmpdir(), 'evdb-launch-'));
afterAll(() => rmSync(folder, { recursive: true }));

const scripts = {
  migrate: 'evdb migrate',
  tool: 'evdb',
  live: 'evdb migrate down --env live',
  wrapped: 'dotenv -- evdb migrate',
  first: 'evdb migrate up && node server.js',
  node: 'node deploy.js',
};
writeFileSync(join(folder, 'package.json'), JSON.stringify({ scripts }));

interface Called {
  args: string[];
  env?: Record<string, string>;
  programPath?: string;
  platform?: NodeJS.Platform;
}

const REAL = processContext(process);
const INSTALLED = { PATH: '/usr/bin:/usr/local/bin' };

/** What is printed where evdb was called like this. */
function print(called: Called, write: () => string): string {
  const context: CliContext = {
    ...REAL,
    cwd: folder,
    env: { ...INSTALLED, ...called.env },
    programPath: called.programPath ?? '/usr/local/bin/evdb',
    platform: called.platform ?? 'linux',
  };
  const build = () => buildProgram(context, { exitCode: 0, command: '' });
  return withCommandRenderer(createCommandRenderer(build, called.args, context), write);
}

const reset = () => sameCommand('migrate reset', { confirm: true });
const run = (name: string, manager = 'npm') => ({
  npm_config_user_agent: `${manager}/9.0.0 node/v20`,
  npm_lifecycle_event: name,
  npm_command: manager === 'npm' ? 'run' : 'run-script',
});
const npx = { npm_config_user_agent: 'npm/11', npm_command: 'exec', npm_lifecycle_event: 'npx' };

it('is known to what a signal interrupts', async () => {
  let interrupt = () => {};
  const context = {
    note: () => undefined,
    onInterrupt: (callback: () => void) => {
      interrupt = callback;
      return () => undefined;
    },
  } as unknown as CliContext;
  const work = (signal: AbortSignal) =>
    new Promise((_, reject) => {
      signal.onabort = () => reject(signal.reason);
    });
  const running = withCommandRenderer(
    () => 'npx evdb migrate status',
    () => withStop(context, ROLLING_BACK_MIGRATIONS, work),
  );
  interrupt();
  await expect(running).rejects.toMatchObject({
    hint: expect.stringContaining('`npx evdb migrate status`'),
  });
});

it('stands in the examples of help as evdb was called', () => {
  const build = () => buildProgram(processContext(process), { exitCode: 0, command: '' });
  const lint = build().commands.find((one) => one.name() === 'lint');
  let text = '';
  lint?.configureOutput({
    writeOut: (part) => {
      text += part;
    },
  });
  withCommandRenderer(
    () => 'npx evdb',
    () => lint?.outputHelp(),
  );
  expect(text).toMatch(/\n {2}\$ npx evdb lint/);
});

describe('the command that runs now, once more', () => {
  it.each<[string[], string]>([
    [['--schema', 'tenant_a'], '--schema tenant_a --confirm'],
    [['--schema=tenant_a', '--verbose'], '--schema tenant_a --verbose --confirm'],
    [['--schema', "o'x $(id)"], "--schema 'o'\\''x $(id)' --confirm"],
    [['--schema', '--confirm', '--embedded'], '--schema=--confirm --embedded --confirm'],
    [['--confirm', '--lock-wait', '5s'], '--lock-wait 5s --confirm'],
    [['--url', 'postgres://app:s3cret@db/shop'], '--url "$EVDB_URL" --confirm'],
    [['--url', 'postgres://app@db/shop'], '--url postgres://app@db/shop --confirm'],
    // It would be refused, and leaving it out might do what was not meant.
    [['--unknown', '--env', 'live'], '--env live --confirm --unknown'],
  ])('keeps what it was given: %j', (args, expected) => {
    expect(print({ args: ['migrate', 'reset', ...args] }, reset)).toBe(
      `evdb migrate reset ${expected}`,
    );
  });

  it('names for a secret no variable that holds another one', () => {
    const args = ['migrate', 'reset', '--url', 'postgres://app:s3cret@db/shop'];
    const other = { EVDB_URL: 'postgres://db/live' };
    expect(print({ args, env: other }, reset)).toContain('--url "$DATABASE_URL"');
    const both = { ...other, DATABASE_URL: 'postgres://db/live' };
    expect(print({ args, env: both }, reset)).toContain("--url 'postgres://app:***@db/shop'");
  });

  it('keeps its arguments, also those that look like options', () => {
    const again = () => sameCommand('migrate create', { sequential: true });
    const args = ['migrate', 'create', '--timestamp', '--', '--odd name'];
    expect(print({ args }, again)).toBe(
      "evdb migrate create --timestamp --sequential -- '--odd name'",
    );
  });

  it('leaves out what it must not be given', () => {
    const again = () => sameCommand('events list', { after: 'x' }, { without: ['from'] });
    const args = ['events', 'list', '--from', '2026-01-01', '--after', 'w', '--limit', '5'];
    expect(print({ args }, again)).toBe('evdb events list --limit 5 --after x');
  });

  it('names a URL with a password by the variable that holds it', () => {
    const url = 'postgres://app:s3cret@db/shop';
    const args = ['migrate', 'reset', '--url', url];
    expect(print({ args, env: { EVDB_URL: url } }, reset)).toBe(
      'evdb migrate reset --url "$EVDB_URL" --confirm',
    );
    expect(print({ args, env: { PROD: url } }, reset)).toContain('--url "$PROD" --confirm');
  });

  it('names the target that variables gave, where data would be lost', () => {
    const env = { DATABASE_URL: 'postgres://a:b@c/d', EVDB_ENV: 'live', EVDB_SCHEMA: "t'1" };
    expect(print({ args: ['migrate', 'reset', '--env', 'test'], env }, reset)).toBe(
      `evdb migrate reset --env test --confirm --url "$DATABASE_URL" --schema 't'\\''1'`,
    );
    expect(print({ args: ['migrate', 'reset', '--embedded'], env }, reset)).not.toContain('--url');
  });
});

describe('another command', () => {
  it('keeps the target alone, as far as it takes it', () => {
    const args = ['migrate', 'up', '--to', '3', '--schema', 'a b', '--migrations-dir', 'm'];
    const { status, locks } = {
      status: () => commandLine('migrate status', { all: true }),
      locks: () => commandLine('stats locks'),
    };
    expect(print({ args }, status)).toBe(
      "evdb migrate status --schema 'a b' --migrations-dir m --all",
    );
    expect(print({ args }, locks)).toBe('evdb stats locks');
    expect(print({ args: ['doctor', '--url', 'postgres://h/d'] }, locks)).toBe(
      'evdb stats locks --url postgres://h/d',
    );
  });

  it('has the target that it says itself', () => {
    const args = ['migrate', 'up', '--schema', 'a'];
    expect(print({ args }, () => commandLine('migrate up', { schema: 'b' }))).toBe(
      'evdb migrate up --schema b',
    );
  });
});

describe('a command is printed as evdb was called', () => {
  const given = ['--schema', 'x'];
  const args = ['migrate', 'reset', ...given];
  const rest = 'reset --schema x --confirm';

  it.each<[string, Partial<Called>, string]>([
    ['by npx', { env: npx }, `npx evdb migrate ${rest}`],
    ['by a script', { env: run('migrate') }, `npm run migrate -- ${rest}`],
    ['by a script for evdb', { env: run('tool') }, `npm run tool -- migrate ${rest}`],
    ['by a script of pnpm', { env: run('migrate', 'pnpm') }, `pnpm run migrate ${rest}`],
    ['by a script of yarn', { env: run('migrate', 'yarn') }, `yarn run migrate ${rest}`],
    ['by a wrapped script', { env: run('wrapped') }, `npm run wrapped -- ${rest}`],
    ['in the midst of a script', { env: run('first') }, `npx evdb migrate ${rest}`],
    ['by a program of a script', { env: run('node') }, `npx evdb migrate ${rest}`],
    ['by bun', { env: { npm_config_user_agent: 'bun/1.2' } }, `bunx evdb migrate ${rest}`],
    [
      'by pnpm exec',
      { env: { npm_config_user_agent: 'pnpm/9', npm_command: 'exec' } },
      `pnpm exec evdb migrate ${rest}`,
    ],
    [
      'by pnpm dlx',
      {
        env: { npm_config_user_agent: 'pnpm/9' },
        programPath: '/home/ann/.cache/pnpm/dlx/ab12/node_modules/evdb/bin/evdb.js',
      },
      `pnpm dlx evdb migrate ${rest}`,
    ],
    [
      'by its path in a project',
      { programPath: '/srv/node_modules/.bin/evdb' },
      `npx evdb migrate ${rest}`,
    ],
    ['by node', { programPath: join(folder, 'bin/evdb.js') }, `node bin/evdb.js migrate ${rest}`],
    ['by a path', { programPath: join(folder, 'evdb') }, `./evdb migrate ${rest}`],
    [
      'from another folder',
      { env: { ...run('migrate'), INIT_CWD: join(folder, '..', 'else where') } },
      `cd ../${folder.split('/').at(-1)} && npm run migrate -- ${rest}`,
    ],
    [
      'from a folder below',
      { env: { ...run('migrate'), INIT_CWD: join(folder, 'src') } },
      `npm run migrate -- ${rest}`,
    ],
  ])('%s', (_, called, expected) => {
    expect(print({ args, ...called }, reset)).toBe(expected);
  });

  it('without what the script gives by itself', () => {
    const args = ['migrate', 'down', '--env', 'live', '--steps', '2'];
    const again = () => sameCommand('migrate down', { confirm: true });
    expect(print({ args, env: run('live') }, again)).toBe('npm run live -- --steps 2 --confirm');
    expect(print({ args, env: run('live') }, () => commandLine('migrate status'))).toBe(
      'npx evdb migrate status --env live',
    );
  });

  it('without the script where pnpm would double a backslash', () => {
    const args = ['migrate', 'reset', '--schema', 'a\\b'];
    expect(print({ args, env: run('migrate', 'pnpm') }, reset)).toBe(
      "pnpm exec evdb migrate reset --schema 'a\\b' --confirm",
    );
  });

  it('with the package that npx fetched, because it would fetch another', () => {
    const cache = join(folder, '_npx', '0bb0');
    const programPath = join(cache, 'node_modules/.bin/evdb');
    const printed = (spec: string) => {
      mkdirSync(cache, { recursive: true });
      writeFileSync(join(cache, 'package.json'), JSON.stringify({ _npx: { packages: [spec] } }));
      return print({ args, env: npx, programPath }, reset);
    };
    expect(printed('evdb@0.1.0')).toBe(`npx evdb@0.1.0 migrate ${rest}`);
    expect(printed('/tmp/my evdb.tgz')).toBe(
      `npx --package '/tmp/my evdb.tgz' -- evdb migrate ${rest}`,
    );
  });

  it('for the shell of Windows that it was called from', () => {
    const windows = (env: Record<string, string>) =>
      print({ args: ['migrate', 'reset', '--schema', "a'b"], platform: 'win32', env }, reset).split(
        ' --schema ',
      )[1];
    expect(windows({ PSModulePath: 'a;b;c' })).toBe("'a''b' --confirm");
    expect(windows({ PSModulePath: 'a;b' })).toBe('"a\'b" --confirm');
    expect(windows({ MSYSTEM: 'MINGW64' })).toBe("'a'\\''b' --confirm");
  });
});

it('a program that is not the command line prints plain commands', () => {
  expect(sameCommand('migrate repair', { as: 'done' }, { args: ["1'2"] })).toBe(
    "evdb migrate repair '1'\\''2' --as done",
  );
});
