import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type ConfigFlags, resolveConfig } from '../../src/config/resolve.ts';
import { type Sources, useConfigProject } from './config-kit.ts';

const project = useConfigProject();
const { resolve } = project;

describe('the precedence of a setting', () => {
  const all: Required<Sources> = {
    flags: { schema: 'flag', env: 'prod' },
    env: { EVDB_SCHEMA: 'env' },
    dotenv: 'EVDB_SCHEMA=dotenv\n',
    file: { schema: 'top', environments: { prod: { schema: 'prod' } } },
  };

  it('is flag, environment, .env, environment of the config file, config file, default', async () => {
    const seen: [string, string | undefined][] = [];
    const record = async (sources: Sources) => {
      const config = await resolve(sources);
      seen.push([config.schema, config.entries.find(({ key }) => key === 'schema')?.source]);
    };
    await record(all);
    await record({ ...all, flags: { env: 'prod' } });
    await record({ ...all, flags: { env: 'prod' }, env: {} });
    rmSync(join(project.dir, '.env'));
    await record({ flags: { env: 'prod' }, file: all.file });
    await record({ file: all.file });
    await record({ file: {} });
    expect(seen).toEqual([
      ['flag', 'flag --schema'],
      ['env', 'environment EVDB_SCHEMA'],
      ['dotenv', '.env EVDB_SCHEMA'],
      ['prod', 'evdb.config.json environments.prod'],
      ['top', 'evdb.config.json'],
      ['public', 'default'],
    ]);
  });

  it('holds for each setting on its own', async () => {
    const config = await resolve({
      flags: { lockWait: '5s' },
      env: { EVDB_LEDGER_SCHEMA: 'ledger' },
      dotenv: 'EVDB_SEARCH_PATH=ext, shared,ext\n',
      file: { dataLockTimeout: '3s', schema: 'app', lockWait: '1s' },
    });
    expect(config).toMatchObject({
      lockWaitMs: 5000,
      ledgerSchema: 'ledger',
      searchPath: ['ext', 'shared'],
      dataLockTimeoutMs: 3000,
      schema: 'app',
    });
  });

  it('has a variable for every setting', async () => {
    const config = await resolve({
      env: {
        EVDB_URL: 'postgres://a:pw@h/d',
        EVDB_MIGRATION_URL: 'postgres://a:pw@m/d',
        EVDB_MIGRATIONS_DIR: 'sql',
        EVDB_SEEDS_DIR: 'rows',
        EVDB_SCHEMA: 's',
        EVDB_LEDGER_SCHEMA: 'l',
        EVDB_SEARCH_PATH: 'x',
        EVDB_PROTECTED: 'true',
        EVDB_LOCK_WAIT: '0',
        EVDB_LOCK_TIMEOUT: '1s',
        EVDB_DATA_LOCK_TIMEOUT: '2s',
        EVDB_STATEMENT_TIMEOUT: '3s',
        EVDB_STORED_TEXT_LIMIT: '64kB',
      },
    });
    expect(config).toMatchObject({
      connection: { options: { hosts: [{ host: 'h', port: 5432 }] } },
      migrationConnection: { options: { hosts: [{ host: 'm', port: 5432 }] } },
      migrationsDir: join(project.dir, 'sql'),
      seedsDir: join(project.dir, 'rows'),
      schema: 's',
      ledgerSchema: 'l',
      searchPath: ['x'],
      isProtected: true,
      lockWaitMs: 0,
      lockTimeoutMs: 1000,
      dataLockTimeoutMs: 2000,
      statementTimeoutMs: 3000,
      storedTextLimitBytes: 65_536,
    });
  });

  it('ends with these defaults', async () => {
    const config = await resolve({});
    expect(config).toMatchObject({
      projectDir: project.dir,
      migrationsDir: join(project.dir, 'migrations'),
      seedsDir: join(project.dir, 'seeds'),
      schema: 'public',
      ledgerSchema: 'evdb',
      searchPath: [],
      isProtected: false,
      lockWaitMs: 60_000,
      dataLockTimeoutMs: 10_000,
      storedTextLimitBytes: 1_048_576,
      warnings: [],
    });
    expect(config.lockTimeoutMs).toBeUndefined();
    expect(config.statementTimeoutMs).toBeUndefined();
  });
});

