import { readFileSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { dirname, join, resolve } from 'node:path';

/** Where a change came from; goes into the history with each entry. */
export interface Provenance {
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
  return {
    toolVersion: readToolVersion(),
    osUser: readOsUser(env),
    hostName: hostname(),
    gitCommit: env.GITHUB_SHA ?? env.CI_COMMIT_SHA ?? env.GIT_COMMIT ?? readGitCommit(directory),
    ciUrl: readCiUrl(env),
  };
}

/** The version in evdb's own package.json. */
function readToolVersion(): string {
  const path = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
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
  return env.CI_JOB_URL ?? env.CI_PIPELINE_URL ?? env.BUILD_URL ?? env.CIRCLE_BUILD_URL;
}

/** Follows `.git/HEAD` by hand: starting git would cost more than a migration. */
function readGitCommit(directory: string): string | undefined {
  for (let folder = resolve(directory); ; folder = dirname(folder)) {
    try {
      const head = readFileSync(join(folder, '.git', 'HEAD'), 'utf8').trim();
      return head.startsWith('ref: ') ? readGitRef(join(folder, '.git'), head.slice(5)) : head;
    } catch {
      if (dirname(folder) === folder) return undefined;
    }
  }
}

function readGitRef(gitDirectory: string, ref: string): string | undefined {
  try {
    return readFileSync(join(gitDirectory, ref), 'utf8').trim();
  } catch {
    return readPackedRef(gitDirectory, ref);
  }
}

function readPackedRef(gitDirectory: string, ref: string): string | undefined {
  try {
    const packed = readFileSync(join(gitDirectory, 'packed-refs'), 'utf8');
    return packed
      .split('\n')
      .find((line) => line.endsWith(` ${ref}`))
      ?.split(' ')[0];
  } catch {
    return undefined;
  }
}
