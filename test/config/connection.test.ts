import { describe, expect, it } from 'vitest';
import type { Config } from '../../src/config/resolve.ts';
import { type Sources, useConfigProject } from './config-kit.ts';

const { resolve } = useConfigProject();

function hostOf(config: Config): string | undefined {
  const { connection } = config;
  return connection.kind === 'server' ? connection.options.hosts[0]?.host : connection.kind;
}

function sourceOf(config: Config, key: string): string | undefined {
  return config.entries.find((entry) => entry.key === key)?.source;
}

describe('the source that names the database', () => {
  const DB = { DB_HOST: 'dbset' };
  const PG = { PGHOST: 'pg' };
  const url = (host: string) => `postgres://app:pw@${host}/d`;

  it.each<[string, Sources]>([
    ['flag', { flags: { url: url('flag') }, env: { EVDB_URL: url('evdb') } }],
    ['evdb', { env: { EVDB_URL: url('evdb'), DATABASE_URL: url('database'), ...DB, ...PG } }],
    ['database', { env: { DATABASE_URL: url('database'), ...DB, ...PG } }],
    ['dbset', { env: { ...DB, ...PG } }],
    ['database', { env: { DATABASE_URL: url('database') }, dotenv: `EVDB_URL=${url('dot')}` }],
    ['dbset', { env: DB, dotenv: `EVDB_URL=${url('dot')}` }],
    ['dot', { env: PG, dotenv: `EVDB_URL=${url('dot')}\nDB_HOST=x`, file: { url: url('file') } }],
    ['dot', { dotenv: 'DB_HOST=dot', file: { url: url('file') } }],
    ['file', { env: PG, dotenv: 'PGHOST=x', file: { url: url('file') } }],
    ['pg', { env: PG, dotenv: 'PGHOST=x' }],
    ['x', { dotenv: 'PGHOST=x' }],
    ['embedded', { file: { url: 'embedded:' }, env: PG }],
  ])('is %s for %j', async (host, sources) => {
    expect(hostOf(await resolve(sources))).toBe(host);
  });

  it('counts as a whole: nothing of a weaker one is mixed in', async () => {
    const config = await resolve({
      flags: { url: 'postgres://h' },
      env: { DATABASE_URL: 'postgres://no:no@no:1/no', DB_NAME: 'no', DB_PASSWORD: 'no' },
      file: { url: 'postgres://no:no@no:1/no' },
    });
    const text = JSON.stringify([config.connection, config.entries]);
    expect(text).not.toContain('"no"');
    expect(config.connection).toMatchObject({ options: { hosts: [{ host: 'h', port: 5432 }] } });
  });

  it('may be an empty flag only by mistake', async () => {
    await expect(
      resolve({ flags: { url: '' }, env: { EVDB_URL: url('x') } }),
    ).rejects.toMatchObject({ code: 'CONFIG_INVALID', message: 'flag --url: the value is empty' });
  });

  it('is named when it comes before the url of the chosen environment', async () => {
    const file = { environments: { prod: { url: url('prod') } } };
    const config = await resolve({ flags: { env: 'prod' }, env: { EVDB_URL: url('evdb') }, file });
    expect(hostOf(config)).toBe('evdb');
    expect(config.warnings).toEqual([
      expect.stringMatching(/^environment EVDB_URL names the database, not the url of .*prod$/),
    ]);
  });
});