describe('.env', () => {
  it('does not override the environment, not even an empty variable, and changes nothing', async () => {
    const dotenv = 'EVDB_SCHEMA=dotenv\nEVDB_LEDGER_SCHEMA="led ger" # comment\n';
    const config = await resolve({ env: { EVDB_SCHEMA: '' }, dotenv });
    expect([config.schema, config.ledgerSchema]).toEqual(['public', 'led ger']);
    expect(process.env.EVDB_LEDGER_SCHEMA).toBeUndefined();
  });

  it('is read with CRLF, a byte order mark and "export"', async () => {
    const dotenv = '\uFEFFEVDB_SCHEMA=a\r\nexport EVDB_LEDGER_SCHEMA=b\r\n';
    const config = await resolve({ dotenv });
    expect([config.schema, config.ledgerSchema]).toEqual(['a', 'b']);
  });

  it('is the one beside the config file', async () => {
    mkdirSync(join(project.dir, 'sub'));
    project.write('sub/.env', 'EVDB_SCHEMA=wrong\n');
    project.write('.env', 'EVDB_SCHEMA=right\n');
    const config = await resolveConfig({ cwd: join(project.dir, 'sub'), env: {} });
    expect(config.schema).toBe('right');
  });

  it('may be the folder of another tool', async () => {
    mkdirSync(join(project.dir, '.env'));
    expect((await resolve({})).warnings).toEqual([]);
  });

  it('names the folder of migrations relative to itself, a flag relative to the caller', async () => {
    mkdirSync(join(project.dir, 'sub'));
    project.write('.env', 'EVDB_MIGRATIONS_DIR=sql\n');
    const cwd = join(project.dir, 'sub');
    expect((await resolveConfig({ cwd, env: {} })).migrationsDir).toBe(join(project.dir, 'sql'));
    const flags = { migrationsDir: 'sql' };
    expect((await resolveConfig({ cwd, env: {}, flags })).migrationsDir).toBe(join(cwd, 'sql'));
  });
});

describe('protection', () => {
  it('is added by a variable and never taken away by one', async () => {
    const file = { protected: true };
    expect((await resolve({ env: { EVDB_PROTECTED: '1' } })).isProtected).toBe(true);
    expect((await resolve({ env: { EVDB_PROTECTED: 'false' }, file })).isProtected).toBe(true);
    expect((await resolve({ dotenv: 'EVDB_PROTECTED=no', file })).isProtected).toBe(true);
  });

  it('of one environment can differ from that of the file', async () => {
    const file = { protected: true, environments: { dev: { protected: false } } };
    expect((await resolve({ file, flags: { env: 'dev' } })).isProtected).toBe(false);
    expect((await resolve({ file })).isProtected).toBe(true);
  });

  it('is not a matter of guessing', async () => {
    await expect(resolve({ env: { EVDB_PROTECTED: 'maybe' } })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('environment EVDB_PROTECTED'),
    });
  });
});

describe('values that cannot be', () => {
  it.each<[ConfigFlags, string]>([
    [{ schema: 'pg_app' }, 'flag --schema: the schema "pg_app" belongs to PostgreSQL'],
    [{ schema: 'information_schema' }, 'flag --schema'],
    [{ ledgerSchema: 'pg_catalog' }, 'flag --ledger-schema'],
    [{ schema: 'evdb' }, 'cannot be the target and hold the ledger'],
    [{ schema: 'a', ledgerSchema: 'a' }, 'cannot be the target and hold the ledger'],
    [{ schema: '   ' }, 'flag --schema: the name of a schema is empty'],
    [{ schema: 'a\0b' }, 'flag --schema'],
    [{ schema: 'x'.repeat(64) }, '(64 bytes)'],
    [{ schema: 'é'.repeat(32) }, '(64 bytes)'],
    [{ searchPath: 'a,,b' }, 'flag --search-path'],
    [{ searchPath: ['$user'] }, 'flag --search-path'],
    [{ searchPath: ['pg_temp'] }, 'flag --search-path'],
    [{ lockWait: '1 week' }, 'flag --lock-wait'],
    [{ lockTimeout: 0 }, 'flag --lock-timeout'],
    [{ dataLockTimeout: '0s' }, 'flag --data-lock-timeout'],
    [{ storedTextLimit: 'big' }, 'flag --stored-text-limit'],
    [{ storedTextLimit: '-1' }, 'flag --stored-text-limit'],
  ])('are refused: %j', async (flags, message) => {
    await expect(resolve({ flags })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(message),
    });
  });

  it('are not refused too early: 63 bytes, odd letters, "Evdb", no waiting', async () => {
    const config = await resolve({
      flags: { schema: 'x'.repeat(63), ledgerSchema: 'Evdb "ü"', lockWait: 0, statementTimeout: 0 },
    });
    expect(config).toMatchObject({ lockWaitMs: 0, statementTimeoutMs: 0 });
  });

  it('are not looked at where a stronger source has another one', async () => {
    expect((await resolve({ flags: { schema: 'ok' }, file: { schema: 'pg_x' } })).schema).toBe(
      'ok',
    );
  });
});
