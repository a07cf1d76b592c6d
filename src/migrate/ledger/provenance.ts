import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import type { Asked } from '../../connection/session.ts';
import { readToolVersion } from '../../file-system.ts';
import { maskUrlsIn } from '../../text/harmless.ts';
import { readOnce } from '../files/read-once.ts';

/** Where a change came from; goes into the history with each entry. */
export interface Provenance {
  /** Of one run of evdb: tells its entries from those of others. */
  runId: string;
  toolVersion: string;
  osUser?: string | undefined;
  hostName?: string | undefined;
  gitCommit?: string | undefined;
  ciUrl?: string | undefined;
}

/** Reads it from the machine and from the variables that the common CI systems set. */
export function readProvenance(
  directory: string,
  env: NodeJS.ProcessEnv = process.env,
): Provenance {
  const of = readOnce('provenance', directory, () => ({
    toolVersion: readToolVersion(),
    osUser: readOsUser(env),
    hostName: hostname(),
    gitCommit: env.GITHUB_SHA ?? env.CI_COMMIT_SHA ?? env.GIT_COMMIT ?? readGitCommit(directory),
    ciUrl: readCiUrl(env),
  }));
  return { runId: randomUUID(), ...of };
}

function readOsUser(env: NodeJS.ProcessEnv): string | undefined {
  try {
    return userInfo().username;
  } catch {
    // A container's user id may have no passwd entry.
    return env.USER ?? env.LOGNAME;
  }
}

function readCiUrl(env: NodeJS.ProcessEnv): string | undefined {
  if (env.GITHUB_RUN_ID && env.GITHUB_REPOSITORY) {
    return `${env.GITHUB_SERVER_URL ?? 'https://github.com'}/${env.GITHUB_REPOSITORY}/actions/runs/${env.GITHUB_RUN_ID}`;
  }
  const url = env.CI_JOB_URL ?? env.CI_PIPELINE_URL ?? env.BUILD_URL ?? env.CIRCLE_BUILD_URL;
  // A runner may have its own credentials in it, and the history is read by many.
  return url && maskUrlsIn(url);
}

/** Follows `.git/HEAD` by hand: starting git would cost more than a migration. */
function readGitCommit(directory: string): string | undefined {
  for (let folder = resolve(directory); ; folder = dirname(folder)) {
    const git = findGitDirectory(folder);
    const head = readText(join(git, 'HEAD'));
    if (head !== undefined) return head.startsWith('ref: ') ? readGitRef(git, head.slice(5)) : head;
    if (dirname(folder) === folder) return undefined;
  }
}

/** In a worktree or submodule `.git` is a file that names the folder. */
function findGitDirectory(folder: string): string {
  const pointer = readText(join(folder, '.git'));
  return pointer?.startsWith('gitdir: ')
    ? resolve(folder, pointer.slice('gitdir: '.length))
    : join(folder, '.git');
}

/** The worktrees of a repository share its branches. */
function readGitRef(git: string, ref: string): string | undefined {
  const shared = resolve(git, readText(join(git, 'commondir')) ?? '.');
  return readText(join(git, ref)) ?? readText(join(shared, ref)) ?? readPackedRef(shared, ref);
}

function readPackedRef(git: string, ref: string): string | undefined {
  return readText(join(git, 'packed-refs'))
    ?.split('\n')
    .find((line) => line.endsWith(` ${ref}`))
    ?.split(' ')[0];
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** Which server answers, and since which promotion. */
export interface ServerIdentity {
  /** The same on a server and its standbys; null where the role may not ask for it. */
  system: string | null;
  /** Another one after each promotion and each restore to a point in time; null on a standby. */
  timeline: number | null;
}

/**
 * The timeline is that of what is written now: `pg_control_checkpoint` knows the new one only after
 * the first checkpoint behind a promotion.
 */
export async function readServerIdentity(session: Asked): Promise<ServerIdentity> {
  const [row] = await session.run(`select case when not pg_catalog.pg_is_in_recovery()
    then pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8) end as "timeline"`);
  const system = await session
    .run('select system_identifier::text as "system" from pg_catalog.pg_control_system()')
    .then(
      ([found]) => String(found?.system),
      () => null,
    );
  const { timeline } = row as { timeline: string | null };
  return { system, timeline: timeline === null ? null : Number.parseInt(timeline, 16) };
}
