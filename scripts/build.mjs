// Compiles src into dist: `node scripts/build.mjs [--if-stale] [--no-check]`.
//   --if-stale  does nothing where dist is newer than every source file
//   --no-check  leaves out the type check
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
const staging = join(root, '.cache', `build-${process.pid}`);

if (!process.argv.includes('--if-stale') || isStale()) {
  const startedAt = new Date();
  const status = compile();
  if (status === 0) publish(startedAt);
  rmSync(staging, { recursive: true, force: true });
  process.exitCode = status;
}

/** Whether a source changed since the last build began; dist carries that time, see publish(). */
function isStale() {
  if (!existsSync(join(dist, 'index.js'))) return true;
  const src = join(root, 'src');
  const sources = [
    join(root, 'tsconfig.json'),
    join(root, 'tsconfig.build.json'),
    // The folders count too: nothing else shows that a file was removed.
    src,
    ...readdirSync(src, { recursive: true }).map((path) => join(src, path)),
  ];
  return Math.max(...sources.map((path) => statSync(path).mtimeMs)) >= statSync(dist).mtimeMs;
}

function compile() {
  const require = createRequire(import.meta.url);
  const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin/tsc');
  const flags = process.argv.includes('--no-check') ? ['--noCheck'] : [];
  const { status } = spawnSync(
    process.execPath,
    [tsc, '-p', 'tsconfig.build.json', '--outDir', staging, ...flags],
    { cwd: root, stdio: 'inherit' },
  );
  return status ?? 1;
}

/** File by file, so that a command which starts meanwhile never finds an empty folder. */
function publish(startedAt) {
  const built = new Set(listFiles(staging));
  for (const path of built) {
    mkdirSync(dirname(join(dist, path)), { recursive: true });
    renameSync(join(staging, path), join(dist, path));
  }
  for (const path of listFiles(dist)) {
    if (!built.has(path)) rmSync(join(dist, path));
  }
  utimesSync(dist, startedAt, startedAt);
}

/** Paths of all files below a folder, relative to it. */
function listFiles(folder) {
  return readdirSync(folder, { recursive: true }).filter((path) =>
    statSync(join(folder, path)).isFile(),
  );
}
