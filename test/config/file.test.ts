import { execFileSync } from 'node:child_process';
import { chownSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type ConfigFileInput, defineConfig } from '../../src/config/define.ts';
import { type Config, type ConfigFlags, resolveConfig } from '../../src/config/resolve.ts';
import { useConfigProject } from './config-kit.ts';

const project = useConfigProject();
const { write } = project;

function resolve(flags: ConfigFlags = {}, cwd = project.dir): Promise<Config> {
  return resolveConfig({ flags, cwd, env: {} });
}

describe('finding the config file', () => {
  it.each([
    ['evdb.config.js', 'export default { schema: "app" };'],
    ['evdb.config.js', 'module.exports = { schema: "app" };'],
    ['evdb.config.mjs', 'export default { schema: "app" };'],
    ['evdb.config.mjs', 'export default Promise.resolve({ schema: "app" });'],
    ['evdb.config.cjs', 'module.exports = { schema: "app" };'],
    ['evdb.config.ts', 'export default { schema: "app" as string };'],
    ['evdb.config.mts', 'const schema: string = "app"; export default { schema };'],
    ['evdb.config.json', '\uFEFF{ "schema": "app" }'],
    ['evdb.config.yaml', 'schema: app\n'],
    ['evdb.config.yml', 'schema: app\n'],
    ['.evdbrc', 'schema: app\n'],
    ['.evdbrc.json', '{ "schema": "app" }'],
    ['.evdbrc', '{\n\t"schema": "app"\n}\n'],
    ['package.json', '{ "evdb": { "schema": "app" } }'],
  ])('reads %s with %o', async (name, text) => {
    const path = write(name, text);
    const config = await resolve();
    expect(config.schema).toBe('app');
    expect(config.configFile).toBe(path);
    expect(config.entries).toContainEqual({ key: 'schema', value: 'app', source: name });
    expect(config.warnings).toEqual([]);
  });

  it('works without one, also where package.json only mentions evdb', async () => {
    const config = await resolve();
    expect(config.configFile).toBeUndefined();
    expect(config.projectDir).toBe(project.dir);
    expect(config.migrationsDir).toBe(join(project.dir, 'migrations'));
  });

  it('searches upwards, and paths in the file are relative to its folder', async () => {
    write('evdb.config.json', '{ "migrationsDir": "db" }');
    mkdirSync(join(project.dir, 'src/deep'), { recursive: true });
    const config = await resolve({}, join(project.dir, 'src/deep'));
    expect(config.projectDir).toBe(project.dir);
    expect(config.migrationsDir).toBe(join(project.dir, 'db'));
  });

  it('stops at the nearest package.json', async () => {
    write('evdb.config.json', '{ "schema": "outer" }');
    write('packages/api/package.json', '{}');
    const config = await resolve({}, join(project.dir, 'packages/api'));
    expect(config.schema).toBe('public');
    expect(config.projectDir).toBe(join(project.dir, 'packages/api'));
  });

  it('stops at a repository without package.json, and then works where it was called', async () => {
    write('evdb.config.json', '{ "schema": "outer" }');
    mkdirSync(join(project.dir, 'repo/.git'), { recursive: true });
    mkdirSync(join(project.dir, 'repo/sub'));
    const config = await resolve({}, join(project.dir, 'repo/sub'));
    expect(config.schema).toBe('public');
    expect(config.projectDir).toBe(join(project.dir, 'repo/sub'));
  });

  it('stops at the home: what lies above is not the project of who works there', async () => {
    write('evdb.config.json', '{ "schema": "outer" }');
    const home = join(project.dir, 'home');
    const inHome = (cwd: string) => resolveConfig({ flags: {}, cwd, env: { HOME: home } });
    mkdirSync(join(home, 'work'));
    expect((await inHome(join(home, 'work'))).schema).toBe('public');
    write('home/evdb.config.json', '{ "schema": "own" }');
    expect((await inHome(join(home, 'work'))).schema).toBe('own');
  });

  it.skipIf(process.getuid?.() !== 0)('runs none that belongs to another user', async () => {
    const path = write('evdb.config.mjs', 'throw new Error("it ran")');
    const cwd = join(project.dir, 'work');
    mkdirSync(cwd);
    chownSync(path, 1234, 1234);
    await expect(resolve({}, cwd)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('belongs to another user (uid 1234) and is not read'),
      hint: expect.stringContaining(`--config ${path}`),
    });
    write('evdb.config.mjs', 'export default { schema: "app" }');
    expect((await resolve({ config: path }, cwd)).schema).toBe('app');
    // Root in a container works in a project of somebody else.
    chownSync(cwd, 1234, 1234);
    expect((await resolve({}, cwd)).schema).toBe('app');
  });

  it.skipIf(process.platform === 'win32').each([
    ['a pipe', (path: string) => void execFileSync('mkfifo', [path]), 'is not a regular file'],
    ['a device', (path: string) => symlinkSync('/dev/zero', path), 'is not a regular file'],
    ['a folder', (path: string) => void mkdirSync(path), 'is a folder'],
  ])('refuses %s in its place, and waits for nobody', async (_, make, message) => {
    for (const name of ['evdb.config.json', 'evdb.config.mjs', 'package.json', '.evdbrc']) {
      const folder = join(project.dir, `in-${name}`);
      mkdirSync(folder);
      make(join(folder, name));
      await expect(resolve({}, folder)).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
        message: expect.stringContaining(message),
      });
    }
  });

  it.each([
    ['a getter', 'export default { get url() { throw new Error("no vault") } };', 'no vault'],
    [
      'a getter deep inside',
      'export default { environments: { get a() { throw 1 } } };',
      'loaded: 1',
    ],
    [
      'a proxy',
      'export default new Proxy({ url: 1 }, { get(_, key) { if (key !== "then") throw new Error("no " + key); } });',
      'no url',
    ],
    [
      'a rejected promise',
      'export default new Promise((_, no) => setTimeout(() => no(new Error("postgres://a:s3cret@h")), 20));',
      'postgres://a:***@h',
    ],
    [
      'a promise in a setting',
      'export default { url: Promise.reject(new Error("late")) };',
      '"url" must be',
    ],
    [
      'a promise in an export',
      'export default { lint: [Promise.reject(1)], url: 1 };',
      '"url" must be',
    ],
  ])('names the file where it fails in %s', async (_, text, message) => {
    const path = write('evdb.config.mjs', text);
    const failure = await resolve().catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(path),
    });
    expect((failure as Error).message).toContain(message);
    expect((failure as Error).message).not.toContain('s3cret');
  });

  it('takes a config with getters, and one that holds itself', async () => {
    write(
      'evdb.config.mjs',
      'const doctor = { get ignore() { return []; } }; export default { get schema() { return "app"; }, doctor };',
    );
    expect((await resolve()).schema).toBe('app');
  });

  it('takes the first of several and says which ones it does not read', async () => {
    write('.evdbrc', 'schema: rc\n');
    write('evdb.config.json', '{ "schema": "json" }');
    write('evdb.config.ts', 'export default {}');
    const config = await resolve();
    expect(config.schema).toBe('json');
    expect(config.warnings).toEqual([
      expect.stringContaining('.evdbrc is not read: evdb.config.json comes first'),
      expect.stringContaining('evdb.config.ts is not read: evdb.config.json comes first'),
    ]);
  });

  it.each([
    ['evdb.config.toml', 'url = "postgres://h/d"'],
    ['package.json', '{ "evdb": { "url": "postgres://h/d" }, }'],
  ])('refuses %s, which it cannot read, instead of going on without', async (name, text) => {
    write(name, text);
    await expect(resolve()).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(name),
    });
  });

  it.each(['evdb.config.bak', 'evdb.config.js.orig', 'evdb.config.test.ts', '.evdbrc.swp'])(
    'takes %s for no config file',
    async (name) => {
      write(name, 'nonsense');
      expect(await resolve()).toMatchObject({ warnings: [] });
    },
  );

  it('refuses a .env that cannot be read: it may name the database', async () => {
    symlinkSync('.env', join(project.dir, '.env'));
    await expect(resolve()).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it('reads the one that --config names, relative to the working folder', async () => {
    write('evdb.config.json', '{ "schema": "found" }');
    const path = write('deploy/other.yaml', 'schema: named\nmigrationsDir: sql\n');
    const config = await resolve({ config: 'deploy/other.yaml' });
    expect(config.configFile).toBe(path);
    expect(config.schema).toBe('named');
    expect(config.migrationsDir).toBe(join(project.dir, 'deploy/sql'));
  });

  it('reads the one that EVDB_CONFIG names, and --config comes before it', async () => {
    write('a.json', '{ "schema": "a" }');
    write('b.json', '{ "schema": "b" }');
    const env = { EVDB_CONFIG: 'a.json' };
    expect((await resolveConfig({ cwd: project.dir, env })).schema).toBe('a');
    expect(
      (await resolveConfig({ cwd: project.dir, env, flags: { config: 'b.json' } })).schema,
    ).toBe('b');
  });

  it.each(['no-such.json', '.', 'empty.toml', 'package.json', ''])(
    'refuses --config %o by name',
    async (name) => {
      write('empty.toml', '');
      await expect(resolve({ config: name })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    },
  );
});

describe('what a config file holds', () => {
  it('counts as not set where it is undefined, null or empty', async () => {
    write('evdb.config.mjs', 'export default { url: undefined, schema: null, ledgerSchema: "" };');
    const config = await resolve();
    expect(config.connection).toEqual({ kind: 'embedded', implicit: true });
    expect([config.schema, config.ledgerSchema]).toEqual(['public', 'evdb']);
  });

  it('may be empty', async () => {
    write('evdb.config.yaml', '# nothing yet\n');
    expect((await resolve()).schema).toBe('public');
  });

  it('is refused with every problem at once, also in environments that are not in use', async () => {
    const path = write(
      'evdb.config.json',
      JSON.stringify({
        migrationDir: 'db',
        schema: 5,
        searchPath: 'a',
        lockWait: true,
        protected: 'yes',
        environments: { production: { URL: 's3cret', environments: {} }, dev: 1 },
      }),
    );
    await expect(resolve()).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(path),
      details: {
        path,
        problems: [
          'unknown key "migrationDir"; did you mean "migrationsDir"?',
          '"schema" must be a string',
          '"searchPath" must be a list of strings',
          expect.stringContaining('"lockWait" must be a duration'),
          '"protected" must be true or false',
          'unknown key "environments.production.URL"; did you mean "url"?',
          'unknown key "environments.production.environments"',
          '"environments.dev" must be an object with settings',
        ],
      },
    });
  });

  it.each([
    ['evdb.config.json', '{ "url": "postgres://a:s3cret@h/d", }'],
    ['evdb.config.yaml', 'schema: a\n url: postgres://a:s3cret@h/d\n'],
    ['.evdbrc', 'url: *s3cret\n'],
    ['evdb.config.mjs', "export default { url: 'postgres://a:s3cret'@h/d' }"],
    ['evdb.config.mjs', "throw new Error('postgres://a:s3cret@h/d is down')"],
    ['evdb.config.mjs', 'export const url = "s3cret";'],
    ['evdb.config.json', '["s3cret"]'],
    ['package.json', '{ "evdb": "s3cret" }'],
  ])('that cannot be used is an error without its text: %s %s', async (name, text) => {
    const path = write(name, text);
    const error = await resolve().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'CONFIG_INVALID' });
    expect(error).not.toHaveProperty('cause');
    const { message, hint } = error as { message: string; hint: string };
    expect(message).toContain(path);
    expect(message + hint).not.toContain('s3cret');
  });

  it('shows the line where YAML is wrong', async () => {
    const path = write('evdb.config.yaml', 'schema: a\n url: b\n');
    await expect(resolve()).rejects.toMatchObject({
      message: expect.stringContaining(`${path}:2:`),
    });
  });

  it('may be made by defineConfig, and name its JSON schema', async () => {
    const config: ConfigFileInput = { $schema: './config-file.json', schema: 'app' };
    expect(defineConfig(config)).toBe(config);
    write('evdb.config.json', JSON.stringify(config));
    expect(await resolve()).toMatchObject({ schema: 'app', warnings: [] });
  });
});

