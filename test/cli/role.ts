import { expect } from 'vitest';
import type { EvdbErrorCode } from '../../src/errors.ts';
import { createRole, type TestRole } from '../support/databases.ts';
import { test as base } from '../support/fixture.ts';
import type { TestProject } from '../support/project.ts';
import { type CliResult, runCli } from '../support/run-cli.ts';
import { expectError, expectHint } from './expectations.ts';

/** In no output, neither as it is nor as a URL writes it. */
export const PASSWORD = 'S3cret/w@rd?';

/** `role` and a project with one migration. */
export const test = base.extend<{ role: TestRole; oneFile: TestProject }>({
  /** A role that may connect to the test's database, and owns nothing. */
  role: async ({ emptyDb }, use) => {
    const made = await createRole(emptyDb, '', PASSWORD);
    await use(made);
    await made.remove();
  },
  oneFile: async ({ project }, use) => {
    await project.migration('001_users', 'create table users (id integer);', 'drop table users;');
    await use(project);
  },
});

/** Runs `migrate up` and expects that it fails in a way that people understand. */
export async function expectFailure(
  project: TestProject,
  url: string,
  { code, exitCode }: { code: EvdbErrorCode; exitCode: number },
): Promise<CliResult> {
  const result = await runCli(['migrate', 'up'], { cwd: project.dir, env: { EVDB_URL: url } });
  expectError(result, code, exitCode);
  expectHint(result);
  expectNoPassword(result);
  return result;
}

/** Expects that the password is nowhere. */
export function expectNoPassword({ stdout, stderr }: CliResult): void {
  for (const secret of [PASSWORD, encodeURIComponent(PASSWORD), 'S3cret']) {
    expect(stdout + stderr).not.toContain(secret);
  }
}
