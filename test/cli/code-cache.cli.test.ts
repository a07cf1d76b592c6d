import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmod,
  chown,
  cp,
  mkdir,
  readdir,
  readFile,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, inject } from 'vitest';
import { test } from '../support/fixture.ts';
import { type CliResult, runCli } from '../support/run-cli.ts';

const run = promisify(execFile);

/** Runs a command that needs no server, with a cache folder of the test's own. */
function help(home: string, env: Record<string, string | undefined> = {}): Promise<CliResult> {
  return runCli(['migrate', '--help'], { cwd: home, env: { XDG_CACHE_HOME: home, ...env } });
}

async function listKept(home: string): Promise<string[]> {
  const names = await readdir(join(home, 'evdb')).catch(() => []);
  return names.map((name) => join(home, 'evdb', name));
}

/** The one file that a first start has kept. */
async function keepOne(home: string): Promise<string> {
  await help(home);
  const [path = '', ...others] = await listKept(home);
  expect(others).toEqual([]);
  return path;
}

/** Tells whether a start was content with what is kept: else it writes another file in its place. */
async function inodeOf(path: string): Promise<number> {
  return (await stat(path)).ino;
}

const works = (plain: CliResult) => ({ code: 0, stdout: plain.stdout, stderr: '' });

test('keeps the code of a command for its user alone, and uses it at the next start', async ({
  project: { dir },
}) => {
  const plain = await help(dir, { EVDB_CODE_CACHE: '0' });
  expect(await listKept(dir)).toEqual([]);
  const first = await help(dir);
  const [path = ''] = await listKept(dir);
  const inode = await inodeOf(path);
  const second = await help(dir);
  expect([first, second]).toMatchObject([works(plain), works(plain)]);
  expect(await listKept(dir)).toEqual([path]);
  expect(await inodeOf(path)).toBe(inode);
  const modes = await Promise.all([stat(dirname(path)), stat(path)]);
  expect(modes.map(({ mode }) => mode & 0o777)).toEqual([0o700, 0o600]);
});

test('uses the kept code of a command for which V8 gets other flags on the way', async ({
  project: { dir },
}) => {
  await mkdir(join(dir, 'migrations'));
  await writeFile(join(dir, 'migrations/001_a.sql'), 'create table a (id bigint primary key);\n');
  // The parser is loaded, and then the chunk that writes this format.
  const lint = (env = {}) =>
    runCli(['lint', '--format', 'github'], { cwd: dir, env: { XDG_CACHE_HOME: dir, ...env } });
  const plain = await lint({ EVDB_CODE_CACHE: '0' });
  await lint();
  const [path = '', ...others] = await listKept(dir);
  expect(others).toEqual([]);
  const inode = await inodeOf(path);
  expect(await lint()).toMatchObject(works(plain));
  expect(await inodeOf(path)).toBe(inode);
});

/** A program of the test's own, to be changed. */
async function copyProgram(dir: string): Promise<string> {
  const copy = join(dir, 'evdb-copy');
  const installed = dirname(dirname(inject('evdbBin')));
  for (const part of ['bin', 'dist/cli', 'package.json', 'templates']) {
    await cp(join(installed, part), join(copy, part), { recursive: true });
  }
  return copy;
}

/** The hashes of the sources whose code a file has. */
async function listSources(path: string): Promise<string[]> {
  const [head = ''] = (await readFile(path, 'latin1')).slice(64).split('\n');
  return (JSON.parse(head) as [string, number][]).map(([hashed]) => hashed);
}

