import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { BASE_ENV, interruption } from '../support/process.mjs';

const TIMEOUT_MS = 10 * 60 * 1000;
const LOOK_MS = 4;

/**
 * @typedef {object} Ran
 * @property {number} wallMs
 * @property {number} peakRssBytes of the process itself, without those that it starts; 0 where nobody knows
 * @property {number | null} exitCode
 * @property {string} said the end of what it printed
 */

/**
 * Starts a command; `ended` never rejects but for a command that cannot be started.
 *
 * @returns {{ child: import('node:child_process').ChildProcess, ended: Promise<Ran> }}
 */
export function start({ command, args, env = {} }, cwd) {
  const startedAt = performance.now();
  const child = spawn(command, args, {
    cwd,
    env: { ...BASE_ENV, NO_COLOR: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: TIMEOUT_MS,
    signal: interruption.signal,
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text) => {
      said = (said + text).slice(-20_000);
    });
  let peakRssBytes = 0;
  // The kernel's own high-water mark, so that looking now and then is enough.
  const look = setInterval(() => {
    peakRssBytes = Math.max(peakRssBytes, readPeak(child.pid));
  }, LOOK_MS);
  const ended = new Promise((resolve, reject) => {
    let wallMs = 0;
    child.once('error', reject);
    child.once('exit', () => {
      wallMs = performance.now() - startedAt;
      clearInterval(look);
    });
    child.once('close', (exitCode) => resolve({ wallMs, peakRssBytes, exitCode, said }));
  });
  return { child, ended };
}

/** Runs it to its end, and fails where it fails. */
export async function run(command, cwd) {
  const ran = await start(command, cwd).ended;
  if (ran.exitCode === 0) return ran;
  throw new Error(
    `${command.command} ${command.args.join(' ')} ended with ${ran.exitCode}\n${ran.said}`,
  );
}

function readPeak(pid) {
  try {
    const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return Number(kilobytes) * 1024;
  } catch {
    // It is over, or this is no Linux.
    return 0;
  }
}
