import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openSession } from '../../src/connection/session.ts';
import { ensureEmbeddedServer } from '../../src/embedded/server.ts';
import { readEmbeddedServer, stopEmbeddedServer } from '../../src/embedded/stop.ts';
import { isLinux, isRoot, nobody, Stage } from './embedded-kit.ts';

const stage = new Stage();
beforeAll(() => stage.compile());
afterAll(() => stage.remove());

function ownerOfProcess(pid: number): number {
  return statSync(`/proc/${pid}`).uid;
}

async function expectWorks(directory: string): Promise<void> {
  const { connection } = await ensureEmbeddedServer({ directory });
  const session = await openSession(connection);
  expect(await session.run('select 1 as one')).toEqual([{ one: 1 }]);
  await session.close();
}

describe.runIf(isLinux && isRoot)('as root', () => {
  test('the server runs as nobody, on data that nobody else can read', async () => {
    const directory = stage.project();
    const { dataDirectory, pid } = await ensureEmbeddedServer({ directory });
    expect(dataDirectory).toBe(join(directory, 'postgres/data'));
    expect(ownerOfProcess(pid)).toBe(nobody.uid);
    const groups = /^Groups:(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    expect(groups?.trim()).toBe('');
    expect(statSync(dirname(dataDirectory))).toMatchObject({ uid: nobody.uid });
    expect(statSync(dirname(dataDirectory)).mode & 0o777).toBe(0o700);
    expect(statSync(join(directory, 'server.log'))).toMatchObject({ uid: 0 });
    expect(statSync(join(directory, 'server.log')).mode & 0o777).toBe(0o600);
  });

  test('a folder of its own that is closed is opened just enough', async () => {
    const directory = stage.project();
    const { mkdirSync } = await import('node:fs');
    mkdirSync(directory, { mode: 0o700 });
    const { dataDirectory } = await ensureEmbeddedServer({ directory });
    expect(dataDirectory).toBe(join(directory, 'postgres/data'));
    expect(statSync(directory).mode & 0o777).toBe(0o711);
  });

  test('a project that nobody can enter keeps its data outside, and finds it again', async () => {
    const directory = stage.project(0o700);
    const first = await ensureEmbeddedServer({ directory });
    const home = dirname(first.dataDirectory);
    stage.removeLater(home);
    expect(home.startsWith(stage.root)).toBe(false);
    expect(readFileSync(join(directory, 'server.json'), 'utf8')).toContain(home);
    await expectWorks(directory);
    expect(await ensureEmbeddedServer({ directory })).toMatchObject({ started: false });
    expect(await stopEmbeddedServer({ directory })).toEqual({ stopped: true, pid: first.pid });

    rmSync(join(directory, 'server.json'));
    const again = await ensureEmbeddedServer({ directory });
    expect(again).toMatchObject({ initialised: false, dataDirectory: first.dataDirectory });
    await expectWorks(directory);
  });

  test('binaries that nobody can reach are copied to where the data is', async () => {
    const binariesDir = stage.copyBinariesWithoutLinks('closed');
    chmodSync(binariesDir, 0o700);
    const directory = stage.project();
    const messages: string[] = [];
    const onProgress = (message: string) => messages.push(message);
    const { pid } = await ensureEmbeddedServer({ directory, binariesDir, onProgress });
    expect(messages[0]).toContain('copying the PostgreSQL binaries');
    expect(readFileSync(`/proc/${pid}/cmdline`, 'latin1')).toContain(`${directory}/binaries-`);
    await stopEmbeddedServer({ directory });
    messages.length = 0;
    await ensureEmbeddedServer({ directory, binariesDir, onProgress });
    expect(messages).toEqual([]);
  });

  test('data that belongs to root is refused with the command that helps', async () => {
    const directory = stage.project();
    const { dataDirectory } = await ensureEmbeddedServer({ directory });
    await stopEmbeddedServer({ directory });
    chownSync(dataDirectory, 0, 0);
    await expect(ensureEmbeddedServer({ directory })).rejects.toMatchObject({
      code: 'EMBEDDED_START_FAILED',
      message: expect.stringContaining('belongs to root'),
      hint: expect.stringContaining('chown -R nobody'),
    });
    execFileSync('chown', ['-R', 'nobody', dirname(dataDirectory)]);
    await expectWorks(directory);
  });

  test("another user's project gets a server that this user can go on using", async () => {
    const directory = stage.project();
    chownSync(dirname(directory), nobody.uid, nobody.gid);
    const { pid } = await ensureEmbeddedServer({ directory });
    expect(ownerOfProcess(pid)).toBe(nobody.uid);
    const theirs = await stage.ensureElsewhere(directory, nobody).result;
    expect(theirs).toMatchObject({ pid, started: false });

    await stopEmbeddedServer({ directory });
    expect(await stage.ensureElsewhere(directory, nobody).result).toMatchObject({
      started: true,
      initialised: false,
    });
    await expectWorks(directory);
  });

  test('a restrictive umask changes nothing', async () => {
    const directory = stage.project();
    const binariesDir = stage.copyBinariesWithoutLinks('umask');
    const prefix = ['sh', '-c', 'umask 077; exec "$@"', 'sh'];
    const found = await stage.ensureElsewhere(directory, { prefix, binariesDir }).result;
    expect(found).toMatchObject({ started: true, initialised: true });
  });

  test('the server is recognised where containers withhold the right to look at it', async () => {
    const directory = stage.project();
    const { pid } = await ensureEmbeddedServer({ directory });
    const prefix = ['setpriv', '--bounding-set=-sys_ptrace', '--inh-caps=-sys_ptrace'];
    const link = `/proc/${pid}/cwd`;
    const look = [...prefix.slice(1), 'readlink', link];
    expect(() => execFileSync('setpriv', look, { stdio: 'pipe' })).toThrow();
    const found = await stage.ensureElsewhere(directory, { prefix }).result;
    expect(found).toMatchObject({ pid, started: false });
  });
});

describe.runIf(isLinux && isRoot)('as an ordinary user', () => {
  test('the server is initialised, started and shared with root', async () => {
    const directory = stage.project();
    chownSync(dirname(directory), nobody.uid, nobody.gid);
    const theirs = await stage.ensureElsewhere(directory, nobody).result;
    expect(theirs).toMatchObject({ started: true, initialised: true });
    expect(statSync(String(theirs.dataDirectory)).uid).toBe(nobody.uid);
    expect(await ensureEmbeddedServer({ directory })).toMatchObject({
      pid: theirs.pid,
      started: false,
    });
  });

  test('a project below a closed home works, because the home is their own', async () => {
    const directory = stage.project(0o700);
    chownSync(dirname(directory), nobody.uid, nobody.gid);
    const theirs = await stage.ensureElsewhere(directory, nobody).result;
    expect(theirs).toMatchObject({ initialised: true });
    expect(theirs.dataDirectory).toBe(join(directory, 'postgres/data'));
  });

  test("another user's server is refused with a clear error, and stays as it is", async () => {
    const directory = stage.project();
    const { pid } = await ensureEmbeddedServer({ directory });
    const stranger = { uid: 12_345, gid: 12_345 };
    const refused = await stage.ensureElsewhere(directory, stranger).result;
    expect(refused).toMatchObject({ code: 'PERMISSION_DENIED', stderr: '' });
    expect(await readEmbeddedServer({ directory })).toMatchObject({ running: true, pid });
  });

  test('a user id without a passwd entry gets an error that says so', async () => {
    const directory = stage.project();
    chmodSync(dirname(directory), 0o777);
    const unknown = { uid: 12_345, gid: 12_345 };
    const refused = await stage.ensureElsewhere(directory, unknown).result;
    expect(refused).toMatchObject({ code: 'EMBEDDED_UNAVAILABLE', stderr: '' });
    expect(refused.message).toContain('12345 has no entry in /etc/passwd');
    expect(existsSync(join(directory, 'postgres'))).toBe(false);
  });

  test('a folder without the right to write is refused with a clear error', async () => {
    const directory = stage.project();
    const refused = await stage.ensureElsewhere(directory, nobody).result;
    expect(refused.code).toBe('PERMISSION_DENIED');
    expect(refused.message).toContain(directory);
  });
});
