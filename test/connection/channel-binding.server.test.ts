import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, TLSSocket } from 'node:tls';
import { expect } from 'vitest';
import { parseConnectionUrl } from '../../src/config/url.ts';
import { openSession } from '../../src/connection/session.ts';
import { DatabasePool } from '../../src/pool/pool.ts';
import { closeSql, openSql } from '../support/databases.ts';
import { test as base } from '../support/fixture.ts';
import { startOwnServer, whyNoOwnServer } from '../support/own-server.ts';
import { makeCertificate, turnOnTls, whyNoOpenssl } from '../support/tls.ts';
import { failureOf } from '../support/waiting.ts';

const PASSWORD = 'pässwörd';

interface BindingServer {
  /** Without TLS, as its superuser. */
  url: string;
  dataDirectory: string;
  /** Of a role, with `channel_binding=require` and the parameters that are given over it. */
  bound(parameters?: Record<string, string>, at?: { port: number }): string;
}

const test = base.extend<{ server: BindingServer }>({
  server: async ({ skip }, use) => {
    const reason = whyNoOwnServer() ?? (await whyNoOpenssl());
    skip(reason !== undefined, reason);
    const server = await startOwnServer();
    try {
      const url = new URL(server.url);
      url.search = '';
      await turnOnTls(url.href, server.dataDirectory);
      const sql = openSql(url.href, 1);
      await sql.unsafe(`create role bound login password '${PASSWORD}'`);
      await closeSql(sql);
      await use({
        url: url.href,
        dataDirectory: server.dataDirectory,
        bound: (parameters, at) => {
          const bound = new URL(url.href);
          bound.username = 'bound';
          bound.password = encodeURIComponent(PASSWORD);
          if (at) bound.port = String(at.port);
          const all = { channel_binding: 'require', sslmode: 'require', ...parameters };
          for (const [name, value] of Object.entries(all)) bound.searchParams.set(name, value);
          return bound.href;
        },
      });
    } finally {
      await server.remove();
    }
  },
});

const FACTS = `select s.ssl, current_setting('application_name') as name,
  current_setting('client_encoding') as encoding
  from pg_stat_ssl as s where s.pid = pg_backend_pid()`;

async function ask(url: string): Promise<unknown> {
  const session = await openSession(parseConnectionUrl(url).options);
  try {
    return (await session.run(FACTS))[0];
  } finally {
    await session.close();
  }
}

/** The first line of pg_hba.conf that fits counts. */
async function askFor({ url, dataDirectory }: BindingServer, method: string): Promise<void> {
  const path = join(dataDirectory, 'pg_hba.conf');
  const text = await readFile(path, 'utf8');
  await writeFile(path, `host all bound all ${method}\n`);
  await appendFile(path, text);
  const sql = openSql(url, 1);
  await sql`select pg_reload_conf()`;
  // A backend that starts later has read it.
  await sql`select pg_sleep(0.5)`;
  await closeSql(sql);
}

test('logs in bound to the certificate, as a session and in a pool', async ({ server }) => {
  const url = server.bound({ application_name: 'shop' });
  expect(await ask(url)).toEqual({ ssl: true, name: 'shop', encoding: 'UTF8' });
  const pool = new DatabasePool({ connectionString: url, max: 2, env: {} });
  const asked = Array.from({ length: 4 }, () => pool.query(FACTS));
  for (const { rows } of await Promise.all(asked)) {
    expect(rows).toEqual([{ ssl: true, name: 'shop', encoding: 'UTF8' }]);
  }
  // What the pool sends and hears goes over the same socket.
  const long = 'x'.repeat(200_000);
  expect((await pool.query('select $1::text as long', [long])).rows).toEqual([{ long }]);
  await pool.close();
});

test('tells a wrong password and a missing database as ever', async ({ server }) => {
  const wrong = new URL(server.bound());
  wrong.password = 'wrong';
  expect(await failureOf(ask(wrong.href))).toMatchObject({
    code: 'AUTHENTICATION_FAILED',
    message: expect.stringContaining('refused the password of user "bound"'),
  });
  const missing = new URL(server.bound());
  missing.pathname = '/no_such_database';
  expect(await failureOf(ask(missing.href))).toMatchObject({ code: 'DATABASE_MISSING' });
});

test('takes a password as PostgreSQL normalizes it', async ({ server }) => {
  const sql = openSql(server.url, 1);
  await sql.unsafe(`alter role bound password '\u2126'`);
  await closeSql(sql);
  const url = new URL(server.bound());
  url.password = encodeURIComponent('\u2126');
  expect(await ask(url.href)).toMatchObject({ ssl: true });
});

test('refuses a connection without TLS, asked for or not to be had', async ({ server }) => {
  const without = {
    code: 'TLS_FAILED',
    message: 'channel_binding=require needs TLS, and this connection has none',
  };
  expect(await failureOf(ask(server.bound({ sslmode: 'disable' })))).toMatchObject(without);
  const sql = openSql(server.url, 1);
  await sql`alter system set ssl = off`;
  await sql`select pg_reload_conf()`;
  await sql`select pg_sleep(0.5)`;
  await closeSql(sql);
  expect(await failureOf(ask(server.bound({ sslmode: 'prefer' })))).toMatchObject(without);
});

test('gives no password to a server that asks for it in another way', async ({ server }) => {
  const sql = openSql(server.url, 1);
  await askFor(server, 'password');
  expect(await failureOf(ask(server.bound()))).toMatchObject({
    code: 'AUTHENTICATION_FAILED',
    message: expect.stringContaining('asks for another kind of authentication'),
  });
  // The same without binding goes through: it is that alone which refuses.
  expect(await ask(server.bound({ channel_binding: 'prefer' }))).toMatchObject({ ssl: true });
  await askFor(server, 'trust');
  expect(await failureOf(ask(server.bound()))).toMatchObject({
    code: 'AUTHENTICATION_FAILED',
    message: expect.stringContaining('the server lets in without it'),
  });
  await closeSql(sql);
});

