import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
  statfsSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { EvdbError } from '../errors.ts';
import type { UsableBinaries } from './binaries.ts';
import { diskFull, fileError, findDiskError } from './disk.ts';
import {
  canEnter,
  giveToFolderOwner,
  hasMode,
  type ProgramResult,
  type RunAs,
  runProgram,
} from './run-as.ts';
import { dataDirectoryOf, EMBEDDED_USER, passwordPathOf, readState } from './running.ts';

/**
 * Creates `.evdb/` with a `.gitignore` that ignores all of it, and returns its real path.
 *
 * @throws {EvdbError} DISK_FULL, DISK_READ_ONLY, PERMISSION_DENIED
 */
export function ensureDirectory(directory: string): string {
  try {
    if (!existsSync(directory)) makeDirectory(directory);
    const ignore = join(directory, '.gitignore');
    if (!existsSync(ignore)) {
      writeFileSync(ignore, '*\n');
      giveToFolderOwner(ignore, directory);
    }
    return realpathSync(directory);
  } catch (error) {
    throw fileError(error, 'create', directory);
  }
}

function makeDirectory(directory: string): void {
  mkdirSync(dirname(directory), { recursive: true });
  try {
    // without `recursive`, which would hide why it fails
    mkdirSync(directory);
  } catch (error) {
    // another process was quicker
    if (existsSync(directory)) return;
    throw error;
  }
  giveToFolderOwner(directory, dirname(realpathSync(directory)));
}

/**
 * The home of the cluster that already exists for this folder, or undefined. It is found without
 * its state file too: a cluster must not be lost because a small file was.
 *
 * @param directory the `.evdb` folder with its links resolved
 */
export function findHome(directory: string): string | undefined {
  const remembered = readState(directory)?.home;
  const outside = outsideHomes(directory).filter((home) => isOwnFolder(dirname(home)));
  const candidates = [remembered, insideHome(directory), ...outside];
  return candidates.find((home) => home !== undefined && mayExist(dataDirectoryOf(home)));
}

/** A folder that cannot be looked into may hold data: only a plain "no" is a no. */
function mayExist(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENOTDIR';
  }
}

/**
 * Where a new cluster goes: inside the folder, or, when root's stand-in cannot enter that, in the
 * first place outside that it can enter. Only the last of those does not outlive a reboot.
 *
 * @throws {EvdbError} EMBEDDED_UNAVAILABLE when there is no such place
 */
export function chooseHome(directory: string, runAs: RunAs | undefined): string {
  if (!runAs) return insideHome(directory);
  if (canEnter(dirname(directory), runAs)) {
    // the folder is ours alone, and each file in it keeps its own mode
    if (!hasMode(directory, runAs, 0o1)) chmodSync(directory, 0o711);
    return insideHome(directory);
  }
  for (const home of outsideHomes(directory)) {
    if (ensureOwnFolder(dirname(home)) && canEnter(dirname(home), runAs)) return home;
  }
  throw new EvdbError(
    'EMBEDDED_UNAVAILABLE',
    `PostgreSQL refuses to run as root, and the user ${runAs.name} cannot enter ${directory} or any folder outside it`,
    { hint: 'Run evdb as an ordinary user, or set EVDB_URL to a PostgreSQL server.' },
  );
}

function insideHome(directory: string): string {
  return join(directory, 'postgres');
}

function outsideHomes(directory: string): string[] {
  if (process.getuid?.() !== 0) return [];
  const key = createHash('sha256').update(directory).digest('hex').slice(0, 16);
  return ['/var/lib', '/var/tmp', tmpdir()].map((base) => join(base, 'evdb', key));
}

function ensureOwnFolder(folder: string): boolean {
  try {
    mkdirSync(folder);
    // whatever the umask says
    chmodSync(folder, 0o755);
  } catch {
    // it exists, or cannot be made: the look tells
  }
  return isOwnFolder(folder);
}

/** Others may write to /var/tmp: what they put there under our name is not ours to use. */
function isOwnFolder(folder: string): boolean {
  const found = lstatSync(folder, { throwIfNoEntry: false });
  return found?.isDirectory() === true && found.uid === 0 && (found.mode & 0o022) === 0;
}

const NEEDED_BYTES = 100 * 1024 * 1024;
const UNFINISHED = '.unfinished-';

/** Written to the end of postgresql.conf, where the user may change it. */
const SETTINGS = `
# Set by evdb. The server gets its port and its socket folder as arguments.
listen_addresses = '127.0.0.1'
max_connections = 100
max_wal_size = 512MB
timezone = 'UTC'
log_timezone = 'UTC'
log_checkpoints = off
log_line_prefix = '%m [%p] %e '
`;

