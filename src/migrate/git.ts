import { execFile } from 'node:child_process';
import { EvdbError } from '../errors.ts';

/** What a folder holds at a commit of its repository. */
export interface FolderAtCommit {
  /** File names, without those in folders below. */
  fileNames: string[];
  /** Names of files here that differ from the commit at which this branch left it, or are gone. */
  changedSince: string[] | undefined;
  /** Names of files that differ here from that commit itself, or are gone. */
  differing: string[];
}

/**
 * Asks git what a folder holds on another branch, and what this checkout has changed of it since the
 * two parted.
 *
 * @param ref such as `origin/main`
 * @throws {EvdbError} GIT_FAILED where there is no git, no repository or no such ref
 */
export async function readFolderAt(directory: string, ref: string): Promise<FolderAtCommit> {
  const commit = (
    await git(directory, ['rev-parse', '--verify', '--end-of-options', `${ref}^{commit}`])
  ).trim();
  const listed = await git(directory, ['ls-tree', '-z', '--name-only', commit]);
  const differing = split(await git(directory, [...CHANGES, commit, '--', '.']));
  return {
    fileNames: split(listed),
    changedSince: await readChanges(directory, commit),
    differing,
  };
}

const CHANGES = ['diff', '--name-only', '-z', '--relative', '--no-renames', '--diff-filter=MD'];

/** Undefined where a shallow clone does not reach back to where the branches parted. */
async function readChanges(directory: string, commit: string): Promise<string[] | undefined> {
  try {
    const parted = (await git(directory, ['merge-base', 'HEAD', commit])).trim();
    return split(await git(directory, [...CHANGES, parted, '--', '.']));
  } catch (error) {
    if (error instanceof EvdbError && error.code === 'GIT_FAILED') return undefined;
    throw error;
  }
}

function split(output: string): string[] {
  return output.split('\0').filter((name) => name !== '');
}

function git(directory: string, args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { cwd: directory, maxBuffer: 64 * 1024 * 1024, timeout: 60_000 };
    execFile('git', args, options, (cause, stdout, stderr) => {
      if (cause === null) return resolve(stdout);
      const said = stderr.trim().split('\n').at(-1) || cause.message;
      reject(
        new EvdbError('GIT_FAILED', `git ${args[0]} failed: ${said}`, {
          hint: 'The base has to be a branch, tag or commit that this clone has; a pipeline may have to fetch it first: git fetch origin main',
          cause,
        }),
      );
    });
  });
}