describe('the DB_ variables', () => {
  it('make a whole connection', async () => {
    const env = {
      DB_HOST: 'h',
      DB_PORT: '5433',
      DB_NAME: 'events',
      DB_USER: 'app',
      DB_PASSWORD: 'p@ss/w:rd%',
      DB_SSL: 'true',
    };
    expect((await resolve({ env })).connection).toEqual({
      kind: 'server',
      options: {
        hosts: [{ host: 'h', port: 5433 }],
        database: 'events',
        user: 'app',
        password: 'p@ss/w:rd%',
        sslMode: 'require',
        applicationName: 'evdb',
        connectTimeoutMs: 10_000,
      },
    });
  });

  it('take the host from PGHOST, else localhost', async () => {
    const env = { DB_NAME: 'events', DB_USER: 'app', DB_PASSWORD: 'x' };
    expect(hostOf(await resolve({ env }))).toBe('localhost');
    expect(hostOf(await resolve({ env: { ...env, PGHOST: 'pg' } }))).toBe('pg');
  });

  it('are one set over both origins: a secret from the environment, the rest from .env', async () => {
    const config = await resolve({
      env: { DB_PASSWORD: 'real' },
      dotenv: 'DB_HOST=h\nDB_NAME=events\nDB_USER=app\nDB_PASSWORD=dot\n',
    });
    expect(config.connection).toMatchObject({ options: { password: 'real', database: 'events' } });
    expect(sourceOf(config, 'connection.host')).toBe('.env DB_HOST');
    expect(sourceOf(config, 'connection.password')).toBe('environment DB_PASSWORD');
  });

  it.each([
    ['false', 'disable'],
    ['0', 'disable'],
    ['TRUE', 'require'],
    ['required', 'require'],
    ['verify-full', 'verify-full'],
    ['', 'prefer'],
  ])('DB_SSL=%s means sslmode %s', async (value, sslMode) => {
    const config = await resolve({ env: { DB_HOST: 'h', DB_SSL: value } });
    expect(config.connection).toMatchObject({ options: { sslMode } });
  });

  it.each([
    ['DB_PORT', 's3cret', 'environment DB_PORT: the port is not a number from 1 to 65535'],
    ['DB_SSL', 's3cret', 'environment DB_SSL: unknown value for sslmode'],
  ])('refuse %s=%s by name', async (name, value, message) => {
    await expect(resolve({ env: { DB_HOST: 'h', [name]: value } })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message,
    });
  });

  it('name no database with a user alone, and say so', async () => {
    const config = await resolve({ env: { DB_USER: 'app', DB_PASSWORD: 'x' } });
    expect(config.connection).toEqual({ kind: 'embedded', implicit: true });
    expect(config.warnings).toEqual([expect.stringContaining('environment DB_USER is ignored')]);
  });
});

describe('the entries for evdb config', () => {
  it('say for each part where it comes from', async () => {
    const config = await resolve({
      env: { DATABASE_URL: 'postgres://app@h/d?sslmode=require', PGPORT: '7' },
      dotenv: 'PGPASSWORD=s3cret\n',
    });
    const found = config.entries.filter(({ key }) => /^(connection|url)/.test(key));
    expect(found).toEqual([
      { key: 'connection', value: 'server', source: 'environment DATABASE_URL' },
      {
        key: 'url',
        value: 'postgres://app@h/d?sslmode=require',
        source: 'environment DATABASE_URL',
      },
      { key: 'connection.host', value: 'h', source: 'environment DATABASE_URL' },
      { key: 'connection.user', value: 'app', source: 'environment DATABASE_URL' },
      { key: 'connection.dbname', value: 'd', source: 'environment DATABASE_URL' },
      { key: 'connection.sslmode', value: 'require', source: 'environment DATABASE_URL' },
      { key: 'connection.port', value: '7', source: 'environment PGPORT' },
      { key: 'connection.password', value: '***', source: '.env PGPASSWORD' },
      { key: 'connection.application_name', value: 'evdb', source: 'default' },
      { key: 'connection.connect_timeout', value: 10, source: 'default' },
    ]);
  });

  it('hold durations as they are written, and null for what is not set', async () => {
    const { entries } = await resolve({ flags: { lockWait: '90s' } });
    expect(entries).toContainEqual({ key: 'lockWait', value: '90s', source: 'flag --lock-wait' });
    expect(entries).toContainEqual({ key: 'lockTimeout', value: null, source: 'default' });
    expect(entries).toContainEqual({ key: 'dataLockTimeout', value: '10s', source: 'default' });
  });

  it.each<[string, Sources]>([
    ['a URL', { flags: { url: 'postgres://a:s3cret@h/d' } }],
    ['a parameter', { env: { EVDB_URL: 'postgres://a@h/d?password=s3cret&schema=x' } }],
    ['keywords', { env: { EVDB_URL: 'host=h password=s3cret' } }],
    ['DB_PASSWORD', { env: { DB_HOST: 'h', DB_PASSWORD: 's3cret' } }],
    ['PGPASSWORD', { env: { PGHOST: 'h', PGPASSWORD: 's3cret' } }],
    ['options', { env: { PGHOST: 'h', PGOPTIONS: '-c app.api_token=s3cret' } }],
    ['a config file', { file: { url: 'postgres://a:s3cret@h/d' } }],
    ['a migration URL', { env: { EVDB_MIGRATION_URL: 'postgres://a:s3cret@h/d' } }],
  ])('and the warnings never hold the password of %s', async (_, sources) => {
    const config = await resolve(sources);
    expect(JSON.stringify(config.connection)).toContain('s3cret');
    expect(JSON.stringify([config.entries, config.warnings])).not.toContain('s3cret');
  });
});
