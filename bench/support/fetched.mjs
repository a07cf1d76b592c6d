import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const DBMATE = '2.36.0';
const NODE_24 = '24.22.3';
const IS_WINDOWS = process.platform === 'win32';
const EXTENSION = IS_WINDOWS ? '.exe' : '';

/**
 * dbmate's binary. The binary itself, because npm's wrapper would add the start of a Node process to
 * each run.
 *
 * @returns {{ path: string } | { missing: string }}
 */
export function ensureDbmate() {
  const program = `@dbmate/${process.platform}-${process.arch}/bin/dbmate${EXTENSION}`;
  return ensureProgram('dbmate', DBMATE, program);
}

/**
 * A Node 24: the one that `EVDB_BENCH_NODE` names, else one from npm.
 *
 * @returns {{ path: string } | { missing: string }}
 */
export function ensureNode24() {
  const named = process.env.EVDB_BENCH_NODE;
  if (named) return { path: named };
  const name = `node-${IS_WINDOWS ? 'win' : process.platform}-${process.arch}`;
  return ensureProgram(name, NODE_24, `${name}/bin/node${EXTENSION}`);
}

/** Fetched into `.cache/` where it is not there yet. */
function ensureProgram(name, version, program) {
  const prefix = fileURLToPath(new URL(`../../.cache/${name}-${version}`, import.meta.url));
  const path = join(prefix, 'node_modules', program);
  if (existsSync(path)) return { path };
  mkdirSync(prefix, { recursive: true });
  const args = ['install', '--prefix', prefix, '--no-save', '--ignore-scripts', '--no-audit'];
  const { status } = spawnSync('npm', [...args, `${name}@${version}`], {
    stdio: ['ignore', 'ignore', 'inherit'],
    shell: IS_WINDOWS,
  });
  if (status === 0 && existsSync(path)) return { path };
  return {
    missing: `${name} ${version} could not be fetched from npm for ${process.platform}-${process.arch}`,
  };
}
