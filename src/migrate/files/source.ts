import { constants, isUtf8 } from 'node:buffer';
import { hash } from 'node:crypto';
import { closeSync, readdirSync, readSync, statSync } from 'node:fs';
import { basename, join, sep } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { EvdbError } from '../../errors.ts';
import { openWithoutWaiting, readPlainFile } from '../../file-system.ts';
import { tokenChecksum } from '../../sql/lexical.ts';
import type { VariableValues } from '../../sql/variables.ts';
import { commandLine } from '../../text/command-line.ts';
import { readLargeChecksum } from './checksum.ts';
import { type Directives, parseDirectives, refuseMisplacedDirectives } from './directives.ts';
import { fileUnreadable, notUtf8, nulByte, tooLong } from './file-errors.ts';
import { refuseForeignMarkers } from './foreign-markers.ts';
import { readOnce } from './read-once.ts';
import type { Replaces } from './replaces.ts';
import { type LargeFile, readHeader, scanLargeFile } from './scan.ts';
import { compareVersions, displayPath, MAX_VERSION_DIGITS, type Version } from './version.ts';

/** A migration as the folder listing shows it; nothing is read yet. */
export interface MigrationFile {
  version: Version;
  /** The digits as the file name has them, such as `001`. */
  label: string;
  name: string;
  upPath: string;
  downPath?: string;
}

/** The text of one file with what its header asks for. */
export interface Script {
  /** As shown to people: relative to the working folder where that is shorter. */
  path: string;
  /** Without byte order mark and with `\n` line ends; what runs and what the checksum is over. */
  text: string;
  checksum: string;
  directives: Directives;
  /** Of the variables that it declares, once they are known. */
  values?: VariableValues;
  /** Set where the file is too large to hold: `text` is a short one that stands for it then. */
  large?: LargeFile;
}

/** Larger files are read piece by piece. */
export const LARGE_FILE_BYTES = 8 * 1024 * 1024;

