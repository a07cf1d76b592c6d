import { readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { expect } from 'vitest';
import { test } from '../support/fixture.ts';
import { runCli } from '../support/run-cli.ts';

// Writes down what evdb itself consists of in that process.
const LISTENER = `
  const compile = module.constructor.prototype._compile;
  const loaded = [];
  module.constructor.prototype._compile = function (code, path, ...rest) {
    if (/[\\\\/]dist[\\\\/]cli[\\\\/]/.test(path)) loaded.push(path);
    return compile.call(this, code, path, ...rest);
  };
  process.on('exit', () => require('node:fs').writeFileSync('loaded.json', JSON.stringify(loaded)));
`;

const EVERYWHERE = ['main', 'code-cache', 'program', 'core', 'rolldown-runtime', 'postgres'];

/** What only the first run on a database loads: it tries how the server behaves, and makes the ledger. */
const FIRST_RUN = ['probe', 'ledger-schema', 'privileges', 'repeatable-texts'];

// Another chunk would hold what scripts/build.mjs does not know to be imported late. Where there is
// more to load than so many kB, look first for an import at the top of a file that only some
// commands need: the rules of lint once doubled what each command loads.
test.for([
  ['--version', 'version', 2],
  ['complete -- migrate up', 'answer', 20],
  ['--help', 'help', 338],
  ['migrate status', 'status', 610],
  ['migrate up', 'up', 848],
  ['lint', 'lint', 938],
] as const)(
  'loads for `evdb %s` only the chunks that are made for it',
  async ([line, command, limitKb], { project, emptyDb }) => {
    await project.write(
      'migrations/001_people.sql',
      'create table people (id bigint primary key);\n',
    );
    await project.write('migrations/001_people.down.sql', 'drop table people;\n');
    const listener = await project.write('listener.cjs', LISTENER);
    const result = await runCli(line.split(' '), {
      cwd: project.dir,
      env: {
        EVDB_URL: emptyDb.url,
        NODE_OPTIONS: `--require ${JSON.stringify(listener)}`,
        // What is kept is loaded past the listener.
        EVDB_CODE_CACHE: '0',
      },
    });
    expect(result).toMatchObject({ code: 0 });
    const loaded: string[] = JSON.parse(await readFile(join(project.dir, 'loaded.json'), 'utf8'));
    const sizes = await Promise.all(loaded.map(async (path) => (await stat(path)).size));
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(limitKb * 1000);
    const chunks = loaded.map((path) => basename(path, '.cjs'));
    const isMadeForIt = (name: string) => {
      const [first, ...commands] = name.split('-');
      const isShared = EVERYWHERE.includes(name) || name === command;
      return isShared || (first === 'for' && commands.includes(command));
    };
    const others = chunks.filter((name) => !isMadeForIt(name));
    expect(others).toEqual(command === 'up' ? FIRST_RUN : []);
    expect(chunks).toContain('main');
    expect(chunks.includes('core')).toBe(!['version', 'answer'].includes(command));
    expect(chunks.includes('postgres')).toBe(line.startsWith('migrate'));
  },
);
