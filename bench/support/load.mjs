import { spawnSync } from 'node:child_process';
import { runPgbench } from './pgbench.mjs';
import { runPlainClient } from './plain-client.mjs';

/**
 * One statement, sent over and over by many clients. It means the same to pgbench and to the plain
 * client: both prepare it once a connection and work the variables out before each call.
 *
 * @typedef {object} Workload
 * @property {string} statement with `:name` for each variable
 * @property {Variable[]} variables in order; `client_id` (from 0) and `n` (calls of this client, from 0) exist
 *
 * @typedef {object} Variable
 * @property {string} name
 * @property {string} pgbench its value in the language of pgbench, whose `/` is a whole division
 * @property {(known: Record<string, number>) => number} value the same for the plain client
 *
 * @typedef {object} LoadOptions
 * @property {string} url
 * @property {Workload} workload
 * @property {number} clients
 * @property {number} seconds measured, after two that are not: new connections plan and read catalogs
 * @property {Record<string, string>} [settings] of the sessions
 * @property {string} directory for files of the run
 *
 * @typedef {object} Load
 * @property {number} callsPerSecond in the measured seconds
 * @property {number} calls all of them, those of the first two seconds too
 */

const HAS_PGBENCH =
  !process.argv.includes('--plain-client') && spawnSync('pgbench', ['--version']).status === 0;

/** What makes the load: pgbench where it is on the PATH, unless `--plain-client` is given. */
export const LOAD_TOOL = HAS_PGBENCH ? 'pgbench' : 'plain client';

/**
 * @param {LoadOptions} options
 * @returns {Promise<Load>}
 * @throws where a call fails
 */
export function runLoad(options) {
  return HAS_PGBENCH ? runPgbench(options) : runPlainClient(options);
}
