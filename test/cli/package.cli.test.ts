import { chmod, readFile, rm, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, inject } from 'vitest';
import { findHome } from '../../src/embedded/home.ts';
import { stopEmbeddedServer } from '../../src/embedded/stop.ts';
import { test as base } from '../support/fixture.ts';
import { fetchNpmTool, run } from '../support/npm-tool.ts';
import { whyNoOwnServer } from '../support/own-server.ts';
import { scrubEnvironment } from '../support/run-cli.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const node = process.env.EVDB_TEST_NODE || process.execPath;
const whyNot = whyNoOwnServer();
// Installing a package manager's worth of files takes its time on a busy machine.
const installMs = 240_000;

interface User {
  dir: string;
  write(path: string, text: string): Promise<string>;
  /** Links the packed package, as it was installed once, into the folder. */
  link(): Promise<void>;
  /** Runs a command line as it is typed, with the Node under test first on the path. */
  type(line: string, env?: Record<string, string>): Promise<string>;
}

/** `user`: somebody in an empty folder, who knows nothing of this clone. */
const test = base.extend<{ user: User }>({
  user: async ({ project }, use) => {
    await chmod(project.dir, 0o755);
    const environment = {
      ...scrubEnvironment(process.env),
      PATH: [dirname(node), process.env.PATH].join(':'),
      npm_config_prefer_offline: 'true',
      npm_config_audit: 'false',
      npm_config_fund: 'false',
      npm_config_update_notifier: 'false',
    };
    const type: User['type'] = async (line, env = {}) => {
      const options = { cwd: project.dir, env: { ...environment, ...env } };
      const { code, output } = await run('sh', ['-c', line], options);
      if (code !== 0) throw new Error(`${line} ended with ${code}:\n${output}`);
      return output;
    };
    const link = () =>
      symlink(join(inject('packedProject'), 'node_modules'), join(project.dir, 'node_modules'));
    await use({ dir: project.dir, write: project.write, link, type });
    const directory = join(project.dir, '.evdb');
    await stopEmbeddedServer({ directory });
    const home = findHome(directory);
    if (home) await rm(home, { recursive: true, force: true });
  },
});

