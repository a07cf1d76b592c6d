import { describe, expect, it } from 'vitest';
import type { Config } from '../../src/config/resolve.ts';
import { resolveConfig } from '../../src/config/resolve.ts';
import type { PasswordTarget } from '../../src/connection/options.ts';
import { useConfigProject } from './config-kit.ts';

const project = useConfigProject();
const { write, resolve } = project;

const TARGET: PasswordTarget = {
  host: 'db',
  port: 5433,
  user: 'app',
  database: 'shop',
  signal: new AbortController().signal,
};

const URL_WITHOUT = 'postgres://app@db:5433/shop';

/** The password of the connection, and what `evdb config` says of it. */
async function passwordOf(
  config: Config,
  which: 'connection' | 'migrationConnection' = 'connection',
) {
  const connection = config[which];
  if (connection?.kind !== 'server') throw new Error('no server was configured');
  const { password } = connection.options;
  const entry = config.entries.find(({ key }) => key === `${which}.password`);
  const text = typeof password === 'function' ? await password(TARGET) : password;
  return { text, value: entry?.value, source: entry?.source };
}

describe('a password beside what names the database', () => {
  it.each([
    ['text of the config file', { file: { password: 's3cret' } }, 'evdb.config.json'],
    ['a variable', { env: { EVDB_PASSWORD: 's3cret' } }, 'environment EVDB_PASSWORD'],
    ['a line of .env', { dotenv: 'EVDB_PASSWORD=s3cret' }, '.env EVDB_PASSWORD'],
    [
      'a command of the config file',
      { file: { passwordCommand: 'echo s3cret' } },
      'evdb.config.json passwordCommand',
    ],
    [
      'a command of the environment',
      { env: { EVDB_PASSWORD_COMMAND: 'echo s3cret' }, file: { password: 'other' } },
      'environment EVDB_PASSWORD_COMMAND',
    ],
    [
      'one before those of libpq',
      { env: { PGPASSWORD: 'other' }, file: { password: 's3cret' } },
      'evdb.config.json',
    ],
  ])('is %s', async (_, sources, source) => {
    for (const named of [{ flags: { url: URL_WITHOUT } }, { env: { DB_HOST: 'db' } }]) {
      const env = { ...('env' in sources && sources.env), ...named.env };
      const config = await resolve({ ...sources, ...named, env });
      expect(await passwordOf(config)).toEqual({ text: 's3cret', value: '***', source });
    }
  });

  it('does not count where that has one itself', async () => {
    const config = await resolve({
      flags: { url: 'postgres://app:own@db/shop' },
      file: { passwordCommand: 'exit 1' },
    });
    expect(await passwordOf(config)).toMatchObject({ text: 'own' });
  });

  it('is that of the environment of the config file', async () => {
    const config = await resolve({
      flags: { env: 'production' },
      file: {
        url: URL_WITHOUT,
        migrationUrl: 'postgres://owner@db/shop',
        passwordCommand: 'echo top',
        environments: { production: { password: 's3cret' } },
      },
    });
    const source = 'evdb.config.json environments.production';
    expect(await passwordOf(config)).toMatchObject({ text: 's3cret', source });
    expect(await passwordOf(config, 'migrationConnection')).toMatchObject({
      text: 's3cret',
      source,
    });
  });

  it('is a function, which is told what it is for', async () => {
    write(
      'evdb.config.mjs',
      'export default { password: async ({ host, port, user, database }) => [host, port, user, database].join() };',
    );
    const config = await resolve({ flags: { url: URL_WITHOUT } });
    expect(await passwordOf(config)).toEqual({
      text: 'db,5433,app,shop',
      value: '***',
      source: 'evdb.config.mjs',
    });
  });

  it.each([
    ['both in one place', { file: { password: 'a', passwordCommand: 'b' } }],
    ['a command in .env', { dotenv: 'EVDB_PASSWORD_COMMAND=touch ran' }],
    ['a number', { file: { password: 5 } }],
    ['a list without a program', { file: { passwordCommand: [] } }],
    ['a list of others than text', { file: { passwordCommand: ['echo', 1] } }],
  ])('is refused where it is %s', async (_, sources) => {
    await expect(resolve({ ...sources, flags: { url: URL_WITHOUT } })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
  });
});

describe('a password command', () => {
  const ask = async (passwordCommand: string | string[]) => {
    const config = await resolve({ flags: { url: URL_WITHOUT }, file: { passwordCommand } });
    return (await passwordOf(config)).text;
  };

  it('goes through a shell as text, with the target in variables and nothing put into it', async () => {
    const text = await ask('printf "%s " "$PGHOST" "$PGPORT" "$PGUSER" "$PGDATABASE" | tr " " -');
    expect(text).toBe('db-5433-app-shop-');
  });

  it('goes through no shell as a list', async () => {
    const sentence = '$PGHOST; echo "two" | cat';
    expect(await ask(['printf', '%s', sentence])).toBe(sentence);
  });

  it('runs in the folder of the config file', async () => {
    write('sub/package.json', '{}');
    write('token', 's3cret\n');
    const file = write('evdb.config.json', '{ "passwordCommand": "cat token" }');
    const config = await resolveConfig({
      cwd: `${project.dir}/sub`,
      env: {},
      flags: { url: URL_WITHOUT, config: file },
    });
    expect((await passwordOf(config)).text).toBe('s3cret');
  });

  it('loses the ends of lines and nothing else', async () => {
    expect(await ask(['printf', '%s', ' s3cret \r\n\n'])).toBe(' s3cret ');
  });

  it.each([
    ['echo s3cret; echo s3cret >&2; exit 3', 'ended with exit code 3'],
    ['kill -9 $$', 'was ended by SIGKILL'],
    ['true', 'printed nothing'],
    ['echo', 'printed nothing'],
    ['echo s3cret; echo s3cret', 'printed more than one line'],
    ['yes s3cret', 'printed more than 64 kB'],
    [['no-such-program-s3cret'], 'cannot be started (ENOENT)'],
  ])('that gives none is an error without what it printed: %s', async (command, what) => {
    const error = await ask(command).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'PASSWORD_UNAVAILABLE',
      message: `evdb.config.json passwordCommand: the command ${what}`,
    });
    expect(JSON.stringify(error)).not.toContain('s3cret');
    expect(error).not.toHaveProperty('cause');
  });

  it('ends where it takes too long, or nobody waits for it any more', async () => {
    const { runPasswordCommand } = await import('../../src/config/password-command.ts');
    const command = {
      command: ['sleep', '100'],
      cwd: project.dir,
      source: 'test',
      timeLimitMs: 100,
    };
    await expect(runPasswordCommand(command, TARGET)).rejects.toMatchObject({
      code: 'PASSWORD_UNAVAILABLE',
      message: expect.stringContaining('did not end within 0.1 s'),
    });
    const stopping = new AbortController();
    const running = runPasswordCommand(
      { ...command, timeLimitMs: 50_000 },
      { ...TARGET, signal: stopping.signal },
    );
    stopping.abort();
    await expect(running).rejects.toMatchObject({ code: 'PASSWORD_UNAVAILABLE' });
  });
});
