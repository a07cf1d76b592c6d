import { type Dirent, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative, resolve, sep } from 'node:path';
import { EvdbError } from '../errors.ts';
import { decode, listMigrations, readText } from '../migrate/files/source.ts';
import { diesel, golangMigrate, readPairs, sqlx } from './file-pairs.ts';
import { flyway } from './flyway.ts';
import type { Adapter, AdoptableTool, ForeignFile } from './foreign.ts';
import { dbmate, goose, nodePgMigrate } from './marked-files.ts';
import type { ExistingFile } from './plan-migration.ts';
import { graphileMigrate, prisma } from './up-files.ts';

/** Pairs of `N_name.up.sql` and `N_name.down.sql` that somebody ran by hand, or a script: no table. */
const pairs: Adapter = {
  tool: 'pairs',
  folders: ['migrations', 'db/migrations', 'sql'],
  table: null,
  isSql: (path) => /\.(up|down)\.sql$/.test(path),
  readFiles: (files) =>
    readPairs(
      files.filter(({ path }) => path.endsWith('.sql')),
      'pairs',
    ),
  rowsSql: () => '',
  readRows: () => ({ rows: [], findings: [] }),
};

const ADAPTERS: Record<AdoptableTool, Adapter> = {
  dbmate,
  'golang-migrate': golangMigrate,
  goose,
  flyway,
  'node-pg-migrate': nodePgMigrate,
  sqlx,
  'graphile-migrate': graphileMigrate,
  prisma,
  diesel,
  pairs,
};

/** @throws {EvdbError} USAGE for a tool that is not known */
export function requireAdapter(tool: string): Adapter {
  const adapter = Object.values(ADAPTERS).find((one) => one.tool === tool);
  if (adapter) return adapter;
  throw new EvdbError('USAGE', `${JSON.stringify(tool)} is not a tool that can be adopted`, {
    hint: `Known are: ${Object.keys(ADAPTERS).join(', ')}.`,
  });
}

/**
 * The folder with the other tool's files: of those where they usually lie, the first with a file that it
 * reads, and evdb's own only where there is no other.
 *
 * @throws {EvdbError} MIGRATIONS_DIR_MISSING
 */
export function findForeignFolder(
  adapter: Adapter,
  from: { root: string; given: string | undefined; ownDirectory: string },
): string {
  const { root, given, ownDirectory } = from;
  const candidates = (given ? [given] : adapter.folders).map((folder) => resolve(root, folder));
  const there = candidates.filter((folder) => existsSync(folder));
  const others = there.filter((folder) => folder !== resolve(ownDirectory));
  const holdsSql = (folder: string) =>
    listFiles(folder).some((path) => adapter.isSql(path.split(sep).join('/')));
  const found = others.find(holdsSql) ?? others[0] ?? there[0];
  if (found) return found;
  const shown = candidates.map((folder) => relative(root, folder) || folder).join(', ');
  throw new EvdbError('MIGRATIONS_DIR_MISSING', `there is no folder of ${adapter.tool}: ${shown}`, {
    hint: 'Name it with --from-dir.',
    details: { directories: candidates },
  });
}

/** What is read beside SQL: the settings of a file, or of the folder. */
const SETTINGS = /\.(conf|toml)$/;
const IGNORED = /(^|[\\/])(\.|node_modules([\\/]|$))/;
const NOTHING = Buffer.alloc(0);

/**
 * Reads a folder and what is below it.
 *
 * @throws {EvdbError} FILE_UNREADABLE, NOT_UTF8, NUL_BYTE
 */
export function readForeignFiles(adapter: Adapter, folder: string): ForeignFile[] {
  return listFiles(folder).map((file) => {
    const path = file.split(sep).join('/');
    const isSql = adapter.isSql(path);
    const bytes = isSql || SETTINGS.test(path) ? readBytes(join(folder, file)) : NOTHING;
    return { path, bytes, text: isSql ? decode(bytes, join(folder, file)) : '' };
  });
}

/** Paths below the folder; a link to a file counts as the file. */
function listFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .map((entry) => ({ entry, path: relative(folder, join(entry.parentPath, entry.name)) }))
    .filter(({ entry, path }) => !IGNORED.test(path) && isFile(entry, join(folder, path)))
    .map(({ path }) => path)
    .sort();
}

function isFile(entry: Dirent, path: string): boolean {
  if (!entry.isSymbolicLink()) return entry.isFile();
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

function readBytes(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new EvdbError('FILE_UNREADABLE', `cannot read ${path}`, {
      hint: 'Check that it is a file and that you may read it.',
      cause,
    });
  }
}

/** What lies in the folder that evdb is to use; nothing where it is not there yet. */
export function readExisting(directory: string): ExistingFile[] {
  if (!existsSync(directory)) return [];
  return listMigrations(directory).map(({ version, label, name, upPath, downPath }) => ({
    version,
    label,
    name,
    upText: readText(upPath),
    downText: downPath ? readText(downPath) : null,
  }));
}
