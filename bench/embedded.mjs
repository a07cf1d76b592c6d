// What starting the embedded server takes that is there already: its data lies there, nothing runs.
// Usage: node bench/embedded.mjs [--rounds 20]
//
// Each start is the first of its process, as it is for a command: what is loaded for it counts, the
// start of Node does not. It ends when the server answers.
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { IS_KEPT, readArguments } from './support/arguments.mjs';
import { BUILD, importLibrary } from './support/build.mjs';
import { BASE_ENV } from './support/process.mjs';
import { round, writeReport } from './support/report.mjs';
import { figureOf } from './support/rows.mjs';
import { median } from './support/statistics.mjs';

const { stopEmbeddedServer } = await importLibrary('index.js');

const { rounds } = readArguments({ rounds: 20 });
const root = mkdtempSync(join(tmpdir(), 'evdb-bench-'));
// Run by root the server belongs to an ordinary user, who has to get in.
chmodSync(root, 0o755);
const directory = join(root, '.evdb');

const START = `
  const { ensureEmbeddedServer } = await import(${JSON.stringify(join(BUILD, 'dist/lib/index.js'))});
  const startedAt = performance.now();
  const { version } = await ensureEmbeddedServer({ directory: process.argv[1] });
  console.log(JSON.stringify({ wallMs: performance.now() - startedAt, version }));
`;

const runs = [];
try {
  const first = start();
  for (let index = 0; index < rounds; index++) {
    await stopEmbeddedServer({ directory });
    runs.push(start());
  }
  report(first, runs);
} finally {
  await stopEmbeddedServer({ directory });
  if (!IS_KEPT) rmSync(root, { recursive: true, force: true, maxRetries: 3 });
}

function start() {
  const args = ['--input-type=module', '-e', START, directory];
  const options = { cwd: root, env: BASE_ENV, encoding: 'utf8' };
  return JSON.parse(execFileSync(process.execPath, args, options));
}

function report({ wallMs: firstMs, version }, results) {
  const times = results.map(({ wallMs }) => wallMs);
  const line = (name, ms) => [name, ...[median(ms), Math.min(...ms), Math.max(...ms)].map(toMs)];
  const toMs = (ms) => round(ms, 1);
  writeReport('embedded', {
    title: `start of the embedded server, PostgreSQL ${version}, ${rounds} rounds`,
    head: ['what', 'median ms', 'fastest ms', 'slowest ms'],
    rows: [line('a new one', [firstMs]), line('one that is there already', times)],
    figures: [figureOf('14', times)],
    data: { rounds, serverVersion: version, firstMs, results },
  });
}
