import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { TestProject } from 'vitest/node';
import { listTestDatabases, removeOldTestDatabases } from './databases.ts';
import { startTestServer, type TestServer } from './server.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** URL of the run's server, with a role that may create databases. */
    adminUrl: string;
    /** The command as people have it: of the packed package, installed into an empty project. */
    evdbBin: string;
    /** The project that it is installed into, and the tarball it came from. */
    packedProject: string;
    evdbTarball: string;
  }
}

interface Run {
  projects: number;
  packed: Promise<string>;
  server: Promise<TestServer>;
}

// Every project loads this file in a module graph of its own, but all in one process.
const shared = globalThis as { [key: symbol]: Run | undefined };
const runKey = Symbol.for('evdb.test.run');

/** Builds the CLI and starts the server, once for all the projects of a run. */
export async function setup(project: TestProject): Promise<void> {
  const run = shared[runKey] ?? startRun();
  shared[runKey] = run;
  run.projects += 1;
  const packed = await run.packed;
  const packedProject = dirname(dirname(packed));
  project.provide('evdbBin', join(packed, 'bin/evdb.js'));
  project.provide('packedProject', packedProject);
  project.provide('evdbTarball', join(packedProject, 'evdb.tgz'));
  project.provide('adminUrl', (await run.server).url);
}

/** Stops the server when the last project is done. */
export async function teardown(): Promise<void> {
  const run = shared[runKey];
  if (!run) return;
  run.projects -= 1;
  if (run.projects > 0) return;
  shared[runKey] = undefined;
  const server = await run.server;
  if (server.isThrowAway && !process.env.CI) {
    const kept = await listTestDatabases(server.url);
    if (kept.length > 0) {
      console.error(`\nThe server stays up for ${kept.join(', ')} until the next test run.`);
      return;
    }
  }
  await server.stop();
}

function startRun(): Run {
  const packed = prepare();
  return { projects: 0, packed, server: packed.then(startServer) };
}

/** Builds, and installs what `npm pack` makes of it; the result is the folder of the package. */
async function prepare(): Promise<string> {
  // Types have a check of their own; a wrong one must not hide what the tests say.
  await runScript('build.mjs', '--if-stale', '--no-check');
  return (await runScript('packed.mjs')).trim();
}

async function runScript(name: string, ...args: string[]): Promise<string> {
  const script = fileURLToPath(new URL(`../../scripts/${name}`, import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [script, ...args]);
  return stdout;
}

async function startServer(): Promise<TestServer> {
  const server = await startTestServer();
  if (!server.isThrowAway) await removeOldTestDatabases(server.url);
  return server;
}
