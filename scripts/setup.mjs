// Makes a clone ready to run: installs what package-lock.json names and builds, each where needed.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { npm } from './npm.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

if (!isInstalled()) {
  // No package needs its install script; without them nothing has to be compiled here.
  run(
    ...npm(
      'ci',
      '--ignore-scripts',
      '--include=dev',
      '--include=optional',
      '--no-audit',
      '--no-fund',
    ),
  );
}
run(process.execPath, [join(root, 'scripts/build.mjs'), '--if-stale']);

/** Compares what npm noted in node_modules with the lock file, by content: times lie in copies. */
function isInstalled() {
  const installedFile = join(root, 'node_modules/.package-lock.json');
  if (!existsSync(installedFile)) return false;
  const wanted = readPackages(join(root, 'package-lock.json'));
  const installed = readPackages(installedFile);
  const names = new Set([...Object.keys(wanted), ...Object.keys(installed)]);
  names.delete('');
  return [...names].every((name) => {
    // Packages for other platforms are in the lock file alone.
    if (!installed[name]) return wanted[name]?.optional === true;
    return installed[name].version === wanted[name]?.version;
  });
}

function readPackages(file) {
  return JSON.parse(readFileSync(file, 'utf8')).packages;
}

function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (error) console.error(`${command}: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}
