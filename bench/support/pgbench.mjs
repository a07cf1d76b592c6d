import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { interruption } from './process.mjs';

const WARM_UP_SECONDS = 2;
const TIMEOUT_MS = 15 * 60_000;

/**
 * Prepared statements, because that is what drivers use, and because parsing and planning a baseline
 * of one long statement anew for each call would flatter the short call of a function.
 *
 * @param {import('./load.mjs').LoadOptions} options
 * @returns {Promise<import('./load.mjs').Load>}
 */
export async function runPgbench({ url, workload, clients, seconds, settings = {}, directory }) {
  const script = join(directory, 'load.sql');
  writeFileSync(script, renderScript(workload));
  const { stdout, stderr } = await run(
    [
      ['--no-vacuum', '--protocol', 'prepared', '--define', 'n=-1', '--file', script],
      ['--client', clients, '--jobs', Math.min(clients, 2)],
      ['--time', seconds + WARM_UP_SECONDS, '--progress', 1, url],
    ].flat(),
    Object.entries(settings)
      .map(([name, value]) => `-c ${name}=${value}`)
      .join(' '),
  );
  return {
    callsPerSecond: readProgress(stderr),
    calls: Number(/actually processed: (\d+)/.exec(stdout)?.[1]),
  };
}

/**
 * Runs a script in all clients for so long, and tells of each transaction when it ended and what it took.
 *
 * @param {{ url: string, script: string, clients: number, seconds: number, directory: string }} options
 * @returns {Promise<{ at: number, tookMs: number }[]>} `at` in ms since 1970
 */
export async function recordTransactions({ url, script, clients, seconds, directory }) {
  const file = join(directory, 'load.sql');
  writeFileSync(file, script);
  const prefix = `transactions-${Date.now()}`;
  await run(
    [
      ['--no-vacuum', '--protocol', 'prepared', '--file', file, '--time', seconds],
      ['--client', clients, '--jobs', Math.min(clients, 2)],
      ['--log', '--log-prefix', join(directory, prefix), url],
    ].flat(),
    '',
  );
  // client, transaction, µs, script, seconds since 1970, µs of the second
  return readdirSync(directory)
    .filter((name) => name.startsWith(prefix))
    .flatMap((name) => readFileSync(join(directory, name), 'utf8').trimEnd().split('\n'))
    .map((line) => line.split(' ').map(Number))
    .map(([, , took, , second, micro]) => ({
      at: 1000 * second + micro / 1000,
      tookMs: took / 1000,
    }));
}

/** @param {import('./load.mjs').Workload} workload */
function renderScript({ statement, variables }) {
  const lines = variables.map(({ name, pgbench }) => `\\set ${name} ${pgbench}\n`);
  return `\\set n :n + 1\n${lines.join('')}${statement};\n`;
}

/** Its summary counts the warm-up, its lines of progress tell one second from the next. */
function readProgress(stderr) {
  const marks = [...stderr.matchAll(/^progress: ([\d.]+) s, ([\d.]+) tps/gm)].map(
    ([, at, rate]) => ({ at: Number(at), rate: Number(rate) }),
  );
  const measured = marks.slice(1);
  if (measured.length === 0) throw new Error(`pgbench told no progress\n${stderr}`);
  const calls = measured.reduce(
    (sum, { at, rate }, index) => sum + rate * (at - marks[index].at),
    0,
  );
  return calls / (measured[measured.length - 1].at - marks[0].at);
}

/** @param {(string | number)[]} args @param {string} serverOptions */
function run(args, serverOptions) {
  return new Promise((resolve, reject) => {
    const child = spawn('pgbench', args.map(String), {
      env: { PATH: process.env.PATH, PGOPTIONS: serverOptions },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: TIMEOUT_MS,
      signal: interruption.signal,
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr += text;
    });
    child.once('error', reject);
    child.once('close', (exitCode, signal) => {
      if (exitCode === 0) resolve({ stdout, stderr });
      else reject(new Error(`pgbench ended with ${signal ?? exitCode}\n${stderr.slice(-2000)}`));
    });
  });
}
