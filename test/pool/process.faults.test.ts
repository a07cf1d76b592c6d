import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { expect } from 'vitest';
import { scrubEnvironment } from '../support/run-cli.ts';
import { type FaultsStage, faultsTest as test } from './pool-kit.ts';

const library = new URL('../../dist/lib/index.js', import.meta.url).href;

interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/**
 * Runs a script as a process of its own, in which nothing catches what nobody caught: it ends with
 * code 0 only where no rejection and no exception got away, and where nothing keeps it alive.
 */
function runScript(stage: FaultsStage, body: string, url = stage.url): Promise<Ended> {
  const text = `
    import { DatabasePool } from ${JSON.stringify(library)};
    const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    const codeOf = (work) => work.then(() => 'ok', (error) => error.code ?? String(error));
    const print = (what) => process.stdout.write(JSON.stringify(what) + '\\n');
    const poolOf = (options) => new DatabasePool({
      connectionString: process.env.POOL_URL,
      applicationName: process.env.POOL_NAME,
      ...options,
    });
    ${body}`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', text], {
    env: {
      ...scrubEnvironment(process.env),
      POOL_URL: url,
      POOL_NAME: stage.applicationName,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended: Ended = { code: null, signal: null, stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (part: string) => {
      ended[name] += part;
    });
  }
  const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
  return new Promise((resolve) => {
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ ...ended, code, signal });
    });
  });
}

function expectPrinted(ended: Ended, ...lines: unknown[]): void {
  const stdout = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
  expect(ended).toEqual({ code: 0, signal: null, stdout, stderr: '' });
}

test('lets a process end by itself once its pool is closed', async ({ stage }) => {
  const ended = await runScript(
    stage,
    `const pool = poolOf({ max: 3, min: 2, leakThresholdMillis: 5000, healthCheckIntervalMillis: 5000 });
     await pool.warm();
     await pool.withTransaction((tx) => tx.query('select 1'));
     await pool.close();
     print('closed');`,
  );
  expectPrinted(ended, 'closed');
  expect(await stage.backends()).toEqual([]);
});

test('lets a process end with connections that nobody uses, where that is wished', async ({
  stage,
}) => {
  const ended = await runScript(
    stage,
    `const pool = poolOf({ max: 3, min: 2, idleTimeoutMillis: 0, allowExitOnIdle: true });
     await pool.warm();
     await Promise.all([1, 2, 3].map(() => pool.query('select pg_sleep(0.1)')));
     await pool.withTransaction((tx) => tx.query('select pg_sleep(0.3)'));
     print((await pool.query('select pg_sleep(0.3), 1 as n')).rows[0].n);`,
  );
  expectPrinted(ended, 1);
});

test('takes the process down by no connection that is lost, wherever it was', async ({ stage }) => {
  const script = runScript(
    stage,
    `const pool = poolOf({ max: 4 });
     const killMe = async (connection) => {
       const { rows } = await connection.query('select pg_backend_pid() as pid');
       await killer.query('select pg_terminate_backend($1, 5000)', [rows[0].pid]);
     };
     const killer = poolOf({ max: 1 });
     const outcomes = {
       // idle in a transaction, with nothing sent afterwards
       silent: await codeOf(pool.withTransaction(killMe)),
       thrown: await codeOf(pool.withTransaction(async (tx) => { await killMe(tx); throw 'own'; })),
       after: await codeOf(pool.withTransaction(async (tx) => {
         await killMe(tx);
         await tx.query('select 1');
       })),
       // queries that nobody awaits
       forgotten: await codeOf(pool.withTransaction(async (tx) => {
         void tx.query('select pg_sleep(10)').catch(() => {});
         await pause(50);
         await killer.query(
           "select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'PgSleep' and application_name = $1",
           [process.env.POOL_NAME],
         );
       })),
       connection: await codeOf(pool.withConnection(killMe)),
       server: await codeOf(pool.withTransaction(async (tx) => {
         await tx.query("set local idle_in_transaction_session_timeout = '50ms'");
         await pause(300);
       })),
     };
     await pause(100);
     print([outcomes.thrown, outcomes.after, await codeOf(pool.query('select 1'))]);
     await Promise.all([pool.close(), killer.close()]);`,
  );
  expectPrinted(await script, ['own', 'CONNECTION_LOST', 'ok']);
});

test('takes the process down by no error event that nobody listens to', async ({ stage }) => {
  const listener = createServer((socket) => {
    socket
      .on('error', () => undefined)
      .resume()
      .end();
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const address = listener.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const ended = await runScript(
    stage,
    `const pool = poolOf({ max: 3, min: 2, acquireTimeoutMillis: 300, healthCheckIntervalMillis: 50 });
     const outcomes = await Promise.all([1, 2, 3].map(() => codeOf(pool.query('select 1'))));
     print(new Set(outcomes).has('ok'));
     print(await codeOf(pool.warm()) === 'ok');
     await pause(300);
     await pool.close();`,
    `postgres://nobody@127.0.0.1:${port}/nowhere`,
  );
  expectPrinted(ended, false, false);
  await new Promise((resolve) => listener.close(resolve));
});

test('takes the process down by no statement of a transaction that nobody awaits', async ({
  stage,
}) => {
  const ended = await runScript(
    stage,
    `const pool = poolOf({ max: 1 });
     const outcome = await codeOf(pool.withTransaction(async (tx) => {
       void tx.query('select 1 / 0');
       void tx.query('select 1');
     }));
     await pause(50);
     print([outcome, await codeOf(pool.query('select 1'))]);
     await pool.close();`,
  );
  expectPrinted(ended, ['TRANSACTION_ROLLED_BACK', 'ok']);
});

test('closes at once where only its own health checks wait', async ({ stage }) => {
  const ended = await runScript(
    stage,
    `const pool = poolOf({ max: 2, healthCheckIntervalMillis: 20 });
     let checks = 0;
     pool.on('health', ({ status }) => { checks += status === 'down' ? 1 : 0; });
     await pause(500);
     const closed = await Promise.race([pool.close().then(() => 'closed'), pause(3_000)]);
     print([closed ?? 'still closing']);`,
    'postgres://nobody@127.0.0.1:1/nowhere',
  );
  expectPrinted(ended, ['closed']);
});

test('keeps a process alive until its query was answered, and its caller told', async ({
  stage,
}) => {
  const ended = await runScript(
    stage,
    `const pool = poolOf({ max: 1, acquireTimeoutMillis: 400 });
     pool.query('select pg_sleep(1)').then(() => print('slept')).then(() => pool.close());
     pool.query('select 1').catch((error) => print(error.code));`,
  );
  expectPrinted(ended, 'ACQUIRE_TIMEOUT', 'slept');
});

test('lets a process end that forgot to close its pool, once its connections idled', async ({
  stage,
}) => {
  const ended = await runScript(
    stage,
    `const pool = poolOf({ max: 2, idleTimeoutMillis: 300 });
     await pool.query('select 1');
     print('done');`,
  );
  expectPrinted(ended, 'done');
});
