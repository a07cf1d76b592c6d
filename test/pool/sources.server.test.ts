import { join } from 'node:path';
import { expect } from 'vitest';
import type { PoolOptions } from '../../src/pool/options.ts';
import { DatabasePool } from '../../src/pool/pool.ts';
import { failureOf } from '../support/waiting.ts';
import { test } from './pool-kit.ts';

/** The parts of a URL, as the options and the environment name them. */
function partsOf(url: string) {
  const { hostname, port, pathname, username, password } = new URL(url);
  return {
    host: hostname,
    port: Number(port),
    database: pathname.slice(1),
    user: username,
    password: decodeURIComponent(password),
  };
}

const WHERE = `select current_database() as database, current_setting('application_name') as name`;

function dbVariables(url: string): Record<string, string> {
  const { host, port, database, user, password } = partsOf(url);
  return {
    DB_HOST: host,
    DB_PORT: String(port),
    DB_NAME: database,
    DB_USER: user,
    DB_PASSWORD: password,
  };
}

function pgVariables(url: string): Record<string, string> {
  const { host, port, database, user, password } = partsOf(url);
  return {
    PGHOST: host,
    PGPORT: String(port),
    PGDATABASE: database,
    PGUSER: user,
    PGPASSWORD: password,
  };
}

const SOURCES: [what: string, make: (url: string) => PoolOptions][] = [
  ['connectionString', (url) => ({ connectionString: url })],
  ['host, port, database, user and password', partsOf],
  [
    'connectionString, and user and password beside it',
    (url) => {
      const { user, password } = partsOf(url);
      const bare = new URL(url);
      bare.username = '';
      bare.password = '';
      return { connectionString: bare.href, user, password };
    },
  ],
  ['DB_HOST and so on', (url) => ({ env: dbVariables(url) })],
  ['PGHOST and so on', (url) => ({ env: pgVariables(url) })],
  ['DATABASE_URL', (url) => ({ env: { DATABASE_URL: url } })],
  [
    'EVDB_URL, before DATABASE_URL',
    (url) => ({ env: { EVDB_URL: url, DATABASE_URL: 'postgres://no.invalid/x' } }),
  ],
  [
    'connectionString, whatever the environment says',
    (url) => ({
      connectionString: url,
      env: { EVDB_URL: 'postgres://no.invalid/x', DB_HOST: 'no.invalid' },
    }),
  ],
  [
    'host and so on, whatever the environment says',
    (url) => ({
      ...partsOf(url),
      env: { DATABASE_URL: 'postgres://no.invalid/x', PGHOST: 'no.invalid' },
    }),
  ],
  [
    'host and database, and what libpq knows for the rest',
    (url) => {
      const { host, database } = partsOf(url);
      return { host, database, env: pgVariables(url) };
    },
  ],
  [
    'the environment, and user and password of the options',
    (url) => {
      const { user, password } = partsOf(url);
      return {
        user,
        password,
        env: { ...dbVariables(url), DB_USER: 'nobody', DB_PASSWORD: 'wrong' },
      };
    },
  ],
];

for (const [what, make] of SOURCES) {
  test(`connects by ${what}`, async ({ stage, project, emptyDb }) => {
    const pool = new DatabasePool({
      cwd: project.dir,
      env: {},
      ...make(stage.url),
      applicationName: 'me',
    });
    try {
      expect((await pool.query(WHERE)).rows).toEqual([{ database: emptyDb.name, name: 'me' }]);
    } finally {
      await pool.close();
    }
  });
}

test('names sessions by application and version', async ({ stage, emptyDb }) => {
  const source = { env: {}, connectionString: stage.url };
  for (const [options, name] of [
    [{ applicationName: 'checkout', applicationVersion: '1.8.0' }, 'checkout/1.8.0'],
    [{ applicationVersion: '1.8.0' }, 'evdb/1.8.0'],
  ] as const) {
    const pool = new DatabasePool({ ...source, ...options });
    expect((await pool.query(WHERE)).rows).toEqual([{ database: emptyDb.name, name }]);
    await pool.close();
  }
  const tooLong = { applicationName: 'a'.repeat(60), applicationVersion: '1.8.0' };
  const pool = new DatabasePool({ ...source, ...tooLong });
  await expect(pool.query('select 1')).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('is longer than the 63 bytes'),
  });
  await pool.close();
});

