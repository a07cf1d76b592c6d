import { createServer, type Server, type Socket } from 'node:net';
import { expect } from 'vitest';
import { closeSql, openSql, type TestRole, withLogin } from '../support/databases.ts';
import { startProxy } from '../support/proxy.ts';
import { runCli } from '../support/run-cli.ts';
import { expectError, expectFailure, expectNoPassword, PASSWORD, test } from './cli-kit.ts';

/** A URL without the password that the driver of the tests would use. */
function withHost(databaseUrl: string, host: string, port?: number): string {
  const url = new URL(withLogin(databaseUrl, 'app', PASSWORD));
  url.hostname = host;
  if (port !== undefined) url.port = String(port);
  return url.href;
}

/** A server that is none of PostgreSQL; closed at the end of the test. */
async function startServer(onConnect: (socket: Socket) => void): Promise<Server> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined));
    onConnect(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = server.close.bind(server);
  server.close = (callback) => {
    for (const socket of sockets) socket.destroy();
    return close(callback);
  };
  return server;
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address ? address.port : 0;
}

async function findRefusedPort(): Promise<number> {
  const server = await startServer(() => undefined);
  const port = portOf(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function isPasswordAsked({ url }: TestRole): Promise<boolean> {
  const wrong = new URL(url);
  wrong.password = 'wrong';
  const sql = openSql(wrong.href, 1);
  try {
    await sql`select 1`;
    return false;
  } catch {
    return true;
  } finally {
    await closeSql(sql);
  }
}

test('says that the password is wrong, for which user and where', async ({
  oneFile,
  emptyDb,
  role,
  skip,
}) => {
  skip(!(await isPasswordAsked(role)), 'this server lets everybody in');
  const url = withLogin(emptyDb.url, role.name, `${PASSWORD}!`);
  const { stderr } = await expectFailure(oneFile, url, {
    code: 'AUTHENTICATION_FAILED',
    exitCode: 1,
  });
  const { host } = new URL(emptyDb.url);
  expect(stderr).toContain(`the server at ${host} refused the password of user "${role.name}"`);
});

test('says that the host is unknown', async ({ oneFile, emptyDb }) => {
  const url = withHost(emptyDb.url, 'no-such-host.invalid');
  const { stderr } = await expectFailure(oneFile, url, { code: 'UNKNOWN_HOST', exitCode: 4 });
  expect(stderr).toContain('no-such-host.invalid');
});

test('says that nothing listens on the port', async ({ oneFile, emptyDb }) => {
  const port = await findRefusedPort();
  const url = withHost(emptyDb.url, '127.0.0.1', port);
  const { stderr } = await expectFailure(oneFile, url, {
    code: 'CONNECTION_REFUSED',
    exitCode: 4,
  });
  expect(stderr).toContain(`nothing accepts connections at 127.0.0.1:${port}`);
});

test('says that there is no socket', async ({ oneFile }) => {
  const url = `postgres://app:${encodeURIComponent(PASSWORD)}@/app?host=/no/such/folder`;
  const { stderr } = await expectFailure(oneFile, url, {
    code: 'CONNECTION_REFUSED',
    exitCode: 4,
  });
  expect(stderr).toContain('/no/such/folder/.s.PGSQL.5432');
});

test('says that the database does not exist, and how to create it', async ({
  oneFile,
  emptyDb,
}) => {
  const url = new URL(emptyDb.url);
  url.pathname = '/no_such_database';
  const { stderr } = await expectFailure(oneFile, url.href, {
    code: 'DATABASE_MISSING',
    exitCode: 1,
  });
  expect(stderr).toContain('database "no_such_database" does not exist');
  expect(stderr).toContain('`evdb db create`');
  expect(stderr).not.toContain(url.password);
});

test('gives up a server that accepts the connection and says nothing', async ({
  oneFile,
  emptyDb,
  onTestFinished,
}) => {
  const proxy = await startProxy(emptyDb.url);
  onTestFinished(proxy.close);
  proxy.silence();
  const url = `${proxy.url}?connect_timeout=2`;
  const { stderr } = await expectFailure(oneFile, url, { code: 'CONNECT_TIMEOUT', exitCode: 4 });
  expect(stderr).toContain('did not answer in time');
  expect(stderr).toContain('connect_timeout');
});

test('gives up something that is no PostgreSQL', async ({ oneFile, emptyDb, onTestFinished }) => {
  const http = await startServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  onTestFinished(() => void http.close());
  const url = `${withHost(emptyDb.url, '127.0.0.1', portOf(http))}?connect_timeout=2`;
  const result = await runCli(['migrate', 'up'], { cwd: oneFile.dir, env: { EVDB_URL: url } });
  expect(result.stderr).toMatch(/^error (CONNECTION_LOST|CONNECT_TIMEOUT) /);
  expect(result.code).toBe(4);
  expectNoPassword(result);
});

test('says at once that the connection was closed', async ({
  oneFile,
  emptyDb,
  onTestFinished,
}) => {
  const closing = await startServer((socket) => socket.destroy());
  onTestFinished(() => void closing.close());
  const url = `${withHost(emptyDb.url, '127.0.0.1', portOf(closing))}?connect_timeout=2`;
  await expectFailure(oneFile, url, { code: 'CONNECTION_LOST', exitCode: 4 });
});

test('says that the server has no TLS', async ({ oneFile, emptyDb, skip }) => {
  const [ssl] = await emptyDb.sql`show ssl`;
  skip(ssl?.ssl === 'on', 'this server has TLS');
  const url = `${emptyDb.url}?sslmode=require`;
  await expectFailure(oneFile, url, { code: 'TLS_FAILED', exitCode: 1 });
});

test('ends where a certificate file is missing', async ({ oneFile, emptyDb }) => {
  const url = `${emptyDb.url}?sslmode=verify-full&sslrootcert=/no/such/root.pem`;
  const options = { cwd: oneFile.dir, env: { EVDB_URL: url }, timeoutMs: 10_000 };
  expectError(await runCli(['migrate', 'up'], options), 'CONFIG_INVALID', 2);
});

test('says that a URL is none', async ({ oneFile }) => {
  const url = `postgres://app:${PASSWORD}@db/app`;
  await expectFailure(oneFile, url, { code: 'CONFIG_INVALID', exitCode: 2 });
});

const COMMANDS = [
  ['migrate', 'status'],
  ['migrate', 'validate'],
  ['migrate', 'down'],
  ['migrate', 'redo'],
  ['migrate', 'up', '--dry-run'],
  ['migrate', 'reset', '--confirm'],
];

test.for(COMMANDS)('says the same of an unreachable server: %s %s', async (args, { oneFile }) => {
  const port = await findRefusedPort();
  const url = `postgres://app:${encodeURIComponent(PASSWORD)}@127.0.0.1:${port}/app`;
  const result = await runCli(args, { cwd: oneFile.dir, env: { EVDB_URL: url } });
  expectError(result, 'CONNECTION_REFUSED', 4);
  expectNoPassword(result);
});