/** The commands that README gives for a project of one's own, with the tarball for the name. */
async function readCommands(): Promise<string[]> {
  const readme = await readFile(join(root, 'README.md'), 'utf8');
  const block = /In a project of your own\.[\s\S]+?```sh\n([\s\S]+?)```/.exec(readme)?.[1] ?? '';
  const lines = block.split('\n').map((line) => line.replace(/ {2,}#.*/, '').trim());
  return lines
    .filter((line) => line !== '')
    .map((line) => line.replace('npm install evdb', `npm install ${inject('evdbTarball')}`));
}

async function followReadme(user: User, toLine: (npmLine: string) => string): Promise<void> {
  const [install = '', init = '', up = '', status = ''] = await readCommands();
  await user.type(toLine(install));
  const initialised = await user.type(toLine(init));
  expect(initialised).toContain('created  migrations/001_create_users_table.sql');
  expect(initialised).toContain('created  .env.example');
  expect(await user.type(toLine(up))).toMatch(/^applied \d+ migrations/m);
  expect(await user.type(toLine(status))).toMatch(/(\d+) migrations in schema public: \1 applied/);
  // Whoever types it again loses nothing.
  expect(await user.type(toLine(init))).not.toContain('created');
}

test.skipIf(whyNot)(
  'works as README says, word by word, with npm',
  ({ user }) => followReadme(user, (line) => line),
  installMs,
);

test.skipIf(whyNot)(
  'works as README says with pnpm, which runs no install scripts',
  async ({ user }) => {
    const pnpm = join(await fetchNpmTool('pnpm', ['pnpm@10.34.8']), 'pnpm/bin/pnpm.cjs');
    const store = `--store-dir ${join(root, '.cache/pnpm-store')}`;
    await followReadme(user, (line) =>
      line
        .replace('npm install', `node ${pnpm} add ${store} --prefer-offline`)
        .replace('npx', `node ${pnpm} exec`),
    );
  },
  installMs,
);

test('is one and the same for import and for require', async ({ user, emptyDb }) => {
  await user.link();
  await user.write(
    'both.cjs',
    `const required = require('evdb');
     const entries = ['evdb', 'evdb/events', 'evdb/ops', 'evdb/lint'];
     import('evdb').then(async (imported) => {
       const names = [];
       for (const entry of entries) {
         const [one, other] = [require(entry), await import(entry)];
         names.push(...Object.keys(one).filter((name) => one[name] !== other[name]));
       }
       const thrown = await require('evdb/lint').lintMigrations({ directory: '/nowhere' }).catch((error) => error);
       const pool = new imported.DatabasePool({ connectionString: process.env.URL, max: 1 });
       const { rows } = await pool.query('select $1::int + 1 as n', [41]);
       await pool.close();
       const count = Object.keys(imported).length > 20;
       console.log(JSON.stringify({ names, count, isOneError: thrown instanceof imported.EvdbError, rows }));
     });`,
  );
  const output = await user.type('node both.cjs', { URL: emptyDb.url });
  expect(JSON.parse(output)).toEqual({
    names: [],
    count: true,
    isOneError: true,
    rows: [{ n: 42 }],
  });
});

test(
  'runs in a CommonJS project under Jest, migrations and pool alike',
  async ({ user, emptyDb }) => {
    const jest = join(await fetchNpmTool('jest', ['jest@30.5.2']), 'jest/bin/jest.js');
    await user.link();
    await user.write('migrations/001_people.sql', 'create table people (id integer);');
    await user.write('migrations/001_people.down.sql', 'drop table people;');
    await user.write(
      'evdb.test.js',
      `const { DatabaseManager, EvdbError, parseConnectionUrl } = require('evdb');
       test('migrates and queries', async () => {
         const manager = new DatabaseManager({ migrations: 'up', max: 2 });
         const pool = await manager.initialize();
         const { rows } = await pool.query('select count(*)::int as n from people');
         expect(rows).toEqual([{ n: 0 }]);
         await expect(pool.query('select nothing')).rejects.toThrow(EvdbError);
         await manager.close();
         expect(() => parseConnectionUrl('mysql://x')).toThrow(EvdbError);
       });`,
    );
    const output = await user.type(`node ${jest} --ci`, { EVDB_URL: emptyDb.url });
    expect(output).toContain('1 passed');
    expect(output).not.toContain('did not exit');
  },
  installMs,
);

const PROGRAM = `import { DatabasePool, type ConfigFileInput, EvdbError } from 'evdb';
import { createRegistrar } from 'evdb/events';
import { lintScripts } from 'evdb/lint';
import { runDoctor } from 'evdb/ops';
export const config: ConfigFileInput = { schema: 'public' };
export async function read(): Promise<number> {
  const pool = new DatabasePool({ max: 2 });
  try {
    const { rows } = await pool.query<{ n: number }>('select 1 as n');
    return rows[0]?.n ?? 0;
  } catch (error) {
    if (error instanceof EvdbError) return error.code.length;
    throw error;
  }
}
export const registrar = createRegistrar;
export const [lint, doctor] = [lintScripts, runDoctor];
`;

const COMPILERS = {
  'the newest TypeScript': () => Promise.resolve(join(root, 'node_modules/typescript/bin/tsc')),
  'TypeScript 5.9': async () =>
    join(await fetchNpmTool('typescript', ['typescript@5.9.3']), 'typescript/bin/tsc'),
};

for (const compiler of ['the newest TypeScript', 'TypeScript 5.9'] as const) {
  for (const [resolution, type] of [
    ['nodenext', 'module'],
    ['nodenext', 'commonjs'],
    ['bundler', 'module'],
  ]) {
    test(
      `has types for ${resolution} in a ${type} package, strict, with libraries checked, for ${compiler}`,
      async ({ user }) => {
        await user.link();
        await user.write('package.json', JSON.stringify({ private: true, type }));
        await user.write('main.ts', PROGRAM);
        const module = resolution === 'bundler' ? 'preserve' : 'nodenext';
        const compilerOptions = {
          ...{ module, moduleResolution: resolution, target: 'es2022', lib: ['es2023'] },
          ...{ strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false },
          ...{ noEmit: true, types: [] },
        };
        await user.write('tsconfig.json', JSON.stringify({ compilerOptions, files: ['main.ts'] }));
        expect(await user.type(`node ${await COMPILERS[compiler]()} -p .`)).toBe('');
      },
      installMs,
    );
  }
}
