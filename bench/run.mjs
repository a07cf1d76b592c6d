// Runs every benchmark, one after the other, with the same arguments: `npm run bench`.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

for (const script of [
  'scripts/build.mjs',
  'bench/startup.mjs',
  'bench/migrate-up.mjs',
  'bench/linear.mjs',
  'bench/large-file.mjs',
  'bench/adopt.mjs',
  'bench/lint.mjs',
  'bench/event-registration.mjs',
  'bench/event-audit.mjs',
  'bench/audit-cleanup.mjs',
  'bench/event-rules.mjs',
  'bench/event-search.mjs',
  'bench/doctor.mjs',
  'bench/plan.mjs',
  'bench/schema-dump.mjs',
  'bench/pool.mjs',
  'bench/registrar.mjs',
]) {
  const args = script.startsWith('bench/') ? process.argv.slice(2) : ['--if-stale', '--no-check'];
  const { status } = spawnSync(process.execPath, [script, ...args], {
    cwd: root,
    stdio: 'inherit',
  });
  if (status !== 0) {
    process.exitCode = status ?? 1;
    break;
  }
}
