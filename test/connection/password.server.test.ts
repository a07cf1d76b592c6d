import { expect } from 'vitest';
import { resolveConfig } from '../../src/config/resolve.ts';
import { parseConnectionUrl } from '../../src/config/url.ts';
import type {
  ConnectionOptions,
  PasswordFunction,
  PasswordTarget,
} from '../../src/connection/options.ts';
import { openSession } from '../../src/connection/session.ts';
import { DatabasePool } from '../../src/pool/pool.ts';
import { createRole } from '../support/databases.ts';
import { test as base, type TestDatabase } from '../support/fixture.ts';
import { failureOf } from '../support/waiting.ts';

/** A role whose password is renewed as those of hosted databases are. */
interface Tokens {
  /** Without a password. */
  url: string;
  options: Partial<ConnectionOptions>;
  current: string;
  renew(): Promise<string>;
}

const test = base.extend<{ tokens: Tokens }>({
  tokens: async ({ emptyDb, skip }, use) => {
    const role = await createRole(emptyDb);
    const url = new URL(role.url);
    url.password = 'wrong';
    const opening = openSession(parseConnectionUrl(url.href).options);
    const intruder = await opening.catch(() => undefined);
    await intruder?.close();
    if (intruder !== undefined) await role.remove();
    skip(intruder !== undefined, 'this server lets everybody in');
    url.password = '';
    let count = 0;
    const tokens: Tokens = {
      url: url.href,
      options: parseConnectionUrl(url.href).options,
      current: '',
      renew: async () => {
        tokens.current = `token_${++count}`;
        await setPassword(emptyDb, role.name, tokens.current);
        return tokens.current;
      },
    };
    await tokens.renew();
    await use(tokens);
    await role.remove();
  },
});

async function setPassword({ sql }: TestDatabase, role: string, password: string): Promise<void> {
  await sql.unsafe(`alter role ${role} password '${password}'`);
}

test('asks a function anew for each connection, and tells it which one', async ({ tokens }) => {
  const asked: PasswordTarget[] = [];
  const options = {
    ...tokens.options,
    password: async (target: PasswordTarget) => {
      asked.push(target);
      return tokens.current;
    },
  };
  for (let round = 0; round < 2; round++) {
    const session = await openSession(options);
    // What is opened beside it asks as well.
    const beside = await openSession(session.options);
    expect(await beside.run('select 1 as one')).toEqual([{ one: 1 }]);
    await Promise.all([session.close(), beside.close()]);
    await tokens.renew();
  }
  const { hosts, user, database } = tokens.options;
  expect(asked).toHaveLength(4);
  expect(asked[0]).toMatchObject({ ...hosts?.[0], user, database });
});

const FAILURES: [title: string, password: PasswordFunction, what: string][] = [
  ['throws', () => Promise.reject(new Error('no role')), 'failed: no role'],
  [
    'throws at once',
    () => {
      throw new Error('postgres://a:s3cret@h');
    },
    'failed: postgres://a:***@h',
  ],
  ['gives nothing', () => Promise.resolve(undefined as never), 'gave nothing'],
  ['gives an empty text', () => '', 'gave an empty text'],
  ['gives a number', () => 5 as never, 'gave a number, not a text'],
];

test.for(FAILURES)(
  'opens nothing where the function %s',
  async ([, password, what], { tokens }) => {
    const hosts = [...(tokens.options.hosts ?? []), ...(tokens.options.hosts ?? [])];
    expect(await failureOf(openSession({ ...tokens.options, hosts, password }))).toMatchObject({
      code: 'PASSWORD_UNAVAILABLE',
      message: `the function for the password ${what}`,
    });
  },
);

test('stops to wait for a function with its caller', async ({ tokens }) => {
  const stopping = new AbortController();
  let isTold = false;
  const password = ({ signal }: PasswordTarget) => {
    signal.addEventListener('abort', () => {
      isTold = true;
    });
    setTimeout(() => stopping.abort(new Error('enough')), 10);
    return new Promise<string>(() => undefined);
  };
  const opening = openSession({ ...tokens.options, password }, { signal: stopping.signal });
  expect(await failureOf(opening)).toMatchObject({ message: 'enough' });
  expect(isTold).toBe(true);
});

test('asks for each connection of a pool, the one that follows a lost one too', async ({
  tokens,
  admin,
}) => {
  let count = 0;
  const password = async () => {
    count++;
    return tokens.current;
  };
  const pool = new DatabasePool({ connectionString: tokens.url, password, max: 2, env: {} });
  await Promise.all([pool.query('select pg_sleep(0.1)'), pool.query('select pg_sleep(0.1)')]);
  expect(count).toBe(2);
  await tokens.renew();
  await admin`select pg_terminate_backend(pid) from pg_stat_activity
    where usename = ${tokens.options.user ?? ''}`;
  const isAnswered = () => pool.query('select 1').then(Boolean, () => false);
  await expect.poll(async () => (await isAnswered()) && count > 2).toBe(true);
  await pool.close();
});

test('tells who waits for a pool why there is no password, and goes on once there is one', async ({
  tokens,
}) => {
  let isSignedIn = false;
  const password = () => {
    if (!isSignedIn) throw new Error('not signed in');
    return tokens.current;
  };
  const options = { connectionString: tokens.url, password, env: {}, acquireTimeoutMillis: 300 };
  const pool = new DatabasePool(options);
  const failure = (await failureOf(pool.query('select 1'))) as Error & { code: string };
  expect(failure.code).toBe('ACQUIRE_TIMEOUT');
  expect(failure.cause).toMatchObject({ code: 'PASSWORD_UNAVAILABLE' });
  isSignedIn = true;
  await expect.poll(() => pool.testConnection()).toBe(true);
  await pool.close();
});

test('takes the command of a config file, for a pool too', async ({ tokens, project }) => {
  const log = await project.write('asked', '');
  const passwordCommand = `echo "$PGUSER" >> asked; cat token`;
  await project.write('evdb.config.json', JSON.stringify({ passwordCommand }));
  const env = { DATABASE_URL: tokens.url };
  for (let round = 1; round <= 2; round++) {
    await project.write('token', `${await tokens.renew()}\n`);
    const { connection } = await resolveConfig({ cwd: project.dir, env });
    if (connection.kind !== 'server') throw new Error('no server was configured');
    const session = await openSession(connection.options);
    await session.close();
    const pool = new DatabasePool({ cwd: project.dir, env, max: 1 });
    await pool.query('select 1');
    await pool.close();
  }
  const { readFile } = await import('node:fs/promises');
  expect((await readFile(log, 'utf8')).trim().split('\n')).toEqual(
    Array(4).fill(tokens.options.user),
  );
});
