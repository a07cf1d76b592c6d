import { describe, expect, it } from 'vitest';
import type { Variables } from '../../src/config/environment.ts';
import { assertConnectionConfigured } from '../../src/config/layers.ts';
import type { Config } from '../../src/config/resolve.ts';
import { type Sources, useConfigProject } from './config-kit.ts';

const { resolve } = useConfigProject();

function hostOf(config: Config): string | undefined {
  const { connection } = config;
  return connection.kind === 'server' ? connection.options.hosts[0]?.host : connection.kind;
}

function migrationHostOf(config: Config): string | undefined {
  return config.migrationConnection?.options.hosts[0]?.host;
}

describe('the migration connection', () => {
  const main = 'postgres://a:pw@main/d';
  const other = 'postgres://a:pw@other/d';

  it.each<[string, Sources]>([
    ['flags', { flags: { url: main, migrationUrl: other } }],
    ['the environment', { env: { DATABASE_URL: main, EVDB_MIGRATION_URL: other } }],
    ['one config file', { file: { url: main, migrationUrl: other } }],
    ['a stronger source', { env: { EVDB_MIGRATION_URL: other }, file: { url: main } }],
  ])('comes with the connection from %s', async (_, sources) => {
    const config = await resolve(sources);
    expect([hostOf(config), migrationHostOf(config)]).toEqual(['main', 'other']);
    expect(config.warnings).toEqual([]);
  });

  it.each<[string, Sources]>([
    ['flag --url', { flags: { url: main }, env: { EVDB_MIGRATION_URL: other } }],
    ['environment DATABASE_URL', { env: { DATABASE_URL: main }, file: { migrationUrl: other } }],
    ['flag --embedded', { flags: { embedded: true }, env: { EVDB_MIGRATION_URL: other } }],
    [
      'evdb.config.json environments.test',
      {
        flags: { env: 'test' },
        file: { migrationUrl: other, environments: { test: { url: main } } },
      },
    ],
  ])('of a weaker source never outlives %s, and a warning says so', async (source, sources) => {
    const config = await resolve(sources);
    expect(config.migrationConnection).toBeUndefined();
    expect(config.warnings).toEqual([
      expect.stringMatching(new RegExp(`is ignored: ${source} comes first`)),
    ]);
  });

  it('serves for everything where it is all there is', async () => {
    const config = await resolve({ env: { EVDB_MIGRATION_URL: other, CI: 'true' } });
    expect([hostOf(config), migrationHostOf(config)]).toEqual(['other', 'other']);
    expect(() => assertConnectionConfigured(config, { CI: 'true' })).not.toThrow();
  });

  it('cannot be the embedded server', async () => {
    await expect(resolve({ env: { EVDB_MIGRATION_URL: 'embedded:' } })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
  });
});

describe('the embedded server', () => {
  it('is implicit where nothing is configured', async () => {
    expect((await resolve({})).connection).toEqual({ kind: 'embedded', implicit: true });
  });

  it.each<[string, Sources]>([
    ['flag --embedded', { flags: { embedded: true }, env: { DATABASE_URL: 'postgres://h' } }],
    ['flag --url', { flags: { url: 'embedded:' } }],
    ['environment EVDB_URL', { env: { EVDB_URL: 'embedded:' } }],
    ['.env EVDB_URL', { dotenv: 'EVDB_URL=embedded:' }],
    ['evdb.config.json', { file: { url: 'EMBEDDED://' } }],
  ])('is explicit by %s', async (source, sources) => {
    const config = await resolve(sources);
    expect(config.connection).toEqual({ kind: 'embedded', implicit: false });
    expect(config.entries[0]).toEqual({ key: 'connection', value: 'embedded', source });
  });

  it.each([null, ''])('is refused where the chosen environment has the url %j', async (url) => {
    const file = { url: 'postgres://dev/d', environments: { production: { url } } };
    const flags = { env: 'production' };
    const config = await resolve({ file, flags, env: { PGHOST: 'other' } });
    expect(config.entries[0]).toMatchObject({ key: 'connection', value: 'none' });
    expect(() => assertConnectionConfigured(config, {})).toThrow(
      expect.objectContaining({
        code: 'NOT_CONFIGURED',
        message: 'evdb.config.json environments.production: "url" is empty',
      }),
    );
    for (const sources of [{ env: { EVDB_URL: 'postgres://h' } }, { env: {}, named: 'h' }]) {
      const given = 'named' in sources ? { ...flags, url: 'postgres://h' } : flags;
      const named = await resolve({ file, flags: given, env: sources.env });
      expect([hostOf(named), named.warnings]).toEqual(['h', []]);
    }
  });

  it('cannot be asked for together with --url', async () => {
    await expect(resolve({ flags: { embedded: true, url: 'postgres://h' } })).rejects.toMatchObject(
      { code: 'USAGE' },
    );
  });

  it.each<[Variables, string]>([
    [{ CI: 'true' }, 'CI is set'],
    [{ CI: '1' }, 'CI is set'],
    [{ NODE_ENV: 'production' }, 'NODE_ENV is production'],
  ])('is refused under %j where it is implicit', async (env, reason) => {
    const config = await resolve({ env });
    expect(() => assertConnectionConfigured(config, env)).toThrow(
      expect.objectContaining({
        code: 'NOT_CONFIGURED',
        message: expect.stringContaining(reason),
        hint: expect.stringContaining('--embedded'),
      }),
    );
  });

  it.each<[Sources, Variables]>([
    [{}, {}],
    [{}, { CI: '' }],
    [{}, { CI: 'false' }],
    [{}, { NODE_ENV: 'test' }],
    [{ flags: { embedded: true } }, { CI: 'true', NODE_ENV: 'production' }],
    [{ flags: { url: 'postgres://h' } }, { CI: 'true', NODE_ENV: 'production' }],
  ])('is accepted for %j under %j', async (sources, env) => {
    const config = await resolve(sources);
    expect(() => assertConnectionConfigured(config, env)).not.toThrow();
  });
});
