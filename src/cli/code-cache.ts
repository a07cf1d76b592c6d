import { hash, randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { cachedDataVersionTag, setFlagsFromString } from 'node:v8';
import { Script } from 'node:vm';

/** Rises when the layout of the files changes. */
const FORMAT = 1;
/** So many files are kept: one for each command that is used, on each version of Node. */
const MAX_FILES = 24;
/** V8 drops code that was not used for a while, so a long run would leave little of it. */
const MAX_RUN_S = 10;
/** What the build puts in the place of `import`, which Node knows only in what it loads itself. */
const IMPORTER = './import.cjs';
/**
 * What has commands below it; behind another first word stands no command, but an argument. By name,
 * as building the program to ask it is what the kept code is there to speed up.
 */
export const GROUPS: ReadonlySet<string> = new Set([
  ...['migrate', 'schema', 'stats', 'db', 'rules', 'audit', 'events', 'server', 'backfill'],
  'fleet',
]);

const PARSER = 'libpg-query';

/** A chunk that was loaded, with the code that V8 has made of it. */
interface Chunk {
  script: Script;
  /** Of its source. */
  hash: string;
  /** Whether its code was kept by an earlier start. */
  isKept: boolean;
}

interface CachedCall {
  args: readonly string[];
  version: string;
}

/**
 * Loads a chunk of the command line, and those that it requires, with the code that V8 made of them
 * at an earlier start: compiling takes longer than most commands do. One file holds what one command
 * has used; it lies in the user's own cache folder and is written when such a command has ended well.
 * Where anything about it is odd, it is as if there were none.
 *
 * @param path absolute
 */
export function loadCached(path: string, call: CachedCall): unknown {
  const require = createRequire(path);
  const file = cacheFileOf(call);
  if (file === undefined) {
    // Nobody here sees what is loaded then.
    tuneForParser();
    return require(path);
  }
  const kept = readCache(file);
  const chunks: Chunk[] = [];
  process.once('exit', (code) => {
    const isWorth = chunks.some(({ isKept }) => !isKept) && process.uptime() < MAX_RUN_S;
    if (isWorth && (code === 0 || code === 3)) writeCache(file, chunks);
  });
  const modules = new Map<string, { exports: unknown }>();
  const load = (at: string): unknown => {
    const known = modules.get(at);
    if (known) return known.exports;
    const module = { exports: {} };
    modules.set(at, module);
    const folder = dirname(at);
    const isOurs = folder === dirname(path);
    // The build writes ASCII; what is a package's may be anything.
    const chunk = compile(at, isOurs ? 'latin1' : 'utf8', kept);
    chunks.push(chunk);
    // A package finds what it depends on from where it is itself.
    const requireFrom = requireIn(folder, isOurs ? require : createRequire(at));
    chunk.script.runInThisContext()(module.exports, requireFrom, module, at, folder);
    return module.exports;
  };
  // The parser's glue is as large as a command: it is loaded like a chunk, and kept with them.
  const requireIn = (folder: string, base: NodeJS.Require) =>
    Object.assign((id: string) => {
      if (id.startsWith('./') && id !== IMPORTER) return load(join(folder, id));
      if (id !== PARSER) return base(id);
      tuneForParser();
      return load(base.resolve(PARSER));
    }, base);
  return load(path);
}

/** The cache file of a command; undefined where there shall be none. */
function cacheFileOf({ args, version }: CachedCall): string | undefined {
  const { env, execArgv, platform } = process;
  const home = platform === 'win32' ? env.LOCALAPPDATA : env.HOME && join(env.HOME, '.cache');
  const base = env.XDG_CACHE_HOME || home;
  const command = commandOf(args);
  if (env.EVDB_CODE_CACHE === '0' || !base || command === undefined) return undefined;
  // What V8 makes of a source depends on all of these.
  const made = [FORMAT, process.version, process.arch, platform, execArgv, env.NODE_OPTIONS];
  const key = hash('sha256', JSON.stringify([...made, import.meta.dirname]), 'hex').slice(0, 16);
  return join(base, 'evdb', `${command}-${version}-${key}.bin`);
}

/** Such as `migrate-status`; undefined where what stands there cannot be a command. */
function commandOf([first = '', second = '']: readonly string[]): string | undefined {
  const words = GROUPS.has(first) ? [first, second] : [first];
  return words.every((word) => /^[a-z-]{1,20}$/.test(word)) ? words.join('-') : undefined;
}

function compile(path: string, encoding: BufferEncoding, kept: Map<string, Buffer>): Chunk {
  const source = readFileSync(path);
  const hashed = hash('sha256', source, 'hex');
  const cachedData = kept.get(hashed);
  const code = source.toString(encoding);
  const text = `(function (exports, require, module, __filename, __dirname) {${code}\n})`;
  const script = untuned(() => new Script(text, { filename: path, cachedData }));
  const isKept = cachedData !== undefined && script.cachedDataRejected !== true;
  return { script, hash: hashed, isKept };
}

const LINE_END = 0x0a;

/** Of the text in front of it, in a cache file: V8 itself does not notice damage. */
const HASH_LENGTH = 64;

/** The code of chunks by the hash of their source. */
function readCache(path: string): Map<string, Buffer> {
  const kept = new Map<string, Buffer>();
  let file: number | undefined;
  try {
    assertPrivate(lstatSync(dirname(path)));
    file = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
    assertPrivate(fstatSync(file));
    const bytes = readFileSync(file);
    const body = bytes.subarray(HASH_LENGTH);
    if (hash('sha256', body, 'hex') !== bytes.toString('latin1', 0, HASH_LENGTH)) return kept;
    let at = body.indexOf(LINE_END) + 1;
    for (const [hashed, length] of JSON.parse(body.toString('latin1', 0, at)) as [
      string,
      number,
    ][]) {
      kept.set(hashed, body.subarray(at, at + length));
      at += length;
    }
  } catch {
    // as if there were none
  } finally {
    if (file !== undefined) closeSync(file);
  }
  return kept;
}

/** Whoever may write here could have put other code there. */
function assertPrivate({ uid, mode }: { uid: number; mode: number }): void {
  const isPrivate =
    process.getuid === undefined || (uid === process.getuid() && (mode & 0o022) === 0);
  if (!isPrivate) throw new Error('it belongs to others too');
}

function writeCache(path: string, chunks: Chunk[]): void {
  const folder = dirname(path);
  const draft = `${path}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    assertPrivate(lstatSync(folder));
    const parts = untuned(() =>
      chunks.map((chunk) => [chunk.hash, chunk.script.createCachedData()] as const),
    );
    const head = JSON.stringify(parts.map(([hashed, data]) => [hashed, data.length]));
    const body = Buffer.concat([Buffer.from(`${head}\n`), ...parts.map(([, data]) => data)]);
    const whole = Buffer.concat([Buffer.from(hash('sha256', body, 'hex')), body]);
    writeFileSync(draft, whole, { flag: 'wx', mode: 0o600 });
    renameSync(draft, path);
    removeOldest(folder);
  } catch {
    // The next start compiles again.
    removeQuietly(draft);
  }
}

function removeOldest(folder: string): void {
  const files = readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    const stats = lstatSync(path, { throwIfNoEntry: false });
    return stats ? [{ path, writtenAt: stats.mtimeMs }] : [];
  });
  files.sort((a, b) => b.writtenAt - a.writtenAt);
  for (const { path } of files.slice(MAX_FILES)) removeQuietly(path);
}

function removeQuietly(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // What cannot be removed was most likely never there.
  }
}

/** For each flag the one that undoes it. Most of the parser never runs: what does is compiled when it is called. */
const PARSER_FLAGS = [
  ['--wasm-lazy-compilation', '--no-wasm-lazy-compilation'],
  ['--wasm-lazy-validation', '--no-wasm-lazy-validation'],
  // each alone still leaves the other way to the optimising compiler
  ['--no-wasm-tier-up', '--wasm-tier-up'],
  ['--no-wasm-dynamic-tiering', '--wasm-dynamic-tiering'],
] as const;

/** The flags that were set for the parser, and changed something; undefined while it is not loaded. */
let tuned: (typeof PARSER_FLAGS)[number][] | undefined;

/**
 * Keeps V8 from optimising the SQL parser, which is WebAssembly: compiling it costs more time and
 * some 100 MB more memory than parsing thousands of scripts can gain. A process-wide setting, so
 * it is the command line's to make, not the library's. Not before the parser is needed: code that was
 * kept counts for the flags that it was made with, Node's own of its own modules too.
 */
function tuneForParser(): void {
  tuned ??= PARSER_FLAGS.filter(([flag]) => {
    const before = cachedDataVersionTag();
    setFlagsFromString(flag);
    return cachedDataVersionTag() !== before;
  });
}

/** Does what depends on the flags as it would be done without the parser. */
function untuned<T>(work: () => T): T {
  for (const [, back] of tuned ?? []) setFlagsFromString(back);
  try {
    return work();
  } finally {
    for (const [flag] of tuned ?? []) setFlagsFromString(flag);
  }
}