/**
 * Makes a new cluster at `home`: under another name first, so that a crash in the middle leaves
 * nothing that could be taken for a good one. The caller holds the lock.
 *
 * @throws {EvdbError} DISK_FULL, DISK_READ_ONLY, PERMISSION_DENIED, EMBEDDED_START_FAILED
 */
export async function initialiseCluster(
  home: string,
  binaries: UsableBinaries,
  runAs: RunAs | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  removeUnfinished(home);
  requireSpace(dirname(home));
  const temporary = `${home}${UNFINISHED}${randomBytes(6).toString('hex')}`;
  try {
    createHome(temporary, runAs);
    await runInitdb(temporary, binaries, runAs);
    writeDurably(join(dataDirectoryOf(temporary), 'postgresql.conf'), SETTINGS);
    removeEmptiedHome(home);
    renameSync(temporary, home);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true, maxRetries: 3 });
    // Ctrl-C reaches initdb too: then its failure is no failure
    signal?.throwIfAborted();
    throw fileError(error, 'initialise PostgreSQL in', home);
  }
}

/** What a killed initialisation left behind was never a cluster. */
function removeUnfinished(home: string): void {
  for (const name of readdirSync(dirname(home))) {
    if (!name.startsWith(`${basename(home)}${UNFINISHED}`)) continue;
    try {
      rmSync(join(dirname(home), name), { recursive: true, force: true, maxRetries: 3 });
    } catch {
      // an initdb that outlived its parent is still writing: it will be swept the next time
    }
  }
}

/** Somebody who removes `data/` by hand to start afresh leaves the password; nothing else goes. */
function removeEmptiedHome(home: string): void {
  if (!existsSync(home) || existsSync(dataDirectoryOf(home))) return;
  rmSync(passwordPathOf(home), { force: true });
  rmdirSync(home);
}

function requireSpace(folder: string): void {
  const { bavail, bsize } = statfsSync(folder);
  const freeBytes = bavail * bsize;
  if (freeBytes >= NEEDED_BYTES) return;
  const [needed, free] = [NEEDED_BYTES, freeBytes].map((bytes) => Math.floor(bytes / 2 ** 20));
  throw diskFull(
    `a new PostgreSQL cluster needs about ${needed} MB, and the disk of ${folder} has ${free} MB left`,
    { details: { path: folder, freeBytes, neededBytes: NEEDED_BYTES } },
  );
}

function createHome(home: string, runAs: RunAs | undefined): void {
  mkdirSync(home, { mode: 0o700 });
  writeDurably(passwordPathOf(home), `${randomBytes(24).toString('base64url')}\n`);
  if (!runAs) return;
  chownSync(home, runAs.uid, runAs.gid);
  chownSync(passwordPathOf(home), runAs.uid, runAs.gid);
}

/** Appends and waits for the disk: initdb does so for its files, and these matter as much. */
function writeDurably(path: string, text: string): void {
  const descriptor = openSync(path, 'a', 0o600);
  try {
    writeSync(descriptor, text);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * From 17 on the builtin locale rules; before, and for what 17 still leaves to the C library, that
 * of the library does. Not every system has C.UTF-8, and initdb finds that out before all else.
 */
const CHARACTER_TYPES = ['C.UTF-8', 'C'];

async function runInitdb(
  home: string,
  binaries: UsableBinaries,
  runAs: RunAs | undefined,
): Promise<void> {
  const { env, initdb } = binaries;
  let result: ProgramResult | undefined;
  for (const characterType of CHARACTER_TYPES) {
    const args = [...initdbArguments(home, binaries), `--lc-ctype=${characterType}`];
    result = await runProgram(initdb, args, { env, runAs });
    if (result.exitCode === 0) return;
    if (existsSync(dataDirectoryOf(home))) break;
  }
  const diskError = await findDiskError(home);
  if (diskError) throw diskError;
  const { stdout = '', stderr = '', ...details } = result ?? {};
  throw new EvdbError('EMBEDDED_START_FAILED', 'initdb could not make a new PostgreSQL cluster', {
    hint: 'The details hold what initdb said; nothing was left behind.',
    details: { ...details, output: `${stdout}\n${stderr}`.trim().slice(-4000) },
  });
}

function initdbArguments(home: string, { major }: UsableBinaries): string[] {
  return [
    `--pgdata=${dataDirectoryOf(home)}`,
    `--username=${EMBEDDED_USER}`,
    `--pwfile=${passwordPathOf(home)}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
    ...(major >= 17 ? ['--locale-provider=builtin', '--builtin-locale=C.UTF-8'] : []),
    // the instructions tell of a start that evdb does itself
    '--no-instructions',
    // the disk must still look as it did at the failure when it is asked about it
    '--no-clean',
  ];
}
