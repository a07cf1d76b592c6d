import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openSession } from '../../src/connection/session.ts';
import { ensureEmbeddedServer } from '../../src/embedded/server.ts';
import { readEmbeddedServer, stopEmbeddedServer } from '../../src/embedded/stop.ts';
import { until } from '../support/waiting.ts';
import { isLinux, isRoot, mayMount, nobody, Stage } from './embedded-kit.ts';

const stage = new Stage();
beforeAll(() => stage.compile());
afterAll(() => stage.remove());

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // a zombie whose parent has not looked yet is dead
    return !isLinux || !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

describe('several processes at once', () => {
  test('share one server, which one of them initialises and starts', async () => {
    const directory = stage.project();
    const all = Array.from({ length: 6 }, () => stage.ensureElsewhere(directory).result);
    const results = await Promise.all(all);
    expect(results.map(({ message }) => message)).toEqual(Array(6).fill(undefined));
    expect(new Set(results.map(({ pid }) => pid)).size).toBe(1);
    expect(results.filter(({ initialised }) => initialised)).toHaveLength(1);
    expect(results.filter(({ started }) => started)).toHaveLength(1);
    const [first] = results;
    expect(isAlive(Number(first?.pid))).toBe(true);
    expect(await ensureEmbeddedServer({ directory })).toMatchObject({
      pid: first?.pid,
      url: first?.url,
    });
  });

  test('restart a stopped server once', async () => {
    const directory = stage.project();
    await ensureEmbeddedServer({ directory });
    await stopEmbeddedServer({ directory });
    const calls = Array.from({ length: 5 }, () => ensureEmbeddedServer({ directory }));
    const results = await Promise.all(calls);
    expect(new Set(results.map(({ pid }) => pid)).size).toBe(1);
    expect(results.filter(({ started }) => started)).toHaveLength(1);
  });

  test('leave one server or none when some start it while others stop it', async () => {
    const directory = stage.project();
    await ensureEmbeddedServer({ directory });
    for (let round = 0; round < 3; round += 1) {
      const [, server] = await Promise.all([
        stopEmbeddedServer({ directory }),
        ensureEmbeddedServer({ directory }),
        stopEmbeddedServer({ directory }),
      ]);
      const found = await readEmbeddedServer({ directory });
      if (found.running) expect(found.pid).toBe(server.pid);
      else expect(isAlive(server.pid)).toBe(false);
    }
    const session = await openSession((await ensureEmbeddedServer({ directory })).connection);
    await session.close();
  });
});

describe('a process that started the server', () => {
  test('can end, and whoever waits for its output is not kept waiting', async () => {
    const directory = stage.project();
    const { result } = stage.ensureElsewhere(directory);
    const { pid } = await result;
    expect(isAlive(Number(pid))).toBe(true);
  });

  test('does not pass Ctrl-C on to the server', async () => {
    const directory = stage.project();
    const { child, result } = stage.ensureElsewhere(directory, { lingerMs: 60_000 });
    await until(async () => (await readEmbeddedServer({ directory })).running);
    const { pid } = await readEmbeddedServer({ directory });
    // what a terminal does: the signal goes to the whole process group
    process.kill(-Number(child.pid), 'SIGINT');
    await result;
    // a server that had got the signal would refuse new sessions at once
    const server = await ensureEmbeddedServer({ directory });
    expect(server).toMatchObject({ pid, started: false });
    const session = await openSession(server.connection);
    await session.close();
  });

  test('can be killed while the server still creates its database', async () => {
    const directory = stage.project();
    const { connection } = await ensureEmbeddedServer({ directory });
    const database = 'second';
    // another session is in the middle of the same work and commits in between
    const session = await openSession({ ...connection, database: 'postgres' });
    const [, server] = await Promise.all([
      session.run(`create database ${database}`),
      ensureEmbeddedServer({ directory, database }),
    ]);
    await session.close();
    const found = await openSession(server.connection);
    expect(await found.run('select current_database() as name')).toEqual([{ name: database }]);
    await found.close();
  });

  test('can be killed while it holds the lock in the middle of initdb', async () => {
    const directory = stage.project();
    const { child, result } = stage.ensureElsewhere(directory);
    const unfinished = () =>
      existsSync(directory)
        ? readdirSync(directory).find((name) => name.includes('.unfinished-'))
        : undefined;
    await until(() => existsSync(join(directory, unfinished() ?? 'none', 'data/PG_VERSION')));
    child.kill('SIGKILL');
    await result;
    expect(existsSync(join(directory, 'postgres'))).toBe(false);

    expect(await ensureEmbeddedServer({ directory })).toMatchObject({ initialised: true });
  });
});

