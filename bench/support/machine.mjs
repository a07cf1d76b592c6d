import { execFileSync, spawnSync } from 'node:child_process';
import {
  closeSync,
  fdatasyncSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import {
  arch,
  availableParallelism,
  cpus,
  loadavg,
  platform,
  release,
  tmpdir,
  totalmem,
} from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureDbmate, ensureNode24 } from './fetched.mjs';
import { median } from './statistics.mjs';

const SYNCS = 200;
const PAGE_BYTES = 8192;

/** What the machine did before a benchmark loaded it. */
const LOAD_BEFORE = loadavg()[0];

export function describeMachine() {
  return {
    platform: `${platform()} ${release()} ${arch()}`,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    loadBefore: LOAD_BEFORE,
  };
}

/**
 * How long a page takes to reach the disk where the benchmarks' servers have their data, as
 * `pg_test_fsync` asks it with fdatasync.
 */
export function measureSyncMs() {
  const directory = mkdtempSync(join(tmpdir(), 'evdb-bench-sync-'));
  const file = openSync(join(directory, 'page'), 'w');
  try {
    const page = Buffer.alloc(PAGE_BYTES, 1);
    const times = Array.from({ length: SYNCS }, () => {
      const startedAt = performance.now();
      writeSync(file, page, 0, PAGE_BYTES, 0);
      fdatasyncSync(file);
      return performance.now() - startedAt;
    });
    return median(times);
  } finally {
    closeSync(file);
    rmSync(directory, { recursive: true });
  }
}

/** @param {string} build the folder whose evdb is measured */
export function readVersions(build) {
  const says = (command) => {
    const { status, stdout } = spawnSync(command, ['--version'], { encoding: 'utf8' });
    return status === 0 ? /\d[\w.-]*/.exec(stdout)?.[0] : undefined;
  };
  const programOf = (found) => ('path' in found ? says(found.path) : undefined);
  const pg = new URL('../../node_modules/pg/package.json', import.meta.url);
  return {
    evdb: describeBuild(build),
    Node: process.versions.node,
    'Node 24': programOf(ensureNode24()),
    psql: says('psql'),
    dbmate: programOf(ensureDbmate()),
    pg: JSON.parse(readFileSync(fileURLToPath(pg), 'utf8')).version,
  };
}

/** Its version and its commit, and whether something was changed since. */
export function describeBuild(build) {
  const { version } = JSON.parse(readFileSync(join(build, 'package.json'), 'utf8'));
  try {
    const git = (...args) =>
      execFileSync('git', ['-C', build, ...args], { encoding: 'utf8', stdio: 'pipe' }).trim();
    const isChanged = git('status', '--porcelain', '--', 'src', 'bin', 'migrations') !== '';
    return `${version} at ${git('rev-parse', '--short', 'HEAD')}${isChanged ? ', changed' : ''}`;
  } catch {
    return version;
  }
}
