import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The versions that are compared; those of dbmate are in bench/support/fetched.mjs. */
const PACKAGES = {
  'node-pg-migrate': '9.0.0',
  'graphile-migrate': '1.4.1',
  postgrator: '8.0.0',
  'drizzle-orm': '0.45.4',
  prisma: '7.10.1',
  pg: '8.23.1',
};

const NAME = `peers-${Object.values(PACKAGES).join('-')}`;
const FOLDER = fileURLToPath(new URL(`../../.cache/${NAME}`, import.meta.url));

/**
 * Fetches the tools from npm into `.cache/`, where they are not there yet.
 *
 * @returns {{ folder: string } | { missing: string }} where `node_modules` is
 */
export function ensurePeers() {
  if (existsSync(join(FOLDER, 'node_modules/prisma/package.json'))) return { folder: FOLDER };
  mkdirSync(FOLDER, { recursive: true });
  const packages = Object.entries(PACKAGES).map(([name, version]) => `${name}@${version}`);
  const flags = ['--no-save', '--ignore-scripts', '--no-audit', '--no-fund'];
  const { status } = spawnSync('npm', ['install', '--prefix', FOLDER, ...flags, ...packages], {
    stdio: ['ignore', 'ignore', 'inherit'],
    shell: process.platform === 'win32',
  });
  return status === 0 ? { folder: FOLDER } : { missing: 'it could not be fetched from npm' };
}

/** @param {string} folder @param {string} name of a package */
export function versionOf(folder, name) {
  const path = join(folder, 'node_modules', name, 'package.json');
  return JSON.parse(readFileSync(path, 'utf8')).version;
}

/**
 * Why Prisma cannot run: the program that applies its migrations is not part of the package.
 *
 * @param {string} folder
 */
export function whyNoPrisma(folder) {
  const path = join(folder, 'node_modules/prisma/build/index.js');
  const { status, stderr } = spawnSync(process.execPath, [path, 'version'], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  const host = /https:\/\/([\w.-]+)/.exec(stderr ?? '')?.[1];
  if (status === 0) return 'this benchmark has no part for it yet';
  return `its schema engine is not in the npm package and could not be fetched${host ? ` from ${host}` : ''}`;
}

/** @param {string} program @returns the first version in what it says, or undefined where it is not there */
export function saidVersion(program) {
  const { status, stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' });
  return status === 0 ? /\d[\w.]*/.exec(stdout)?.[0] : undefined;
}
