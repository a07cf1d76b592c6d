import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdir, stat, symlink } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { expect, inject } from 'vitest';
import { test } from '../support/fixture.ts';
import { runCli, scrubEnvironment } from '../support/run-cli.ts';
import { until } from '../support/waiting.ts';
import { expectError } from './cli-kit.ts';

const bin = join(dirname(inject('evdbBin')), '../../.bin');

function whyNo(program: string): string | undefined {
  const { status } = spawnSync(program, ['--version']);
  return status === 0 ? undefined : `${program} is not installed`;
}

test.for(['bash', 'zsh', 'fish', 'powershell'])(
  'prints a script for %s, and nothing else',
  async (shell, { project }) => {
    const result = await runCli(['completion', shell], { cwd: project.dir });
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(result.stdout).toContain('complete');
    expect(result.stdout).toContain('evdb');
  },
);

test.for(['tcsh', ''])('refuses the shell "%s"', async (shell, { project }) => {
  const result = await runCli(['completion', shell], { cwd: project.dir });
  expectError(result, 'USAGE', 2);
  expect(result.stderr).toContain('bash, zsh, fish, powershell');
});

test('answers in the protocol of the scripts', async ({ project }) => {
  await project.migration('001_users', '');
  const ask = (...words: string[]) => runCli(['complete', '--', ...words], { cwd: project.dir });
  const versions = { code: 0, stdout: '001\tusers\n:36\n', stderr: '' };
  expect(await ask('migrate', 'up', '--to', '')).toMatchObject(versions);
  expect((await ask('stats', 'vac')).stdout).toMatch(/^vacuum\t.+\n:4\n$/);
});

test.for([
  ['evdb.config.json', '{ "environments": { "local": '],
  ['evdb.config.mjs', 'export default { environments: { local: {'],
  ['package.json', '{ "evdb": '],
  ['.evdbrc', '{ "environments"'],
] as const)('offers nothing where %s is broken: %s', async ([name, text], { project }) => {
  await project.write(name, text);
  for (const words of [
    ['--env', ''],
    ['--to', ''],
  ]) {
    const args = ['complete', '--', 'migrate', 'up', ...words];
    const expected = { code: 0, stdout: ':4\n', stderr: '' };
    expect(await runCli(args, { cwd: project.dir })).toMatchObject(expected);
  }
});

test('does not run a config file, nor wait for one that is a pipe', async ({ project }) => {
  await project.write('evdb.config.mjs', 'console.log("ran"); for (;;);');
  const args = ['complete', '--', 'migrate', 'up', '--env', ''];
  const nothing = { code: 0, stdout: ':4\n', stderr: '' };
  expect(await runCli(args, { cwd: project.dir })).toMatchObject(nothing);
  spawnSync('mkfifo', [join(project.dir, 'pipe.json')]);
  const env = { EVDB_CONFIG: 'pipe.json' };
  expect(await runCli(args, { cwd: project.dir, env })).toMatchObject(nothing);
});

test('is no command for people', async ({ project }) => {
  expectError(await runCli(['complete'], { cwd: project.dir }), 'USAGE', 2);
  const { stdout } = await runCli(['--help'], { cwd: project.dir });
  expect(stdout).not.toMatch(/^ {2}complete /m);
});

/** A shell in a terminal, with completion loaded; keys are typed, and the screen is what it echoes. */
async function openShell(
  command: string,
  cwd: string,
  PATH = `${bin}${delimiter}${process.env.PATH}`,
) {
  // What a shell leaves behind when it is killed is not to stand in the project.
  const HOME = inject('packedProject');
  const env = { ...scrubEnvironment(process.env), PATH, HOME, HISTFILE: '', TERM: 'dumb' };
  const child: ChildProcess = spawn('script', ['-qfec', command, '/dev/null'], { cwd, env });
  let screen = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    screen += text;
  });
  const shows = async (text: string) => {
    await until(() => plain(screen).includes(text)).catch((error) => {
      throw new Error(`${text} is not shown, but: ${JSON.stringify(screen)}`, { cause: error });
    });
  };
  const run = async (line: string) => {
    screen = '';
    // In front of it what is left of the line before is taken away.
    child.stdin?.write(`\u0015PS1='> '; ${line}; echo do''ne\n`);
    await shows('done');
    return plain(screen);
  };
  return {
    run,
    /** Types keys, and waits until the screen shows a text that was not there before. */
    type: async (keys: string, text: string) => {
      screen = '';
      child.stdin?.write(keys);
      await shows(text);
      const shown = plain(screen);
      await run(':');
      return shown;
    },
    [Symbol.dispose]: () => void child.kill('SIGKILL'),
  };
}