test('is not passed on by who stands between with a certificate of his own', async ({ server }) => {
  const between = await standBetween(Number(new URL(server.url).port));
  try {
    // Whoever does not check certificates is passed on without noticing.
    expect(await ask(server.bound({ channel_binding: 'prefer' }, between))).toMatchObject({
      ssl: true,
    });
    const failure = (await failureOf(ask(server.bound({}, between)))) as Error;
    expect(failure).toMatchObject({ code: 'AUTHENTICATION_FAILED' });
    expect(failure.cause).toMatchObject({ code: '28000' });
  } finally {
    await between.close();
  }
});

test.for([
  [
    'an elliptic curve and SHA-384',
    ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384', '-sha384'],
  ],
  ['RSA and SHA-512', ['-newkey', 'rsa:2048', '-sha512']],
  ['RSA-PSS', ['-newkey', 'rsa:2048', '-sha256', '-sigopt', 'rsa_padding_mode:pss']],
] as const)('takes a certificate of %s', async ([, kind], { server }) => {
  await turnOnTls(server.url, server.dataDirectory, kind);
  expect(await ask(server.bound())).toMatchObject({ ssl: true });
});

test('says that the kind of a certificate has no binding', async ({ server }) => {
  await turnOnTls(server.url, server.dataDirectory, ['-newkey', 'ed25519']);
  expect(await failureOf(ask(server.bound()))).toMatchObject({
    code: 'AUTHENTICATION_FAILED',
    message: expect.stringContaining('of a kind that has no channel binding'),
  });
});

test('waits for no server that says nothing, and hears one that goes away', async () => {
  const sockets: Socket[] = [];
  let isSilent = true;
  const pair = await makePair();
  const silent = createServer((socket) => {
    sockets.push(socket.on('error', () => undefined));
    socket.once('data', () => {
      socket.write('S');
      const secure = new TLSSocket(socket, { isServer: true, ...pair });
      secure.on('error', () => undefined).once('data', () => isSilent || secure.destroy());
    });
  });
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const { port } = silent.address() as AddressInfo;
  const open = (connectTimeoutMs: number) =>
    openSession({
      ...parseConnectionUrl(`postgres://a:b@127.0.0.1:${port}/d?sslmode=require`).options,
      channelBinding: 'require',
      connectTimeoutMs,
    });
  expect(await failureOf(open(300))).toMatchObject({ code: 'CONNECT_TIMEOUT' });
  isSilent = false;
  expect(await failureOf(open(5_000))).toMatchObject({ code: 'CONNECTION_LOST' });
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => silent.close(resolve));
});

test('takes answers in any pieces, and is told wherever the connection breaks', async ({
  server,
}) => {
  // With the key of the server itself nothing of the binding is lost on the way.
  const pair = {
    key: await readFile(join(server.dataDirectory, 'server.key')),
    cert: await readFile(join(server.dataDirectory, 'server.crt')),
  };
  const port = Number(new URL(server.url).port);
  let passed = 0;
  let limit = Number.POSITIVE_INFINITY;
  const between = await standBetween(port, pair, (chunk, client) => {
    for (const byte of chunk) {
      if (++passed > limit) return void client.destroy();
      client.write(Buffer.from([byte]));
    }
  });
  try {
    expect(await ask(server.bound({}, between))).toMatchObject({ ssl: true });
    // One that is cut before the server was ready for statements.
    for (limit = 0; limit < 700; limit += limit < 160 ? 7 : 29) {
      passed = 0;
      const failure = await ask(server.bound({}, between)).catch((error: unknown) => error);
      if (!(failure instanceof Error)) break;
      expect(failure).toMatchObject({ code: 'CONNECTION_LOST' });
    }
    expect(limit).toBeGreaterThan(300);
  } finally {
    await between.close();
  }
});

type Relay = (chunk: Buffer, client: TLSSocket) => void;

async function makePair(): Promise<{ key: Buffer; cert: Buffer }> {
  const folder = await mkdtemp(join(tmpdir(), 'evdb-test-tls-'));
  const { key, certificate } = await makeCertificate(folder);
  const pair = { key: await readFile(key), cert: await readFile(certificate) };
  await rm(folder, { recursive: true });
  return pair;
}

/** Ends TLS with a certificate, by default of its own, and speaks TLS with the server. */
async function standBetween(
  serverPort: number,
  given?: { key: Buffer; cert: Buffer },
  relay: Relay = (chunk, client) => void client.write(chunk),
) {
  const pair = given ?? (await makePair());
  const sockets: Socket[] = [];
  const server = createServer((client) => {
    const upstream = connect(serverPort, '127.0.0.1');
    sockets.push(
      client.on('error', () => undefined),
      upstream.on('error', () => undefined),
    );
    client.once('data', (request) => upstream.write(request));
    client.once('close', () => upstream.destroy());
    upstream.once('close', () => client.destroy());
    upstream.once('data', (answer) => {
      const secure = connectTls({ socket: upstream, rejectUnauthorized: false });
      secure.on('error', () => client.destroy());
      client.write(answer);
      const decrypted = new TLSSocket(client, { isServer: true, ...pair });
      decrypted.on('error', () => upstream.destroy());
      decrypted.on('data', (chunk: Buffer) => secure.write(chunk));
      secure.on('data', (chunk: Buffer) => relay(chunk, decrypted));
      secure.on('end', () => decrypted.end());
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
