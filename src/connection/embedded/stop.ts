import { existsSync, realpathSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { EvdbError } from '../../errors.ts';
import { findHome } from './home.ts';
import { withServerLock } from './lock.ts';
import { findPostmaster } from './postmaster.ts';
import { dataDirectoryOf } from './state.ts';

export interface StopResult {
  /** False when none was running. */
  stopped: boolean;
  pid: number | undefined;
}

const POLL_MS = 10;
const STOP_DEADLINE_MS = 60_000;

/**
 * Stops the embedded server of a folder: sessions are ended, their transactions rolled back, and
 * everything is written to disk. The data stays.
 *
 * @param options.directory the `.evdb` folder
 * @throws {EvdbError} EMBEDDED_STOP_FAILED, PERMISSION_DENIED
 */
export async function stopEmbeddedServer({
  directory,
}: {
  directory: string;
}): Promise<StopResult> {
  if (!existsSync(directory)) return { stopped: false, pid: undefined };
  const real = realpathSync(directory);
  return withServerLock(real, () => stop(real));
}

async function stop(directory: string): Promise<StopResult> {
  const deadline = Date.now() + STOP_DEADLINE_MS;
  const home = findHome(directory);
  const dataDirectory = home && dataDirectoryOf(home);
  const postmaster = dataDirectory && findPostmaster(dataDirectory);
  if (!dataDirectory || !postmaster) return { stopped: false, pid: undefined };
  const { pid } = postmaster;
  await requestStop(pid, dataDirectory);
  while (findPostmaster(dataDirectory)?.pid === pid) {
    if (Date.now() > deadline) throw stopFailed(`the embedded server (pid ${pid}) does not end`);
    await delay(POLL_MS);
  }
  return { stopped: true, pid };
}

/** A fast shutdown, which does not wait for sessions to end by themselves. */
async function requestStop(pid: number, dataDirectory: string): Promise<void> {
  if (process.platform === 'win32') {
    const { findEmbeddedBinaries, withExe } = await import('./binaries.ts');
    const { runProgram, serverEnvironment } = await import('./program.ts');
    const pgCtl = `${findEmbeddedBinaries().root}/bin/${withExe('pg_ctl')}`;
    const args = ['stop', '-D', dataDirectory, '-m', 'fast', '-W'];
    await runProgram(pgCtl, args, { env: serverEnvironment(undefined), runAs: undefined });
    return;
  }
  try {
    process.kill(pid, 'SIGINT');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ESRCH') return;
    throw new EvdbError(
      'PERMISSION_DENIED',
      `not allowed to stop the embedded server (pid ${pid})`,
      {
        hint: 'Run evdb as the user who started it.',
        cause,
        details: { pid },
      },
    );
  }
}

function stopFailed(message: string): EvdbError {
  return new EvdbError('EMBEDDED_STOP_FAILED', message, {
    hint: 'Look at server.log in the .evdb folder, and try again.',
  });
}
