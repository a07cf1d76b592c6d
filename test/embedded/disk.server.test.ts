import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { openSession } from '../../src/connection/session.ts';
import { ensureEmbeddedServer } from '../../src/embedded/server.ts';
import { readEmbeddedServer, stopEmbeddedServer } from '../../src/embedded/stop.ts';
import { mayMount, Stage } from './embedded-kit.ts';

const stage = new Stage();
const mounts: string[] = [];

afterAll(async () => {
  for (const folder of mounts) {
    execFileSync('mount', ['-o', 'remount,rw', folder]);
    await stopEmbeddedServer({ directory: join(folder, '.evdb') });
    // Lazily, since whoever looks into it meanwhile would keep it busy.
    execFileSync('umount', ['--lazy', folder]);
  }
  await stage.remove();
});

/** A project on a disk of its own, in memory. */
function projectOnDisk(options: string): string {
  const directory = stage.project();
  const folder = dirname(directory);
  execFileSync('mount', ['-t', 'tmpfs', '-o', `mode=755,${options}`, 'tmpfs', folder]);
  mounts.push(folder);
  return directory;
}

function remount(directory: string, mode: 'ro' | 'rw'): void {
  execFileSync('mount', ['-o', `remount,${mode}`, dirname(directory)]);
}

/** Leaves nothing of the disk. */
function fill(directory: string): string {
  const { bavail, bsize } = statfsSync(dirname(directory));
  const file = join(dirname(directory), 'ballast');
  writeFileSync(file, Buffer.alloc(bavail * bsize));
  return file;
}

async function keepSomething(directory: string): Promise<void> {
  const { connection } = await ensureEmbeddedServer({ directory });
  const session = await openSession(connection);
  await session.run('create table kept (id int); insert into kept values (7)');
  await session.close();
  await stopEmbeddedServer({ directory });
}

async function expectKept(directory: string): Promise<void> {
  const { connection, initialised } = await ensureEmbeddedServer({ directory });
  expect(initialised).toBe(false);
  const session = await openSession(connection);
  expect(await session.run('select id from kept')).toEqual([{ id: 7 }]);
  await session.close();
}

describe.runIf(mayMount)('a full disk (made with the right to mount)', () => {
  test('is named before anything is made, with what is needed and what is left', async () => {
    const directory = projectOnDisk('size=20m');
    await expect(ensureEmbeddedServer({ directory })).rejects.toMatchObject({
      code: 'DISK_FULL',
      message: expect.stringMatching(/needs about 100 MB, .* has \d+ MB left/),
    });
    expect(listMade(directory)).toEqual(['.gitignore']);
  });

  test('is named when it is full to the last byte', async () => {
    const directory = projectOnDisk('size=1m');
    fill(directory);
    await expect(ensureEmbeddedServer({ directory })).rejects.toMatchObject({ code: 'DISK_FULL' });
  });

  test('is named when initdb meets it, and leaves nothing behind', async () => {
    const directory = projectOnDisk('size=300m,nr_inodes=300');
    await expect(ensureEmbeddedServer({ directory })).rejects.toMatchObject({ code: 'DISK_FULL' });
    expect(listMade(directory)).toEqual(['.gitignore']);
  });

  test('keeps an existing server from starting, and its data is there once there is space', async () => {
    const directory = projectOnDisk('size=200m');
    await keepSomething(directory);
    const ballast = fill(directory);
    await expect(ensureEmbeddedServer({ directory })).rejects.toMatchObject({ code: 'DISK_FULL' });
    rmSync(ballast);
    await expectKept(directory);
  });
});

describe.runIf(mayMount)('a read-only disk (made with the right to mount)', () => {
  test('is named when there is no server yet', async () => {
    const directory = projectOnDisk('size=200m');
    remount(directory, 'ro');
    await expect(ensureEmbeddedServer({ directory })).rejects.toMatchObject({
      code: 'DISK_READ_ONLY',
      message: expect.stringContaining(directory),
    });
    remount(directory, 'rw');
    mkdirSync(directory);
    writeFileSync(join(directory, '.gitignore'), '*\n');
    remount(directory, 'ro');
    await expect(ensureEmbeddedServer({ directory })).rejects.toMatchObject({
      code: 'DISK_READ_ONLY',
    });
  });

  test('keeps an existing server from starting, and its data is there afterwards', async () => {
    const directory = projectOnDisk('size=200m');
    await keepSomething(directory);
    remount(directory, 'ro');
    await expect(ensureEmbeddedServer({ directory })).rejects.toMatchObject({
      code: 'DISK_READ_ONLY',
    });
    expect(await readEmbeddedServer({ directory })).toMatchObject({ running: false });
    remount(directory, 'rw');
    await expectKept(directory);
  });
});

/** Without the links to libraries, which are needed where install scripts were blocked. */
function listMade(directory: string): string[] {
  return readdirSync(directory).filter((name) => !name.startsWith('libraries-'));
}
