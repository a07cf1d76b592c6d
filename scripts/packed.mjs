// Installs what `npm pack` makes into an empty project, `.cache/packed`, as people install it:
// `node scripts/packed.mjs` prints the path of the installed package.
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { npm } from './npm.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Where the package is installed; the tests of the CLI run what stands there. */
export const packedDir = join(root, '.cache/packed/node_modules/evdb');

/**
 * Packs the built project and installs it where that is stale. The dependencies are installed
 * once; after that the files of the package alone are replaced, so that a run starts quickly.
 */
export function ensurePacked() {
  const project = dirname(dirname(packedDir));
  const stamp = join(project, 'stamp.json');
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const now = {
    dependencies: { ...manifest.dependencies, ...manifest.optionalDependencies },
    newestMs: newestOf(['package.json', 'README.md', 'LICENSE', ...manifest.files]),
  };
  const before = existsSync(stamp) ? JSON.parse(readFileSync(stamp, 'utf8')) : undefined;
  if (JSON.stringify(before) === JSON.stringify(now) && existsSync(packedDir)) return packedDir;
  const staging = join(project, `staging-${process.pid}`);
  mkdirSync(staging, { recursive: true });
  const tarball = pack(staging);
  cpSync(tarball, join(project, 'evdb.tgz'));
  const sameTree =
    JSON.stringify(before?.dependencies) === JSON.stringify(now.dependencies) &&
    existsSync(packedDir);
  if (sameTree) replaceFiles(tarball, staging);
  else install(tarball, project);
  writeFileSync(stamp, JSON.stringify(now));
  rmSync(staging, { recursive: true, force: true });
  return packedDir;
}

/** Makes the tarball that would be published, in a folder; dist is built already. */
export function pack(folder) {
  const flags = ['--ignore-scripts', '--json', '--pack-destination', folder];
  run(...npm('pack', ...flags), root);
  const name = readdirSync(folder).find((file) => file.endsWith('.tgz'));
  return join(folder, name);
}

function install(tarball, project) {
  rmSync(join(project, 'node_modules'), { recursive: true, force: true });
  writeFileSync(join(project, 'package.json'), '{ "private": true }\n');
  const flags = ['--ignore-scripts', '--no-save', '--no-package-lock', '--prefer-offline'];
  // npm would take the project above for the one that is meant.
  run(
    ...npm('install', '--prefix', project, ...flags, '--no-audit', '--no-fund', tarball),
    project,
  );
}

/** File by file, so that a command which starts meanwhile never finds an empty folder. */
function replaceFiles(tarball, staging) {
  run('tar', ['-xzf', tarball], {}, staging);
  const from = join(staging, 'package');
  const files = new Set(listFiles(from));
  for (const path of files) {
    mkdirSync(dirname(join(packedDir, path)), { recursive: true });
    renameSync(join(from, path), join(packedDir, path));
  }
  for (const path of listFiles(packedDir)) {
    if (!files.has(path)) rmSync(join(packedDir, path));
  }
}

function listFiles(folder) {
  return readdirSync(folder, { recursive: true }).filter((path) =>
    statSync(join(folder, path)).isFile(),
  );
}

/** The newest change below some paths; folders count, as nothing else shows that a file went. */
function newestOf(paths) {
  const times = paths.flatMap((path) => {
    const full = join(root, path);
    const stat = statSync(full);
    if (!stat.isDirectory()) return [stat.mtimeMs];
    const below = readdirSync(full, { recursive: true });
    return [stat.mtimeMs, ...below.map((name) => statSync(join(full, name)).mtimeMs)];
  });
  return Math.max(...times);
}

function run(command, args, options, cwd) {
  const { status, stderr, error } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    ...options,
  });
  if (status !== 0) throw new Error(`${command} ${args[0]} failed: ${error?.message ?? stderr}`);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) console.log(ensurePacked());
