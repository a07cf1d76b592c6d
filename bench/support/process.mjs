import { spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * @typedef {object} Run
 * @property {number} wallMs from the start to the end of the process
 */

const USAGE_HOOK = fileURLToPath(new URL('usage-hook.cjs', import.meta.url));
const TIMEOUT_MS = 30 * 60 * 1000;

/** Aborted by the workspace: what runs is ended, and nothing more is started. */
export const interruption = new AbortController();

/** Whether what is measured sees the variables of the shell: `--inherit-env`. */
export const INHERITS_ENV = process.argv.includes('--inherit-env');

/** What is measured sees this and what its benchmark adds. */
export const BASE_ENV = chooseEnvironment();

/**
 * Whatever the shell exports for PostgreSQL, npm or Node must not change what is measured. With
 * `--inherit-env` Node's variables stay: NODE_EXTRA_CA_CERTS alone can triple its start.
 */
function chooseEnvironment() {
  const isKept = INHERITS_ENV
    ? (name) => !/^(PG|DB_|EVDB|DATABASE_URL|npm_|NODE_OPTIONS$)/.test(name)
    : (name) => ['PATH', 'HOME', 'LANG', 'TMPDIR', 'SystemRoot', 'TEMP'].includes(name);
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => isKept(name)));
}

/**
 * Runs a program to its end and takes the time.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd: string, env?: Record<string, string> }} options
 * @returns {Promise<Run>}
 * @throws where it fails, with what it said
 */
export function timeProcess(command, args, { cwd, env = {} }) {
  return new Promise((resolve, reject) => {
    const startedAt = performance.now();
    const child = spawn(command, args, {
      cwd,
      env: { ...BASE_ENV, ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: TIMEOUT_MS,
      signal: interruption.signal,
    });
    let said = '';
    let wallMs = 0;
    child.stderr.setEncoding('utf8').on('data', (text) => {
      said = (said + text).slice(-4000);
    });
    child.once('error', reject);
    child.once('exit', () => {
      wallMs = performance.now() - startedAt;
    });
    child.once('close', (exitCode, signal) => {
      if (exitCode === 0) resolve({ wallMs });
      else reject(new Error(`${command} ended with ${signal ?? exitCode}\n${said}`));
    });
  });
}

/**
 * Starts a Node program that is ended from outside; how it ends is not looked at.
 *
 * @param {string[]} args
 * @param {{ cwd: string, env?: Record<string, string> }} options
 * @returns {{ kill: (signal: NodeJS.Signals) => void, ended: Promise<void> }}
 */
export function startNode(args, { cwd, env = {} }) {
  const child = spawn(process.execPath, args, {
    cwd,
    env: { ...BASE_ENV, ...env },
    stdio: 'ignore',
    timeout: TIMEOUT_MS,
    signal: interruption.signal,
  });
  const ended = new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => resolve());
  });
  return { kill: (signal) => void child.kill(signal), ended };
}

/**
 * The same for a Node program, which also tells what it used at its end.
 *
 * @param {string[]} args
 * @param {{ cwd: string, env?: Record<string, string> }} options
 * @returns {Promise<Run & { userMs: number, systemMs: number, peakRssBytes: number }>}
 */
export async function timeNodeWithUsage(args, { cwd, env = {} }) {
  const usagePath = join(cwd, 'usage.json');
  const run = await timeProcess(process.execPath, ['--require', USAGE_HOOK, ...args], {
    cwd,
    env: { ...env, BENCH_USAGE_FILE: usagePath },
  });
  const usage = JSON.parse(readFileSync(usagePath, 'utf8'));
  rmSync(usagePath);
  return { ...run, ...usage };
}