test('connects by the config file and by .env of a folder', async ({ stage, project, emptyDb }) => {
  await project.write('.env', `DATABASE_URL=${stage.url}\n`);
  const pool = new DatabasePool({ cwd: project.dir, env: {} });
  expect((await pool.query(WHERE)).rows).toEqual([{ database: emptyDb.name, name: 'evdb' }]);
  await pool.close();
  await project.write('.env', '');
  await project.write('evdb.config.json', JSON.stringify({ url: stage.url }));
  const other = new DatabasePool({ cwd: join(project.dir), env: {} });
  expect((await other.query(WHERE)).rows).toMatchObject([{ database: emptyDb.name }]);
  await other.close();
});

test('takes passwords and names with any characters', async ({
  stage,
  admin,
  emptyDb,
  project,
}) => {
  const role = `r ä%'"@:/${emptyDb.name}`.slice(0, 60);
  const password = `p'"%:@/?#& ä\\`;
  await admin.unsafe(
    `create role ${quoteName(role)} login password '${password.replaceAll("'", "''")}'`,
  );
  try {
    const { host, port, database } = partsOf(stage.url);
    for (const options of [
      { host, port, database, user: role, password },
      { connectionString: stage.url, user: role, password },
      { env: { ...dbVariables(stage.url), DB_USER: role, DB_PASSWORD: password } },
    ]) {
      const pool = new DatabasePool({ cwd: project.dir, env: {}, ...options });
      expect(await pool.sql`select session_user::text as who`).toEqual([{ who: role }]);
      await pool.close();
    }
  } finally {
    await admin.unsafe(`drop role ${quoteName(role)}`);
  }
});

function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

test('says at the first use what is wrong with where it connects to', async ({
  stage,
  project,
}) => {
  const { host, port, database } = partsOf(stage.url);
  const wrong: [code: string, options: PoolOptions][] = [
    ['CONFIG_INVALID', { connectionString: stage.url, host }],
    ['CONFIG_INVALID', { connectionString: stage.url, port }],
    ['CONFIG_INVALID', { connectionString: stage.url, database }],
    ['CONFIG_INVALID', { connectionString: 'mysql://x/y' }],
    ['CONFIG_INVALID', { connectionString: stage.url, ssl: 'yes' as unknown as boolean }],
    ['NOT_CONFIGURED', {}],
    ['AUTHENTICATION_FAILED', { connectionString: stage.url, password: 'wrong' }],
    ['DATABASE_MISSING', { ...partsOf(stage.url), database: 'no_such' }],
    ['TLS_FAILED', { connectionString: stage.url, ssl: true }],
    ['TLS_FAILED', { connectionString: stage.url, ssl: {} }],
    ['TLS_FAILED', { connectionString: stage.url, ssl: { rejectUnauthorized: false } }],
  ];
  for (const [code, options] of wrong) {
    const pool = new DatabasePool({
      cwd: project.dir,
      env: {},
      ...options,
      acquireTimeoutMillis: 5_000,
    });
    for (const run of [() => pool.query('select 1'), () => pool.warm()]) {
      const error = await failureOf(run());
      expect(error, JSON.stringify(Object.keys(options))).toMatchObject({ code });
      expect(error.message).not.toContain('wrong');
    }
    expect(await pool.health()).toMatchObject({ status: 'down', error: { code } });
    await pool.close();
  }
});

test('connects without TLS where ssl is false, or where the URL does not ask for it', async ({
  stage,
}) => {
  const url = new URL(stage.url);
  url.searchParams.set('sslmode', 'require');
  const pool = stage.pool({ connectionString: url.href, ssl: false });
  const { rows } = await pool.query('select ssl from pg_stat_ssl where pid = pg_backend_pid()');
  expect(rows).toEqual([{ ssl: false }]);
  const asked = stage.pool({ connectionString: url.href, acquireTimeoutMillis: 5_000 });
  expect(await failureOf(asked.query('select 1'))).toMatchObject({ code: 'TLS_FAILED' });
});
