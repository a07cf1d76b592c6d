import { expect } from 'vitest';
import { test } from './fixture.ts';
import { runCli, scrubEnvironment, startCli } from './run-cli.ts';

test('runs evdb without the settings of this machine', async ({ project }) => {
  const clean = scrubEnvironment({
    PATH: '/bin',
    PGHOST: 'a',
    DB_HOST: 'a',
    EVDB_URL: 'a',
    DATABASE_URL: 'a',
    npm_lifecycle_event: 'test',
    CI: 'true',
    FORCE_COLOR: '1',
  });
  expect(clean).toEqual({ PATH: '/bin', NO_COLOR: '1' });
  const { code, stdout } = await runCli(['--version'], { cwd: project.dir });
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  expect(code).toBe(0);
});

test('names the signal that ended evdb', async ({ project }) => {
  const running = startCli(['--version'], { cwd: project.dir });
  running.child.kill('SIGKILL');
  expect(await running.result).toMatchObject({ code: null, signal: 'SIGKILL' });
});

test('tells what evdb printed where it ends before the awaited text', async ({ project }) => {
  const running = startCli(['--version'], { cwd: project.dir });
  await expect(running.printed('no such text')).rejects.toThrow(/\d+\.\d+\.\d+/);
});
