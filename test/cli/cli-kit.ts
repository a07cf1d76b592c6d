// What tests of the command line expect of every command, and a project and a role to run it with.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type postgres from 'postgres';
import { expect } from 'vitest';
import type { EvdbErrorCode } from '../../src/errors.ts';
import { createRole, type TestRole } from '../support/databases.ts';
import { test as base, type TestDatabase } from '../support/fixture.ts';
import { checkJsonOutput } from '../support/json-schemas.ts';
import type { TestProject } from '../support/project.ts';
import { type CliResult, runCli } from '../support/run-cli.ts';

/** Expects an error as people see one: its code, no stack, and nothing on stdout. */
export function expectError(result: CliResult, code: EvdbErrorCode, exitCode: number): void {
  expect(result.stderr).toMatch(new RegExp(`^error ${code}  \\S`, 'm'));
  expect(result).toMatchObject({ code: exitCode, stdout: '' });
  expectNoStack(result);
}

/** Whether a Node takes types away by itself, as it says. */
export async function canRunTypes(node: string): Promise<boolean> {
  const { stdout } = await promisify(execFile)(node, [
    '-p',
    'Boolean(process.features.typescript)',
  ]);
  return stdout.trim() === 'true';
}

/** Expects that the error says what to do next. */
export function expectHint({ stderr }: CliResult): void {
  expect(stderr).toMatch(/^ {2}hint: \S/m);
}

/** Expects that no line looks like one of a stack trace. */
export function expectNoStack({ stdout, stderr }: CliResult): void {
  expect(stdout + stderr).not.toMatch(/^\s+at .+[:(]|node:internal|\[cause\]/m);
}

/** What `--json` printed, which must be all that there is on stdout. */
export function parseJson(result: CliResult): Record<string, unknown> & { command: string } {
  const value: unknown = JSON.parse(result.stdout);
  const { code: exitCode } = result;
  const envelope = { formatVersion: 1, command: expect.any(String), ok: exitCode === 0, exitCode };
  expect(value).toMatchObject(envelope);
  const document = value as Record<string, unknown> & { command: string };
  expect(checkJsonOutput(document)).toEqual([]);
  return document;
}

/** A project whose migrations are applied, and whose environment `production` is protected. */
export interface Applied {
  dir: string;
  evdb(...args: string[]): Promise<CliResult>;
  contents(): Promise<string[]>;
}

/** Applies the migrations that a project holds. */
export async function applyAll(project: TestProject, { url, sql }: TestDatabase): Promise<Applied> {
  const config = { environments: { production: { protected: true } } };
  await project.write('evdb.config.json', JSON.stringify(config));
  const evdb = (...args: string[]) => runCli(args, { cwd: project.dir, env: { EVDB_URL: url } });
  expect(await evdb('migrate', 'up')).toMatchObject({ code: 0 });
  return { dir: project.dir, evdb, contents: () => readContents(sql) };
}

/** Everything that a command could leave in a database: its objects, and the rows of tables. */
export async function readContents(sql: postgres.Sql): Promise<string[]> {
  const objects = await sql<{ name: string; isTable: boolean }[]>`
    select format('%I.%I', n.nspname, c.relname) as name, c.relkind = 'r' as "isTable"
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    union all
    select format('schema %I of %s', nspname, pg_get_userbyid(nspowner)), false
    from pg_namespace
    where nspname !~ '^pg_'
    union all
    select format('function %s', oid::regprocedure), false
    from pg_proc
    where pronamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
    order by name`;
  const contents: string[] = [];
  for (const { name, isTable } of objects) {
    const rows = isTable ? await sql.unsafe(`select t.* from ${name} as t order by t::text`) : [];
    contents.push(name, ...rows.map((row) => JSON.stringify(row)));
  }
  return contents;
}

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
