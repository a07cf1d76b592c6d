import { createHash } from 'node:crypto';
import { chmodSync, existsSync, lstatSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { EvdbError } from '../errors.ts';
import { fileError } from './disk.ts';
import { canEnter, giveToFolderOwner, hasMode, type RunAs } from './run-as.ts';
import { dataDirectoryOf, readState } from './running.ts';

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
