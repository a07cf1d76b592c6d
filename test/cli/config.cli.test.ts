import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { test } from '../support/fixture.ts';
import { runCli } from '../support/run-cli.ts';
import { expectError, parseJson } from './cli-kit.ts';

const PASSWORD = 'S3cret/w@rd';
const ENCODED = encodeURIComponent(PASSWORD);

const SOURCES: [title: string, env: Record<string, string>, files: Record<string, string>][] = [
  ['a URL', { EVDB_URL: `postgres://app:${ENCODED}@db/shop` }, {}],
  ['a migration URL', { EVDB_MIGRATION_URL: `postgres://app:${ENCODED}@db/shop` }, {}],
  ['a parameter of a URL', { DATABASE_URL: `postgres://app@db/shop?password=${ENCODED}` }, {}],
  ['the set of DB_ variables', { DB_HOST: 'db', DB_NAME: 'shop', DB_PASSWORD: PASSWORD }, {}],
  ["libpq's variables", { PGHOST: 'db', PGDATABASE: 'shop', PGPASSWORD: PASSWORD }, {}],
  ['.env', {}, { '.env': `DB_HOST=db\nDB_NAME=shop\nDB_PASSWORD='${PASSWORD}'\n` }],
  [
    'a config file',
    {},
    { 'evdb.config.json': JSON.stringify({ url: `postgres://app:${ENCODED}@db/shop` }) },
  ],
];

test.for(SOURCES)('masks the password of %s', async ([, env, files], { project }) => {
  for (const [name, text] of Object.entries(files)) await project.write(name, text);
  for (const flags of [[], ['--json']]) {
    const { code, stdout, stderr } = await runCli(['config', ...flags], { cwd: project.dir, env });
    expect(stdout).toContain('***');
    expect(stdout).toContain('shop');
    for (const secret of [PASSWORD, ENCODED, 'S3cret']) {
      expect(stdout + stderr).not.toContain(secret);
    }
    expect(code).toBe(0);
  }
});

test('says where each value comes from', async ({ project }) => {
  await project.write('evdb.config.json', '{ "schema": "tenant", "lockWait": "5s" }');
  await project.write('.env', 'EVDB_LOCK_TIMEOUT=2s\n');
  const options = { cwd: project.dir, env: { EVDB_LEDGER_SCHEMA: 'books' } };
  const { stdout } = await runCli(['config', '--schema', 'other'], options);
  expect(stdout).toMatch(/^schema +other +flag --schema$/m);
  expect(stdout).toMatch(/^ledgerSchema +books +environment EVDB_LEDGER_SCHEMA$/m);
  expect(stdout).toMatch(/^lockTimeout +2s +\.env EVDB_LOCK_TIMEOUT$/m);
  expect(stdout).toMatch(/^lockWait +5s +evdb\.config\.json$/m);
  expect(stdout).toMatch(/^dataLockTimeout +10s +default$/m);
});

test('shows what an environment of the config file puts in force', async ({ project }) => {
  const production = { protected: true, schema: 'live' };
  await project.write('evdb.config.json', JSON.stringify({ environments: { production } }));
  const result = await runCli(['config', '--env', 'production', '--json'], { cwd: project.dir });
  expect(parseJson(result)).toMatchObject({
    entries: expect.arrayContaining([
      { key: 'protected', value: true, source: 'evdb.config.json environments.production' },
      { key: 'schema', value: 'live', source: 'evdb.config.json environments.production' },
    ]),
  });
});

test('refuses an environment that is not there, and names those that are', async ({ project }) => {
  await project.write('evdb.config.json', '{ "environments": { "production": {} } }');
  const result = await runCli(['migrate', 'up', '--env', 'prodution'], { cwd: project.dir });
  expectError(result, 'CONFIG_INVALID', 2);
  expect(result.stderr).toContain('did you mean "production"?');
});

test('refuses a broken config file without showing what it holds', async ({ project }) => {
  await project.write('evdb.config.json', `{ "url": "postgres://app:${PASSWORD}@db", }`);
  const result = await runCli(['migrate', 'status'], { cwd: project.dir });
  expectError(result, 'CONFIG_INVALID', 2);
  expect(result.stderr).not.toContain('S3cret');
});

test('starts no server to show the configuration', async ({ project }) => {
  const { stdout, stderr } = await runCli(['config'], { cwd: project.dir });
  expect(stdout).toMatch(/^connection +embedded +default$/m);
  expect(stderr).toBe('');
  const { stdout: status } = await runCli(['server', 'status', '--json'], { cwd: project.dir });
  expect(JSON.parse(status)).toMatchObject({ running: false });
});

test('ends whatever a config file leaves open, and does not wait for one that never loads', async ({
  project,
}) => {
  const path = join(project.dir, 'evdb.config.mjs');
  const run = async (text: string) => {
    await writeFile(path, `setInterval(() => undefined, 1000); ${text}`);
    return runCli(['config'], { cwd: project.dir });
  };
  expect(await run('export default { schema: "app" };')).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('evdb.config.mjs'),
  });
  expect(await run('await new Promise(() => undefined); export default {};')).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(
      /error CONFIG_INVALID .*evdb\.config\.mjs was not loaded within 10 s/,
    ),
  });
});
