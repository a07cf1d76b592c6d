import { expect } from 'vitest';
import { findPostmaster } from '../../src/embedded/running.ts';
import type { OwnServer } from '../support/own-server.ts';
import { POLL } from '../support/waiting.ts';

/** Ends a server as a crash does, and starts it again. */
export async function crash(server: OwnServer): Promise<void> {
  const { dataDirectory } = server;
  const postmaster = findPostmaster(dataDirectory);
  if (!postmaster) throw new Error('the server is not running');
  process.kill(postmaster.pid, 'SIGQUIT');
  await expect.poll(() => findPostmaster(dataDirectory)?.pid, POLL).not.toBe(postmaster.pid);
  await server.start();
}
