import { createServer, type Socket } from 'node:net';
import { expect } from 'vitest';
import { POLL } from '../support/waiting.ts';
import { countOpen, outcomeOf, faultsTest as test } from './pool-kit.ts';

interface BadServer {
  url: string;
  connects(): number;
  close(): Promise<void>;
}

/** A listener that does to each connection what `treat` says, and no PostgreSQL. */
async function startBadServer(treat: (socket: Socket) => void): Promise<BadServer> {
  const sockets = new Set<Socket>();
  let connects = 0;
  const listener = createServer((socket) => {
    connects += 1;
    sockets.add(socket.on('error', () => undefined).resume());
    treat(socket);
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const address = listener.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  return {
    url: `postgres://nobody:secret-word@127.0.0.1:${port}/nowhere?sslmode=disable`,
    connects: () => connects,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}

const UNREACHABLE = /^(ACQUIRE_TIMEOUT|CONNECT_TIMEOUT|CONNECTION_LOST|CONNECTION_REFUSED)$/;

const BAD_SERVERS: [what: string, treat: (socket: Socket) => void][] = [
  ['ends each connection at once', (socket) => socket.end()],
  ['resets each connection at once', (socket) => socket.resetAndDestroy()],
  [
    'ends each connection after the first packet',
    (socket) => socket.once('data', () => socket.end()),
  ],
  ['never says a word', (socket) => socket.resume()],
  ['answers with something else', (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')],
  [
    'promises a message of a gigabyte',
    (socket) => socket.once('data', () => socket.write(Buffer.from('523fffffff00', 'hex'))),
  ],
];

for (const [what, treat] of BAD_SERVERS) {
  test(`gives up a server that ${what}, without a storm of connects`, async ({
    stage,
    onTestFinished,
  }) => {
    const server = await startBadServer(treat);
    onTestFinished(server.close);
    const options = {
      connectionString: server.url,
      max: 5,
      connectionTimeoutMillis: 300,
      acquireTimeoutMillis: 900,
    };
    const pool = stage.pool(options, { isReachable: false });
    const callers = Array.from({ length: 20 }, () => outcomeOf(pool.query('select 1')));
    for (const outcome of await Promise.all(callers)) expect(outcome).toMatch(UNREACHABLE);
    const error = await pool.query('select 1').catch((reason) => reason);
    expect(`${error.message} ${error.hint} ${error.stack}`).not.toContain('secret-word');
    // Five connections in two times 0.9 s: 20 attempts a second would be a storm already.
    expect(server.connects()).toBeLessThan(36);
    const connects = server.connects();
    expect(await outcomeOf(pool.close())).toBe('ok');
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(server.connects()).toBe(connects);
  });
}

test('serves all who wait within their deadline once the server is back', async ({ stage }) => {
  const proxy = await stage.proxy();
  const pool = stage.pool({ max: 4, connectionString: proxy.url, acquireTimeoutMillis: 10_000 });
  const connections = countOpen(pool);
  await pool.query('select 1');
  proxy.refuse();
  await stage.kill();
  await expect.poll(connections).toBe(0);
  const waiting = [
    ...Array.from({ length: 20 }, () => outcomeOf(pool.query('select 1'))),
    outcomeOf(pool.withTransaction((tx) => tx.query(`insert into kept values (1, 'a')`))),
  ];
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  await proxy.accept();
  expect(await Promise.all(waiting)).toEqual(Array(21).fill('ok'));
  expect(await stage.kept()).toEqual(['1 a']);
});

test('tells those whose deadline passes while the server is away why, and recovers', async ({
  stage,
}) => {
  const proxy = await stage.proxy();
  proxy.refuse();
  const pool = stage.pool({ max: 2, connectionString: proxy.url, acquireTimeoutMillis: 400 });
  const errors = await Promise.all(
    Array.from({ length: 6 }, () => pool.query('select 1').catch((error) => error)),
  );
  for (const { code, message, hint, cause } of errors) {
    expect(code).toMatch(/^(ACQUIRE_TIMEOUT|CONNECTION_REFUSED)$/);
    const said = `${message} ${hint} ${cause?.message ?? ''}`;
    expect(said).toContain(new URL(proxy.url).port);
  }
  await proxy.accept();
  // The pause before the next attempt may outlast one deadline.
  await expect.poll(() => outcomeOf(pool.query('select 1')), { timeout: 8_000 }).toBe('ok');
});

test('answers health and testConnection where the server is away', async ({ stage }) => {
  const proxy = await stage.proxy();
  const pool = stage.pool({ max: 2, connectionString: proxy.url, acquireTimeoutMillis: 500 });
  expect(await pool.testConnection()).toBe(true);
  proxy.refuse();
  proxy.cut();
  expect(await pool.testConnection()).toBe(false);
  expect(await outcomeOf(pool.health())).toBe('ok');
  proxy.restore();
  await proxy.accept();
  await expect.poll(() => pool.testConnection(), { timeout: 8_000 }).toBe(true);
});

test('shares the few connections that the server grants', async ({ stage, admin }) => {
  const role = `limited_${stage.applicationName.replaceAll('-', '_')}`;
  await admin.unsafe(`create role ${role} login password 'limited' connection limit 2`);
  try {
    const url = new URL(stage.url);
    url.username = role;
    url.password = 'limited';
    const options = { max: 6, connectionString: url.href, acquireTimeoutMillis: 8_000 };
    const pool = stage.pool(options, { isReachable: false });
    const slow = Array.from({ length: 12 }, () => outcomeOf(pool.query('select pg_sleep(0.02)')));
    expect(await Promise.all(slow)).toEqual(Array(12).fill('ok'));

    const other = stage.pool({ ...options, acquireTimeoutMillis: 500 }, { isReachable: false });
    const holders = [1, 2].map(() => pool.query('select pg_sleep(60)').catch(() => undefined));
    await expect.poll(async () => (await stage.backends()).length).toBe(2);
    const error = await other.query('select 1').catch((reason) => reason);
    const codes = [error.code, error.cause?.code];
    expect(codes).toContain('TOO_MANY_CONNECTIONS');
    await stage.kill();
    await Promise.all(holders);
    await expect.poll(() => outcomeOf(other.query('select 1')), { timeout: 8_000 }).toBe('ok');
    await Promise.all([pool.close(), other.close()]);
  } finally {
    await expect.poll(stage.backends).toEqual([]);
    await admin.unsafe(`drop role ${role}`);
  }
});

test('does not try a wrong password again and again', async ({ stage }) => {
  const proxy = await stage.proxy();
  const url = new URL(proxy.url);
  url.password = 'wrong-secret-word';
  const options = { max: 5, connectionString: url.href, acquireTimeoutMillis: 1_500 };
  const pool = stage.pool(options, { isReachable: false });
  const callers = Array.from({ length: 10 }, () => pool.query('select 1').catch((error) => error));
  for (const error of await Promise.all(callers)) {
    expect([error.code, error.cause?.code]).toContain('AUTHENTICATION_FAILED');
    expect(`${error.message} ${error.hint}`).not.toContain('wrong-secret-word');
  }
  expect(proxy.attempts()).toBeLessThan(60);
});

test('closes while it connects', async ({ stage, onTestFinished }) => {
  const server = await startBadServer((socket) => socket.resume());
  onTestFinished(server.close);
  const options = { max: 3, min: 2, connectionString: server.url };
  const pool = stage.pool(options, { isReachable: false });
  const warm = outcomeOf(pool.warm());
  const query = outcomeOf(pool.query('select 1'));
  await expect.poll(server.connects).toBeGreaterThan(0);
  expect(await outcomeOf(pool.close({ timeoutMillis: 200 }))).toMatch(/^(ok|[A-Z_]+_TIMEOUT)$/);
  expect(await query).toBe('POOL_CLOSED');
  expect(await warm).not.toBe('pending');
  expect(await outcomeOf(pool.query('select 1'))).toBe('POOL_CLOSED');
});

test('is healthy again when connections can be opened, although nobody needs one', async ({
  stage,
}) => {
  const proxy = await stage.proxy();
  const pool = stage.pool({ connectionString: proxy.url, max: 2 });
  await pool.query('select 1');
  proxy.refuse();
  await Promise.all([pool.query('select pg_sleep(0.1)'), pool.query('select 1')]);
  expect(await pool.health()).toMatchObject({
    status: 'degraded',
    error: { code: 'CONNECTION_REFUSED' },
  });
  await proxy.accept();
  await expect.poll(async () => (await pool.health()).status, POLL).toBe('ok');
  expect(pool.metrics()).toMatchObject({ waiting: 0, failedQueries: 0 });
});