test('keeps the code of the parser too, and reads what was made of another one anew', async ({
  project: { dir },
}) => {
  await mkdir(join(dir, 'migrations'));
  await writeFile(join(dir, 'migrations/001_a.sql'), 'create table ä (id bigint primary ky);\n');
  const copy = await copyProgram(dir);
  const parser = join(copy, 'node_modules/libpg-query');
  // Where only the parser finds it, as some package managers have it.
  const types = join(parser, 'node_modules/@pgsql/types');
  const resolve = createRequire(inject('evdbBin')).resolve;
  await cp(dirname(dirname(resolve('libpg-query'))), parser, { recursive: true });
  await cp(dirname(resolve('@pgsql/types')), types, { recursive: true });
  const env = { PATH: process.env.PATH, XDG_CACHE_HOME: dir };
  const node = process.env.EVDB_TEST_NODE || process.execPath;
  // Finds an error, so no code is kept of it; with the file mended it is.
  const lint = (args: string[] = []) =>
    run(node, [join(copy, 'bin/evdb.js'), 'lint', ...args], { env, cwd: dir }).catch(
      (error: { stdout: string }) => error,
    );
  expect((await lint()).stdout).toContain('syntax error at or near "ky"');
  await writeFile(join(dir, 'migrations/001_a.sql'), 'create table ä (id bigint primary key);\n');
  await lint();
  const [path = ''] = await listKept(dir);
  const glue = join(parser, 'wasm/index.cjs');
  const source = await readFile(glue, 'utf8');
  const hashOf = (text: string) => createHash('sha256').update(text).digest('hex');
  const before = await listSources(path);
  expect(before).toContain(hashOf(source));
  expect(before).toContain(hashOf(await readFile(join(parser, 'wasm/libpg-query.js'), 'utf8')));
  // As another version of the package: characters beyond ASCII, and another answer.
  const other = source.replaceAll('SqlError(message,', "SqlError('» ' + message,");
  const loud = other.replaceAll(/^( +)message,$/gm, "$1message: '» ' + message,");
  expect(loud).not.toBe(other);
  await writeFile(glue, loud);
  await writeFile(join(dir, 'migrations/001_a.sql'), 'create table ä (id bigint primary ky);\n');
  expect((await lint()).stdout).toContain('» syntax error at or near "ky"');
});

const DAMAGES: Record<string, (bytes: Buffer) => Buffer> = {
  'one bit of the code': (bytes) => {
    const at = Math.floor(bytes.length * 0.7);
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
    return bytes;
  },
  'one bit of its list': (bytes) => {
    bytes.writeUInt8(bytes.readUInt8(70) ^ 1, 70);
    return bytes;
  },
  'its second half': (bytes) => bytes.subarray(0, bytes.length / 2),
  'all but its hash': (bytes) => bytes.subarray(0, 64),
  everything: () => Buffer.alloc(0),
  'its own text': () => Buffer.from('another program keeps its things here\n'),
};

test.for(Object.entries(DAMAGES))(
  'is not misled by a file that has lost %s, and writes it anew',
  async ([, damage], { project: { dir } }) => {
    const plain = await help(dir, { EVDB_CODE_CACHE: '0' });
    const path = await keepOne(dir);
    const whole = await readFile(path);
    await writeFile(path, damage(Buffer.from(whole)));
    const inode = await inodeOf(path);
    expect(await help(dir)).toMatchObject(works(plain));
    const mended = await inodeOf(path);
    expect(mended).not.toBe(inode);
    await help(dir);
    expect(await inodeOf(path)).toBe(mended);
  },
);

test('runs a program that was changed as it is now, be it as long as before', async ({
  project: { dir },
}) => {
  const copy = await copyProgram(dir);
  const env = { PATH: process.env.PATH, XDG_CACHE_HOME: dir };
  const node = process.env.EVDB_TEST_NODE || process.execPath;
  const start = () => run(node, [join(copy, 'bin/evdb.js'), '--help'], { env });
  expect((await start()).stdout).toContain('PostgreSQL migrations and operations');
  const core = join(copy, 'dist/cli/core.cjs');
  const before = await stat(core);
  const source = await readFile(core, 'latin1');
  const changed = source.replace('PostgreSQL migrations and', 'PostgreSQL migratiöns and');
  await writeFile(core, changed, 'latin1');
  await utimes(core, before.atime, before.mtime);
  expect((await stat(core)).size).toBe(before.size);
  expect((await start()).stdout).toContain('PostgreSQL migratiöns and operations');
});

