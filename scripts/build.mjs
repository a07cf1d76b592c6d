// Builds dist from src: `node scripts/build.mjs [--if-stale] [--no-check]`.
//   --if-stale  does nothing where dist is newer than every source file
//   --no-check  leaves out the type check and the type declarations
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
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
const staging = join(root, '.cache', `build-${process.pid}`);

// Finding, reading and linking a hundred small files costs a start more than the work itself. So
// what every start needs is one file, and what `migrate status` needs beside it. The two packages
// are inlined for the same reason; the others are loaded where they are used.
const INLINED = /^(commander|postgres)(\/|$)/;
const CHUNKS = [
  { name: 'commander', test: /node_modules\/commander\//, priority: 2 },
  // On its own: it loads node:tls, which commands without a database do without.
  { name: 'postgres', test: /node_modules\/postgres\//, priority: 2 },
  { name: 'core', test: isCore, priority: 1 },
  // The same for what judges a script.
  { name: 'sql', test: /\/src\/sql\//, priority: 0 },
  { name: 'lint', test: /\/src\/(lint|impact|catalog)\//, priority: 0 },
];

function isCore(id) {
  const path = relative(join(root, 'src'), id).replaceAll('\\', '/');
  return CORE.some((pattern) => pattern.test(path));
}

const CORE = [
  /^errors\.ts$/,
  /^application\/migrate-options\.ts$/,
  /^cli\/(?!(main|v8-flags|watch|watch-output|lint-settings|optional-connection)\.ts|commands\/.*-(handlers|watch)\.ts)/,
  /^config\//,
  /^connection\/[a-z-]+\.ts$/,
  /^connection\/embedded\/(server|running|state|postmaster|url)\.ts$/,
  /^migrate\/(compare|directives|ledger|ledger-schema|options|read|source|status|token-checksum|version)\.ts$/,
  /^report\/(display-width|error|status|style|table|units)\.ts$/,
  /^sql\/quote\.ts$/,
];

if (!process.argv.includes('--if-stale') || isStale()) {
  const startedAt = new Date();
  const status = await compile();
  if (status === 0) publish(startedAt);
  rmSync(staging, { recursive: true, force: true });
  process.exitCode = status;
}

/** Whether a source changed since the last build began; dist carries that time, see publish(). */
function isStale() {
  if (!existsSync(join(dist, 'lib/index.js'))) return true;
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

/** Bundles src into staging, and has the types checked and written beside it. */
async function compile() {
  if (!process.argv.includes('--no-check')) {
    const require = createRequire(import.meta.url);
    const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin/tsc');
    const flags = ['-p', 'tsconfig.build.json', '--outDir', join(staging, 'types')];
    const { status } = spawnSync(process.execPath, [tsc, ...flags], {
      cwd: root,
      stdio: 'inherit',
    });
    if (status !== 0) return status ?? 1;
  }
  await bundleCli();
  await bundleLibrary();
  return 0;
}

// Both are two folders below the package's root, where templates and package.json are looked for.

/** As CommonJS: an empty ES module alone makes a start a fifth slower. */
function bundleCli() {
  return bundleInto(
    {
      input: { main: join(root, 'src/cli/main.ts') },
      external: (id) => isPackage(id) && !INLINED.test(id),
      plugins: [{ name: 'require-parser', renderChunk: requireParser }],
    },
    {
      dir: join(staging, 'cli'),
      format: 'cjs',
      entryFileNames: '[name].cjs',
      chunkFileNames: '[name].cjs',
      codeSplitting: { groups: CHUNKS },
    },
  );
}

/** `import()` starts the loader of ES modules, which takes as long as the rest of a small lint. */
function requireParser(code) {
  return code.replace(
    /\bimport\((["'])libpg-query\1\)/g,
    'new Promise((resolve) => resolve(require("libpg-query")))',
  );
}

function bundleLibrary() {
  return bundleInto(
    { input: { index: join(root, 'src/index.ts') }, external: isPackage },
    { dir: join(staging, 'lib'), format: 'esm', chunkFileNames: '[name].js' },
  );
}

async function bundleInto(input, output) {
  const bundle = await rolldown({
    ...input,
    platform: 'node',
    // src/index.ts needs everything at once, and so defeats on purpose what the CLI loads late
    checks: { ineffectiveDynamicImport: false },
  });
  await bundle.write(output);
  await bundle.close();
}

function isPackage(id) {
  return !/^(\.|\/|[A-Z]:)/.test(id);
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