describe('the environments of a config file', () => {
  const text = JSON.stringify({
    schema: 'top',
    ledgerSchema: 'top_ledger',
    url: 'postgres://app@top/d',
    environments: {
      production: { url: 'postgres://app@prod/d', schema: 'prod', protected: true },
      empty: {},
    },
  });

  it('lie over the rest of the file when --env or EVDB_ENV names one', async () => {
    write('evdb.config.json', text);
    for (const input of [{ flags: { env: 'production' } }, { env: { EVDB_ENV: 'production' } }]) {
      const config = await resolveConfig({ env: {}, cwd: project.dir, ...input });
      expect(config).toMatchObject({
        environment: 'production',
        isProtected: true,
        schema: 'prod',
        ledgerSchema: 'top_ledger',
        connection: { options: { hosts: [{ host: 'prod', port: 5432 }] } },
      });
      expect(config.entries).toContainEqual({
        key: 'schema',
        value: 'prod',
        source: 'evdb.config.json environments.production',
      });
    }
  });

  it('do nothing when none is named', async () => {
    write('evdb.config.json', text);
    const config = await resolve();
    expect(config.environment).toBeUndefined();
    expect(config).toMatchObject({ isProtected: false, schema: 'top' });
  });

  it('fall back to the rest of the file', async () => {
    write('evdb.config.json', text);
    expect(await resolve({ env: 'empty' })).toMatchObject({ schema: 'top', isProtected: false });
  });

  it('must be defined: an unknown name is an error with the nearest one', async () => {
    write('evdb.config.json', text);
    await expect(resolve({ env: 'prodution' })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('did you mean "production"?'),
      hint: expect.stringContaining('production, empty'),
    });
  });

  it('must be defined even where there is no config file to lose its protection', async () => {
    await expect(resolve({ env: 'production' })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('no config file was found'),
    });
  });

  it('are not found by the names that every object has', async () => {
    write('evdb.config.json', text);
    await expect(resolve({ env: 'constructor' })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });
});