const LITTER = /^\.[_#]/;
/** A dump that may stand beside the migrations; see `evdb schema dump`. */
export const STRUCTURE_FILE = 'structure.sql';
/** The digits as they stand there, as `parseVersion` gives them, and the name. */
const FILE_NAME = /^(0*(\d+))_([A-Za-z0-9][A-Za-z0-9_.-]*)\.sql$/;
const DOWN = '.down';

/**
 * Lists the migrations of a folder in version order. Files that do not end in `.sql` are left
 * alone, and so is what macOS and Emacs put beside a file (`._001_a.sql`, `.#001_a.sql`). One that does and does not fit `NNN_name.sql` is an error, because leaving it out
 * silently would look like success.
 *
 * @throws {EvdbError} MIGRATIONS_DIR_MISSING, INVALID_NAME, DUPLICATE_VERSION, DOWN_WITHOUT_UP
 */
export function listMigrations(directory: string): MigrationFile[] {
  return readOnce('list', directory, () => readFolder(directory));
}

function readFolder(directory: string): MigrationFile[] {
  const ups = new Map<Version, MigrationFile>();
  const downs = new Map<Version, { path: string; name: string }>();
  // The folder's path is normalised once, not with each of its files.
  const prefix = join(directory, sep);
  for (const fileName of readFileNames(directory)) {
    const { version, label, name, isDown } = parseFileName(fileName, directory);
    const path = prefix + fileName;
    const earlier = isDown ? downs.get(version)?.path : ups.get(version)?.upPath;
    if (earlier) throw duplicate(version, earlier, path);
    if (isDown) downs.set(version, { path, name });
    else ups.set(version, { version, label, name, upPath: path });
  }
  downs.forEach((down, version) => {
    const up = ups.get(version);
    if (!up || up.name !== down.name) throw downWithoutUp(down.path, up);
    up.downPath = down.path;
  });
  return [...ups.values()].sort((a, b) => compareVersions(a.version, b.version));
}

function readFileNames(directory: string): string[] {
  try {
    return readdirSync(directory).filter(
      (name) => /\.sql$/i.test(name) && !LITTER.test(name) && name !== STRUCTURE_FILE,
    );
  } catch (cause) {
    throw new EvdbError(
      'MIGRATIONS_DIR_MISSING',
      `the folder ${displayPath(directory)} does not exist`,
      {
        hint: `Run \`${commandLine('init')}\` to start with the event schema, \`${commandLine('migrate create', {}, { args: ['first table'] })}\` to start empty, or name the folder with --migrations-dir.`,
        cause,
        details: { directory },
      },
    );
  }
}

function parseFileName(fileName: string, directory: string) {
  const match = FILE_NAME.exec(fileName);
  const version = match?.[2] ?? '';
  if (!match || version.length > MAX_VERSION_DIGITS) {
    throw new EvdbError(
      'INVALID_NAME',
      `the file name ${JSON.stringify(fileName)} in ${displayPath(directory)} does not match NNN_name.sql`,
      {
        hint: `${ofOtherTool(fileName)}Name it like 007_add_venues.sql and 007_add_venues.down.sql: a version of at most ${MAX_VERSION_DIGITS} digits, "_", then letters, digits, "_", "-" or ".".`,
        details: { file: fileName },
      },
    );
  }
  const name = match[3] ?? '';
  const isDown = name.endsWith(DOWN);
  return {
    version,
    label: match[1] ?? '',
    name: isDown ? name.slice(0, -DOWN.length) : name,
    isDown,
  };
}

/** The version of a migration's file, up or down; undefined for other files. */
export function versionOfFile(fileName: string): Version | undefined {
  return FILE_NAME.exec(fileName)?.[2];
}

/**
 * What the files of a migration are called.
 *
 * @throws {EvdbError} INVALID_NAME where no file could be called so, such as `../x`
 */
export function fileNamesOf({ label, name }: { label: string; name: string }): {
  up: string;
  down: string;
} {
  const up = `${label}_${name}.sql`;
  parseFileName(up, '.');
  return { up, down: `${label}_${name}${DOWN}.sql` };
}

/** Names that only one tool gives. */
function ofOtherTool(fileName: string): string {
  return /^[VUBR][\d._]*__/.test(fileName)
    ? `Files of Flyway are taken over with \`${commandLine('migrate adopt', { from: 'flyway' })}\`. `
    : '';
}

function duplicate(version: Version, first: string, second: string): EvdbError {
  const files = [first, second].map(displayPath).sort();
  return new EvdbError(
    'DUPLICATE_VERSION',
    `two files have version ${version}: ${files.join(' and ')}`,
    {
      hint: 'Versions compare as numbers (001 is 1). Rename the newer one to a version that is not taken.',
      details: { version, files },
    },
  );
}

function downWithoutUp(path: string, up: MigrationFile | undefined): EvdbError {
  const reason = up
    ? `belongs to no migration: version ${up.version} is ${displayPath(up.upPath)}`
    : 'belongs to no migration';
  return new EvdbError('DOWN_WITHOUT_UP', `${displayPath(path)} ${reason}`, {
    hint: up?.name.endsWith('.up')
      ? `Pairs of .up.sql and .down.sql are taken over with \`${commandLine('migrate adopt', { from: 'pairs' })}\`, or with --from golang-migrate, sqlx or node-pg-migrate where one of these applied them.`
      : up
        ? 'Give the pair the same version and name, or remove the file.'
        : wayBack(path),
    details: { file: path },
  });
}

function wayBack(path: string): string {
  const fileName = basename(path);
  const [, label = ''] = FILE_NAME.exec(fileName) ?? [];
  const restore = commandLine('migrate restore', {}, { args: [label] });
  return `Its up script ${fileName.replace(/\.down\.sql$/, '.sql')} may be lost: restore it from version control, or, where ${label} is applied, from the ledger: \`${restore}\`. If there is no such migration, remove this file.`;
}

/** The checksum alone: what comparing a thousand applied files with the ledger needs. */
export function readChecksum(path: string): string {
  return readOnce('checksum', path, () => {
    const small = readSmall(path);
    if (!small && isLarge(path)) return readLargeChecksum(path);
    const bytes = small ?? readBytes(path);
    return isPlain(bytes) ? sha256(bytes) : sha256(decode(bytes, path));
  });
}

/** The same for a small file that can be read; undefined for another one. */
export function readSmallChecksum(path: string): string | undefined {
  return readOnce('small', path, () => {
    const bytes = readSmall(path);
    return bytes && isPlain(bytes) ? sha256(bytes) : undefined;
  });
}

/** The checksum without comments and white space. */
export function readTokenChecksum(path: string): string {
  return readOnce('tokens', path, () => {
    const { text, large } = readScript(path, { settles: true });
    return large?.sums.tokenChecksum ?? tokenChecksum(text);
  });
}

/** What a migration says that it replaces; nothing where its header cannot be read. */
export function readReplaces({ upPath }: Pick<MigrationFile, 'upPath'>): Replaces[] {
  return readOnce('replaces', upPath, () => {
    try {
      return parseDirectives(readHeader(upPath), displayPath(upPath)).replaces ?? [];
    } catch (error) {
      if (error instanceof EvdbError) return [];
      throw error;
    }
  });
}

export interface ReadScriptOptions {
  /** Whether the file may be another tool's, with the markers of that: for who only looks at it. */
  foreign?: boolean | undefined;
  /** Whether the caller tells of directives below the first statement itself, as lint does. */
  tellsDirectives?: boolean | undefined;
  /** Whether the checksums of a large file are wanted in any case. */
  settles?: boolean | undefined;
}

/**
 * Reads one script. A large file is read through, but not held.
 *
 * @throws {EvdbError} FILE_UNREADABLE, NOT_UTF8, NUL_BYTE, DIRECTIVE_INVALID, FOREIGN_MARKER,
 *   SCRIPT_TOO_LONG
 */
export function readScript(path: string, options?: ReadScriptOptions): Script {
  if (options === undefined) return readOnce('script', path, () => readWhole(path), isHeld);
  return readWhole(path, options);
}

function readWhole(path: string, options?: ReadScriptOptions): Script {
  const reading = readInTurns(path, options);
  for (;;) {
    const { done, value } = reading.next();
    if (done) return value;
  }
}

/** Reads one script as `readScript` does, and lets others have their turn meanwhile. */
export function readScriptInTurns(path: string, signal?: AbortSignal): Promise<Script> {
  return readOnce(
    'script in turns',
    path,
    async () => {
      const reading = readInTurns(path);
      for (;;) {
        const { done, value } = reading.next();
        if (done) return value;
        await setImmediate();
        signal?.throwIfAborted();
      }
    },
    isHeld,
  );
}

/** A large file is read through each time. */
const isHeld = ({ large }: Script) => large === undefined;

function* readInTurns(path: string, options: ReadScriptOptions = {}): Generator<void, Script> {
  const shown = displayPath(path);
  const small = readSmall(path);
  const head = !small && isLarge(path) ? parseDirectives(readHeader(path), shown) : undefined;
  // The journal of a script without a transaction needs all of its statements.
  if (head && !head.noTransaction) {
    const { outline, file } = yield* scanLargeFile(path, {
      refuse: (text, part) => refuseMisread(text, { shown, part, options }),
      settles: options.settles === true,
    });
    return {
      path: shown,
      text: outline,
      get checksum() {
        return file.sums.checksum;
      },
      directives: head,
      large: file,
    };
  }
  const text = decode(small ?? readBytes(path), path);
  refuseMisread(text, { shown, options });
  return { path: shown, text, checksum: sha256(text), directives: parseDirectives(text, shown) };
}

/** What stands in comments and would run otherwise than its author meant. */
function refuseMisread(
  text: string,
  about: {
    shown: string;
    part?: { firstLine: number; isBehind: boolean };
    options: ReadScriptOptions;
  },
): void {
  const { shown, part, options } = about;
  if (!options.foreign) refuseForeignMarkers(text, shown, part?.firstLine);
  if (!options.tellsDirectives) refuseMisplacedDirectives(text, shown, part);
}

function isLarge(path: string): boolean {
  try {
    return statSync(path).size > LARGE_FILE_BYTES;
  } catch (cause) {
    throw fileUnreadable(path, cause);
  }
}

/** The text of a file that is kept beside the one that runs; null for a large one. */
export function readTextToKeep(path: string): string | null {
  return readOnce('text to keep', path, () => (isLarge(path) ? null : readText(path)));
}

/** The whole text of a file. */
export function readText(path: string): string {
  return decode(readSmall(path) ?? readBytes(path), path);
}

/** A script whose text comes from the ledger instead of a file. */
export function scriptFromText(path: string, text: string): Script {
  return { path, text, checksum: sha256(text), directives: parseDirectives(text, path) };
}

/** Shared, because reading a thousand small files into buffers of their own keeps the collector busy. */
const SMALL = Buffer.allocUnsafe(64 * 1024);

/**
 * The bytes of a file that fits, valid until the next call; undefined where `readBytes` has to tell. To ask
 * the system what kind of file it is would take as long as opening it.
 */
function readSmall(path: string): Buffer | undefined {
  let file: number | undefined;
  try {
    file = openWithoutWaiting(path);
    // From its beginning, which a pipe and a terminal refuse; other devices give nothing, or too much.
    const length = readSync(file, SMALL, 0, SMALL.length, 0);
    return length > 0 && length < SMALL.length ? SMALL.subarray(0, length) : undefined;
  } catch {
    return undefined;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function readBytes(path: string): Buffer {
  try {
    return readPlainFile(path);
  } catch (cause) {
    throw fileUnreadable(path, cause);
  }
}

/** Most files need no normalising, so their bytes are hashed as they are. */
function isPlain(bytes: Buffer): boolean {
  return bytes[0] !== 0xef && !bytes.includes(0x0d);
}

/** The text of a file, as `readText` gives it, from its bytes. */
export function decode(bytes: Buffer, path: string): string {
  if (!isUtf8(bytes)) throw notUtf8(path, bytes);
  const nul = bytes.indexOf(0);
  if (nul !== -1) throw nulByte(path, nul + 1);
  if (bytes.length > constants.MAX_STRING_LENGTH) throw tooLong(path);
  const text = bytes.toString('utf8');
  return normalise(text);
}

/** Line ends and byte order mark depend on the checkout, not on the author. */
function normalise(text: string): string {
  const withoutBom = text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  return withoutBom.includes('\r\n') ? withoutBom.replaceAll('\r\n', '\n') : withoutBom;
}

function sha256(content: string | Buffer): string {
  return hash('sha256', content, 'hex');
}
