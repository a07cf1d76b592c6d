import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, inject } from 'vitest';
import { test } from '../support/fixture.ts';
import { runCli } from '../support/run-cli.ts';
import { canRunTypes, expectError, parseJson } from './cli-kit.ts';

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

const BROKEN: [name: string, text: string, place: string][] = [
  ['evdb.config.mjs', "export default {\n  url: 's3cret,\n};\n", '2:8'],
  ['evdb.config.js', "export default {\n  url: 's3cret,\n};\n", '2:8'],
  ['evdb.config.cjs', 'module.exports = {\n  url: "s3cret" "x",\n};\n', '2:17'],
  ['evdb.config.mjs', 'const url = "s3cret";\nexport default { url: urls };\n', '2:23'],
  ['evdb.config.json', '{\n  "url": "s3cret",\n}\n', '3:1'],
  ['evdb.config.yaml', 'schema: a\n  url: s3cret\n', '2:6'],
  ['.env', 'A=1\nEVDB_URL postgres://a:s3cret@h/d\n', '2:9'],
];

test.for(BROKEN)('says where %s is wrong, without its text', async (broken, { project }) => {
  const [name, text, place] = broken;
  const path = await project.write(name, text);
  const result = await runCli(['migrate', 'status'], { cwd: project.dir });
  expectError(result, 'CONFIG_INVALID', 2);
  expect(result.stderr).toContain(`${path}:${place} `);
  expect(result.stderr).not.toContain('s3cret');
});

test('reads a module in a package that does not name its type, and says nothing of it', async ({
  project,
}) => {
  await project.write('package.json', '{ "name": "shop" }');
  await project.write('evdb.config.js', 'export default { schema: "app" };');
  const run = () => runCli(['config'], { cwd: project.dir });
  expect(await run()).toMatchObject({ code: 0, stderr: '' });
  await project.write('package.json', '{ "name": "shop", "type": "commonjs" }');
  const result = await run();
  expectError(result, 'CONFIG_INVALID', 2);
  expect(result.stderr).toMatch(/evdb\.config\.js:1:1 is an ES module, and package\.json says/);
  expect(result.stderr).toMatch(/hint: Call it evdb\.config\.mjs\.\n$/);
});

test('names the key of a value that is wrong, and the line of broken syntax', async ({
  project,
}) => {
  const run = async (text: string) => {
    await project.write('evdb.config.mjs', text);
    const result = await runCli(['config'], { cwd: project.dir });
    expectError(result, 'CONFIG_INVALID', 2);
    return result.stderr;
  };
  expect(await run('export default { lockWait: "5 minutes" };')).toContain(
    'evdb.config.mjs: "lockWait": "5 minutes" is not a duration',
  );
  expect(await run('export default {\n  schema: "a",\n  }};\n')).toMatch(
    /evdb\.config\.mjs:3:\d+ is not valid JavaScript: Unexpected token \}/,
  );
  const named = await run('export default { url: "a" s3cret };\n');
  expect(named).toMatch(/:1:\d+ is not valid JavaScript: Unexpected identifier\n/);
  expect(named).not.toContain('s3cret');
});

test('blames no config file for what it imports', async ({ project }) => {
  const imported = await project.write('database.mjs', 'export const url = "s3cret;\n');
  await project.write('evdb.config.mjs', 'export { url as default } from "./database.mjs";\n');
  const result = await runCli(['config'], { cwd: project.dir });
  expectError(result, 'CONFIG_INVALID', 2);
  expect(result.stderr).toMatch(/evdb\.config\.mjs, or a file that it imports, is not valid/);
  expect(result.stderr).not.toContain('s3cret');
  expect(result.stderr).not.toContain(imported);
});

test('reads a config in TypeScript where Node runs it, and else says what to do', async ({
  project,
}) => {
  const text = `import { type ConfigFileInput, defineConfig } from 'evdb';
const environments: ConfigFileInput['environments'] = { staging: { schema: 'stage' } };
export default defineConfig({ schema: 'app' as const, environments });
`;
  const path = await project.write('evdb.config.ts', text);
  const evdb = join(inject('evdbBin'), '../..');
  await mkdir(join(project.dir, 'node_modules'));
  await symlink(evdb, join(project.dir, 'node_modules/evdb'));
  const run = () => runCli(['config', '--env', 'staging'], { cwd: project.dir });
  const result = await run();
  const node = process.env.EVDB_TEST_NODE || process.execPath;
  if (!(await canRunTypes(node))) {
    expectError(result, 'CONFIG_INVALID', 2);
    expect(result.stderr).toMatch(
      /evdb\.config\.ts is TypeScript, which Node v\d+\.\S+ does not run/,
    );
    expect(result.stderr).toContain('Node 22.18 or later');
    return;
  }
  expect(result).toMatchObject({ code: 0 });
  expect(result.stdout).toMatch(/^schema +stage +evdb\.config\.ts environments\.staging$/m);
  await project.write(
    'evdb.config.ts',
    'const a: number = 1;\nexport default {\n  url: "s3cret,\n};',
  );
  expectError(await run(), 'CONFIG_INVALID', 2);
  expect((await run()).stderr).toContain(`${path}:3:8 is not valid TypeScript`);
  await project.write('evdb.config.ts', 'export default {};\nenum S3cret { A }\n');
  const { stderr } = await run();
  expect(stderr).toContain(`${path}:2:1 holds TypeScript that is more than types`);
  expect(stderr).not.toContain('S3cret');
});
