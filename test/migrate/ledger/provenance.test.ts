import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readProvenance } from '../../../src/migrate/ledger/provenance.ts';

let root = '';
let directory = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'evdb-provenance-'));
  directory = join(root, 'project', 'migrations');
  mkdirSync(directory, { recursive: true });
});
afterEach(() => rmSync(root, { recursive: true }));

function write(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

describe('the commit', () => {
  const commit = 'c0ffee'.repeat(6);
  const read = (env = {}) => readProvenance(directory, env).gitCommit;

  it('is that of the branch', () => {
    write('.git/HEAD', 'ref: refs/heads/a/b\n');
    write('.git/refs/heads/a/b', `${commit}\n`);
    expect(read()).toBe(commit);
  });

  it('is that of the branch whose ref is packed', () => {
    write('.git/HEAD', 'ref: refs/heads/main\n');
    write(
      '.git/packed-refs',
      `# pack-refs\n${'0'.repeat(36)} refs/heads/xmain\n${commit} refs/heads/main\n`,
    );
    expect(read()).toBe(commit);
  });

  it('is the one that is checked out without a branch', () => {
    write('project/.git/HEAD', `${commit}\n`);
    expect(read()).toBe(commit);
  });

  it('is that of a worktree, whose .git is a file', () => {
    write('main/.git/refs/heads/main', `${commit}\n`);
    write('main/.git/worktrees/project/HEAD', 'ref: refs/heads/main\n');
    write('main/.git/worktrees/project/commondir', '../..\n');
    write('project/.git', `gitdir: ${join(root, 'main/.git/worktrees/project')}\n`);
    expect(read()).toBe(commit);
  });

  it('is unknown in a repository without one, and where there is none', () => {
    write('.git/HEAD', 'ref: refs/heads/main\n');
    expect(read()).toBeUndefined();
  });

  it.each(['GITHUB_SHA', 'CI_COMMIT_SHA', 'GIT_COMMIT'])('comes from %s first', (name) => {
    write('.git/HEAD', `${commit}\n`);
    expect(read({ [name]: 'from-ci' })).toBe('from-ci');
  });
});

describe('the run', () => {
  it.each([
    [{}, undefined],
    [{ GITHUB_RUN_ID: '5', GITHUB_REPOSITORY: 'o/r' }, 'https://github.com/o/r/actions/runs/5'],
    [
      {
        GITHUB_RUN_ID: '5',
        GITHUB_REPOSITORY: 'o/r',
        GITHUB_SERVER_URL: 'https://git.example.org',
      },
      'https://git.example.org/o/r/actions/runs/5',
    ],
    [{ CI_JOB_URL: 'job', CI_PIPELINE_URL: 'pipeline' }, 'job'],
    [{ BUILD_URL: 'jenkins' }, 'jenkins'],
    [{ CIRCLE_BUILD_URL: 'circle' }, 'circle'],
  ])('of %o is at %s', (env, url) => {
    expect(readProvenance(directory, env).ciUrl).toBe(url);
  });
});