test('keeps the code of other flags of Node apart', async ({ project: { dir } }) => {
  const path = await keepOne(dir);
  const inode = await inodeOf(path);
  const env = { NODE_OPTIONS: '--max-old-space-size=900' };
  expect(await help(dir, env)).toMatchObject({ code: 0, stderr: '' });
  const kept = await listKept(dir);
  expect(kept).toHaveLength(2);
  const inodes = await Promise.all(kept.map(inodeOf));
  await help(dir, env);
  await help(dir);
  expect(await Promise.all(kept.map(inodeOf))).toEqual(inodes);
  expect(inodes).toContain(inode);
});

test('does without where there is no place for it, and says nothing', async ({
  project: { dir },
}) => {
  const plain = await help(dir, { EVDB_CODE_CACHE: '0' });
  const nowhere = { XDG_CACHE_HOME: undefined, HOME: undefined };
  expect(await help(dir, nowhere)).toMatchObject(works(plain));
  // A file where a folder should be cannot be written into, not even by root.
  const file = join(dir, 'file');
  await writeFile(file, '');
  expect(await help(dir, { XDG_CACHE_HOME: file })).toMatchObject(works(plain));
  expect(await help(dir, { XDG_CACHE_HOME: undefined, HOME: file })).toMatchObject(works(plain));
  expect(await listKept(dir)).toEqual([]);
});

test('takes the folder .cache of the home where XDG_CACHE_HOME says nothing', async ({
  project: { dir },
}) => {
  await help(dir, { XDG_CACHE_HOME: undefined, HOME: dir });
  expect(await listKept(join(dir, '.cache'))).toHaveLength(1);
});

test('neither reads nor writes where others may write', async ({ project: { dir } }) => {
  const path = await keepOne(dir);
  await writeFile(path, 'what others wrote');
  for (const [place, mode] of [
    [dirname(path), 0o777],
    [dirname(path), 0o770],
  ] as const) {
    await chmod(place, mode);
    expect(await help(dir)).toMatchObject({ code: 0, stderr: '' });
    expect(await readFile(path, 'utf8')).toBe('what others wrote');
  }
});

test('does not follow a link that somebody put in its place', async ({ project: { dir } }) => {
  const elsewhere = join(dir, 'elsewhere');
  await mkdir(elsewhere, { mode: 0o700 });
  await symlink(elsewhere, join(dir, 'evdb'));
  expect(await help(dir)).toMatchObject({ code: 0, stderr: '' });
  expect(await readdir(elsewhere)).toEqual([]);
});

test.runIf(process.getuid?.() === 0)(
  'leaves the folder of another user alone, as under sudo with their HOME',
  async ({ project: { dir } }) => {
    const folder = join(dir, 'evdb');
    await mkdir(folder, { mode: 0o700 });
    await chown(folder, 12345, 12345);
    expect(await help(dir)).toMatchObject({ code: 0, stderr: '' });
    expect(await readdir(folder)).toEqual([]);
  },
);

test.for([['--version'], ['migrate', 'staus'], ['../x', 'y'], ['lint', 'no-such-file.sql']])(
  'keeps nothing of `evdb %s`, which has nothing worth it',
  async (args, { project: { dir } }) => {
    await runCli(args, { cwd: dir, env: { XDG_CACHE_HOME: dir } });
    expect(await listKept(dir)).toEqual([]);
  },
);

test('removes what was written longest ago, and drafts of starts that were killed', async ({
  project: { dir },
}) => {
  const path = await keepOne(dir);
  const folder = dirname(path);
  await chmod(path, 0o644);
  for (let n = 0; n < 40; n += 1) {
    const old = join(
      folder,
      n % 2 ? `lint-0.0.${n}-0.bin` : `${path}.${n}.tmp`.slice(folder.length + 1),
    );
    await writeFile(old, 'old');
    await utimes(old, new Date(2020, 0, 1), new Date(2020, 0, 1 + n));
  }
  await runCli(['schema', '--help'], { cwd: dir, env: { XDG_CACHE_HOME: dir } });
  const kept = await listKept(dir);
  expect(kept).toHaveLength(24);
  expect(kept).toContain(path);
});