describe('a server that was killed', () => {
  let directory: string;
  beforeAll(() => {
    directory = stage.project();
  });

  async function startAndKill(): Promise<string> {
    const { connection, dataDirectory, pid } = await ensureEmbeddedServer({ directory });
    const session = await openSession(connection);
    await session.run('drop table if exists kept; create table kept as select 7 as id');
    process.kill(pid, 'SIGKILL');
    await until(() => session.isClosed && !isAlive(pid));
    return dataDirectory;
  }

  async function expectKept(): Promise<void> {
    const { connection, initialised, started } = await ensureEmbeddedServer({ directory });
    expect({ initialised, started }).toEqual({ initialised: false, started: true });
    const session = await openSession(connection);
    expect(await session.run('select id from kept')).toEqual([{ id: 7 }]);
    await session.close();
  }

  test('is not taken for a running one, and recovers at the next call', async () => {
    const dataDirectory = await startAndKill();
    expect(existsSync(join(dataDirectory, 'postmaster.pid'))).toBe(true);
    expect(await readEmbeddedServer({ directory })).toMatchObject({ running: false });
    expect(await stopEmbeddedServer({ directory })).toMatchObject({ stopped: false });
    await expectKept();
  });

  test('recovers although its pid belongs to another program of the same user', async () => {
    const dataDirectory = await startAndKill();
    const other = spawn('sleep', ['300'], { stdio: 'ignore', ...(isRoot ? nobody : {}) });
    try {
      await once(other, 'spawn');
      giveItsPidTo(other, dataDirectory);
      expect(await readEmbeddedServer({ directory })).toMatchObject({ running: false });
      expect(await stopEmbeddedServer({ directory })).toMatchObject({ stopped: false });
      expect(isAlive(Number(other.pid))).toBe(true);
      await expectKept();
    } finally {
      other.kill();
    }
  });

  test('recovers although its pid belongs to the server of another project', async () => {
    const dataDirectory = await startAndKill();
    const other = await ensureEmbeddedServer({ directory: stage.project() });
    giveItsPidTo(other, dataDirectory);
    await expectKept();
    expect(isAlive(other.pid)).toBe(true);
  });

  test('is refused a start while its orphans still work on the data', async () => {
    const server = await ensureEmbeddedServer({ directory });
    const session = await openSession(server.connection);
    const orphan = session.facts.pid;
    // paused, so that it cannot notice that its server died
    process.kill(orphan, 'SIGSTOP');
    try {
      process.kill(server.pid, 'SIGKILL');
      await until(() => !isAlive(server.pid));
      await expect(ensureEmbeddedServer({ directory })).rejects.toMatchObject({
        code: 'EMBEDDED_START_FAILED',
        message: expect.stringContaining('sessions of a server that crashed'),
      });
    } finally {
      process.kill(orphan, 'SIGCONT');
    }
    await until(() => !isAlive(orphan));
    await expectKept();
  });

  function giveItsPidTo({ pid }: Pick<ChildProcess, 'pid'>, dataDirectory: string): void {
    for (const name of readdirSync(dataDirectory)) {
      if (name !== 'postmaster.pid' && !/^\.s\.PGSQL\..*\.lock$/.test(name)) continue;
      const path = join(dataDirectory, name);
      const [, ...rest] = readFileSync(path, 'latin1').split('\n');
      writeFileSync(path, [pid, ...rest].join('\n'));
    }
  }
});

describe.runIf(mayMount)('a server in another container (made with the right to unshare)', () => {
  const container = ['unshare', '--pid', '--fork', '--mount-proc'];

  let directory: string;
  beforeAll(() => {
    directory = stage.project();
  });

  test('does not matter once it is gone, however it went', async () => {
    // the end of the first process of a container kills everything in it
    const there = await stage.ensureElsewhere(directory, { prefix: container }).result;
    expect(there).toMatchObject({ initialised: true });
    expect(existsSync(join(String(there.dataDirectory), 'postmaster.pid'))).toBe(true);
    expect(await ensureEmbeddedServer({ directory })).toMatchObject({
      initialised: false,
      started: true,
    });
  });

  test('is not joined by a second one on the same data', async () => {
    const { connection, pid } = await ensureEmbeddedServer({ directory });
    const prefix = [...container, '--net'];
    const { code, message } = await stage.ensureElsewhere(directory, { prefix }).result;
    expect(code).toBe('EMBEDDED_START_FAILED');
    expect(message).toContain('cannot be seen from here');
    const session = await openSession(connection);
    await session.close();
    expect(await readEmbeddedServer({ directory })).toMatchObject({ running: true, pid });
  });
});
