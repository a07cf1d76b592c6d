import { expect } from 'vitest';
import type { TestRole } from '../support/databases.ts';
import type { TestDatabase } from '../support/fixture.ts';
import type { TestProject } from '../support/project.ts';
import { runCli } from '../support/run-cli.ts';
import { expectError, expectFailure, expectNoPassword, readContents, test } from './cli-kit.ts';

test('says what a role needs that may not create the ledger', async ({
  oneFile,
  emptyDb,
  role,
}) => {
  const before = await readContents(emptyDb.sql);
  const { stderr } = await expectFailure(oneFile, role.url, {
    code: 'PERMISSION_DENIED',
    exitCode: 1,
  });
  expect(stderr).toContain(`user "${role.name}" may not create the ledger in schema "evdb"`);
  expect(await readContents(emptyDb.sql)).toEqual(before);

  const statement = /administrator run: (.*;)$/m.exec(stderr)?.[1] ?? '';
  await emptyDb.sql.unsafe(statement);
  await emptyDb.sql.unsafe(`grant create on schema public to ${role.name}`);
  const env = { EVDB_URL: role.url };
  expect(await runCli(['migrate', 'up'], { cwd: oneFile.dir, env })).toMatchObject({ code: 0 });
});

test('says what a role needs that may not use the target schema', async ({
  oneFile,
  emptyDb,
  role,
}) => {
  await emptyDb.sql.unsafe(`create schema evdb authorization ${role.name}`);
  await emptyDb.sql.unsafe('create schema tenant');
  await expectDenied(oneFile, role, 'tenant', emptyDb);
});

async function expectDenied(
  { dir }: TestProject,
  role: TestRole,
  schema: string,
  { sql }: TestDatabase,
): Promise<void> {
  const env = { EVDB_URL: role.url, EVDB_SCHEMA: schema };
  const result = await runCli(['migrate', 'up'], { cwd: dir, env });
  expectError(result, 'TARGET_SCHEMA', 1);
  expect(result.stderr).toContain(`grant usage, create on schema "${schema}"`);
  expectNoPassword(result);
  expect(await sql`select * from evdb.migration`).toEqual([]);
}

test('says what a role needs that may not read the ledger', async ({ oneFile, emptyDb, role }) => {
  const owner = { cwd: oneFile.dir, env: { EVDB_URL: emptyDb.url } };
  expect(await runCli(['migrate', 'up'], owner)).toMatchObject({ code: 0 });
  const reader = { cwd: oneFile.dir, env: { EVDB_URL: role.url } };
  const refused = await runCli(['migrate', 'status'], reader);
  expectError(refused, 'PERMISSION_DENIED', 1);
  expectNoPassword(refused);

  const grants = /owner run: (.*;) The stored/.exec(refused.stderr)?.[1] ?? '';
  await emptyDb.sql.unsafe(grants);
  const { code, stdout } = await runCli(['migrate', 'status', '--check'], reader);
  expect(stdout).toContain('1 applied');
  expect(code).toBe(0);
});

test('refuses a role that only reads', async ({ oneFile, emptyDb, role, admin }) => {
  await admin.unsafe(`alter role ${role.name} set default_transaction_read_only = on`);
  const before = await readContents(emptyDb.sql);
  const { stderr } = await expectFailure(oneFile, role.url, { code: 'READ_ONLY', exitCode: 1 });
  expect(stderr).toContain('default_transaction_read_only');
  expect(await readContents(emptyDb.sql)).toEqual(before);
});

test('says that a role may not connect to the database', async ({ oneFile, emptyDb, role }) => {
  await emptyDb.sql.unsafe(`revoke connect on database ${emptyDb.name} from public`);
  const { stderr } = await expectFailure(oneFile, role.url, {
    code: 'PERMISSION_DENIED',
    exitCode: 1,
  });
  expect(stderr).toContain(`grant connect on database "${emptyDb.name}" to "${role.name}";`);
});
