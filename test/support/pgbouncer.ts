import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { closeSql, openSql } from './databases.ts';

export interface PgBouncerOptions {
  poolMode: 'transaction' | 'session' | 'statement';
  /** Connections to the server; default 4. */
  poolSize?: number;
}

export interface PgBouncer {
  /** The server's URL by way of the pooler. */
  url: string;
  stop(): Promise<void>;
}

const START_TIMEOUT_MS = 20_000;

/** Why no test can have a PgBouncer here; undefined where it can. */
export function whyNoPgBouncer(): string | undefined {
  return findPgBouncer() ? undefined : 'there is no pgbouncer on the PATH or in /usr/sbin';
}

/** Starts PgBouncer on a free loopback port before a server, and waits until it answers. */
export async function startPgBouncer(
  serverUrl: string,
  { poolMode, poolSize = 4 }: PgBouncerOptions,
): Promise<PgBouncer> {
  const program = findPgBouncer();
  if (!program) throw new Error(whyNoPgBouncer());
  const folder = await mkdtemp(join(tmpdir(), 'evdb-test-pgbouncer-'));
  const port = await findFreePort();
  const file = join(folder, 'pgbouncer.ini');
  await writeFile(file, settingsOf(serverUrl, port, poolMode, poolSize));
  // PgBouncer refuses to run as root.
  const nobody = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
  if (nobody.uid !== undefined) await chmod(folder, 0o755);
  const child = spawn(program, ['-q', file], { stdio: 'ignore', ...nobody });
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
    child.once('error', () => resolve());
  });
  const kill = () => void child.kill('SIGKILL');
  // A run that ends early must not leave it behind.
  process.once('exit', kill);
  const stop = async () => {
    process.off('exit', kill);
    kill();
    await ended;
    await rm(folder, { recursive: true, force: true });
  };
  const url = new URL(serverUrl);
  url.host = `127.0.0.1:${port}`;
  const deadlineMs = Date.now() + START_TIMEOUT_MS;
  while (!(await answers(url.href))) {
    if (Date.now() < deadlineMs && child.exitCode === null) {
      await delay(50);
      continue;
    }
    await stop();
    throw new Error(`pgbouncer (${program}) does not answer on port ${port}`);
  }
  return { url: url.href, stop };
}

function findPgBouncer(): string | undefined {
  return [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin']
    .map((folder) => join(folder, 'pgbouncer'))
    .find(existsSync);
}

/** Whoever comes is let in, and is the server's user there: the tests are not about passwords. */
function settingsOf(
  serverUrl: string,
  listenPort: number,
  poolMode: string,
  poolSize: number,
): string {
  const { hostname, port, username, password, pathname } = new URL(serverUrl);
  const login = `user=${username} password=${decodeURIComponent(password)}`;
  return [
    '[databases]',
    `${pathname.slice(1)} = host=${hostname} port=${port || 5432} ${login}`,
    '[pgbouncer]',
    'listen_addr = 127.0.0.1',
    `listen_port = ${listenPort}`,
    'unix_socket_dir =',
    'auth_type = any',
    `pool_mode = ${poolMode}`,
    `default_pool_size = ${poolSize}`,
    'max_client_conn = 500',
    '',
  ].join('\n');
}

async function answers(url: string): Promise<boolean> {
  const sql = openSql(url, 1);
  try {
    await sql.unsafe('select 1').simple();
    return true;
  } catch {
    return false;
  } finally {
    await closeSql(sql);
  }
}

function findFreePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}