/** Without what moves the cursor or colours. */
function plain(screen: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what a terminal is told
  return screen.replace(/\u001b\[[\d;?]*[A-Za-z]|[\u0007\r]|.\u0008/g, '');
}

const noTerminal = whyNo('script');

test.skipIf(noTerminal ?? whyNo('bash'))('completes in bash', async ({ project }) => {
  await project.migration('001_users', '');
  await project.write('evdb.config.json', '{"environments": {"staging": {}}}');
  using shell = await openShell('bash --norc --noprofile -i', project.dir);
  // Twice, as it happens where a profile is loaded again.
  const load = 'eval "$(evdb completion bash)"';
  expect(await shell.run(`${load} && ${load}`)).not.toMatch(/bash:|error/);
  await shell.type('evdb mig\t', 'evdb migrate ');
  await shell.type('evdb migrate up --to \t', '--to 001 ');
  await shell.type('evdb migrate up --to=\t', '--to=001 ');
  await shell.type('evdb migrate up --env st\t', '--env staging ');
  await shell.type('evdb lint migra\t', 'evdb lint migrations/');
  await shell.type('npx evdb migrate stat\t', 'npx evdb migrate status ');
  await shell.type('evdb stats \t\t', 'missing-fk');
});

test.skipIf(noTerminal ?? whyNo('bash'))(
  'bash runs nothing of the line at a Tab, and says nothing where evdb is missing',
  async ({ project }) => {
    using shell = await openShell('bash --norc --noprofile -i', project.dir);
    await shell.run('eval "$(evdb completion bash)"');
    const line = 'evdb migrate up --to $(touch ran) > out.txt --dry-r\t';
    await shell.type(line, '--dry-run ');
    await expect(stat(join(project.dir, 'ran'))).rejects.toThrow('ENOENT');
    await expect(stat(join(project.dir, 'out.txt'))).rejects.toThrow('ENOENT');
    await shell.run('PATH=/usr/bin:/bin');
    expect(await shell.type('evdb mig\tX', 'evdb migX')).not.toContain('bash:');
  },
);

test.skipIf(noTerminal ?? whyNo('bash'))(
  'bash asks the evdb of the project where there is no other',
  async ({ project }) => {
    await mkdir(join(project.dir, 'node_modules/.bin'), { recursive: true });
    await mkdir(join(project.dir, 'sub'));
    await symlink(join(bin, 'evdb'), join(project.dir, 'node_modules/.bin/evdb'));
    const PATH = `${dirname(process.execPath)}${delimiter}/usr/bin${delimiter}/bin`;
    using shell = await openShell('bash --norc --noprofile -i', project.dir, PATH);
    await shell.run('eval "$(./node_modules/.bin/evdb completion bash)"');
    await shell.type('./node_modules/.bin/evdb mig\t', 'evdb migrate ');
    await shell.type('evdb mig\t', 'evdb migrate ');
    await shell.run('cd sub');
    await shell.type('npx evdb mig\t', 'npx evdb migrate ');
  },
);

test.skipIf(noTerminal ?? whyNo('zsh'))('completes in zsh', async ({ project }) => {
  await project.migration('001_users', '');
  await project.write('evdb.config.json', '{"environments": {"staging": {}}}');
  using shell = await openShell('zsh -f -i', project.dir);
  const load = 'source <(evdb completion zsh)';
  expect(await shell.run(`${load} && ${load}`)).not.toMatch(/zsh:|error/);
  await shell.type('evdb mig\t', 'evdb migrate ');
  await shell.type('evdb migrate up --to \t', '--to 001 ');
  await shell.type('evdb migrate up --env=st\t', '--env=staging ');
  await shell.type('evdb lint migra\t', 'evdb lint migrations/');
  await shell.type('npx evdb migrate stat\t', 'npx evdb migrate status ');
  await shell.type('evdb stats \t', 'missing-fk');
});

test.skipIf(whyNo('fish'))('completes in fish', async ({ project }) => {
  await project.migration('001_users', '');
  await project.write('evdb.config.json', '{"environments": {"staging": {}}}');
  const offered = (line: string) => {
    const script = 'evdb completion fish | source; complete -C $argv[1]';
    const env = {
      ...scrubEnvironment(process.env),
      PATH: `${bin}:${process.env.PATH}`,
      HOME: project.dir,
    };
    const { stdout, stderr } = spawnSync('fish', ['-c', script, line], {
      cwd: project.dir,
      env,
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    return stdout.split('\n').map((one) => one.split('\t')[0]);
  };
  expect(offered('evdb mig')).toEqual(['migrate', '']);
  expect(offered('evdb migrate up --to ')).toEqual(['001', '']);
  expect(offered('evdb migrate up --env=st')).toEqual(['--env=staging', '']);
  expect(offered('npx evdb migrate stat')).toEqual(['status', '']);
  expect(offered('evdb lint migra')).toEqual(['migrations/', '']);
  expect(offered('evdb migrate up --url (touch ran) --dry')).toEqual(['--dry-run', '']);
  await expect(stat(join(project.dir, 'ran'))).rejects.toThrow('ENOENT');
});

test('the script for PowerShell asks in the way that evdb answers', async ({ project }) => {
  const { stdout } = await runCli(['completion', 'powershell'], { cwd: project.dir });
  expect(stdout).toContain("Register-ArgumentCompleter -CommandName 'evdb'");
  expect(stdout).toContain(`"& evdb complete '--' $QuotedArgs"`);
  // It takes the last line for the directive, and all before for candidates.
  const answer = await runCli(['complete', '--', 'stats', ''], { cwd: project.dir });
  const lines = answer.stdout.trimEnd().split('\n');
  expect(lines.pop()).toMatch(/^:\d+$/);
  expect(lines.every((line) => /^[\w-]+\t\S.*$/.test(line))).toBe(true);
});
