// Writes migrations/structure.sql: what the event schema consists of once all its migrations are applied to
// the embedded PostgreSQL 18. Partitions are left out, because their names hold months.
// Usage: npm run structure [-- --check]
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const evdb = join(root, 'bin/evdb.js');
const file = join(root, 'migrations/structure.sql');
// The embedded server stands beside the migrations, so they get a folder of their own.
const folder = mkdtempSync(join(tmpdir(), 'evdb-structure-'));
writeFileSync(join(folder, 'package.json'), '{}');
cpSync(join(root, 'migrations'), join(folder, 'migrations'), { recursive: true });

try {
  run(join(root, 'scripts/build.mjs'), '--if-stale');
  run(evdb, 'migrate', 'up', '--embedded');
  const check = process.argv.includes('--check') ? ['--check'] : [];
  run(evdb, 'schema', 'dump', '--embedded', '--no-partitions', '--file', file, ...check);
} finally {
  spawnSync(process.execPath, [evdb, 'server', 'stop'], { cwd: folder });
  rmSync(folder, { recursive: true, force: true });
}

/** Runs a script of Node.js. Where it fails, nothing comes after it, and the exit code is its own. */
function run(...args) {
  if (process.exitCode) return;
  const { status } = spawnSync(process.execPath, args, { cwd: folder, stdio: 'inherit' });
  if (status !== 0) process.exitCode = status ?? 1;
}
