import type { Command } from 'commander';
import { test as base, describe, expect } from 'vitest';
import { complete } from '../../src/cli/completion/answer.ts';
import { describeCommands, isDescribed } from '../../src/cli/completion/describe.ts';
import { processContext } from '../../src/cli/context.ts';
import { buildProgram } from '../../src/cli/run.ts';
import { createProject, type TestProject } from '../support/project.ts';

const program = describeCommands();

const test = base.extend<{ project: TestProject; at: (line: string, env?: object) => string[] }>({
  project: async ({}, use) => {
    const project = await createProject();
    await use(project);
    await project.remove();
  },
  // What is offered for the last word of a line.
  at: async ({ project }, use) => {
    await use((line, env = {}) => {
      const from = { cwd: project.dir, env: { HOME: project.dir, ...env } };
      return complete(line.split(' '), program, from).candidates.map(([value]) => value);
    });
  },
});

const directiveAt = (line: string, cwd: string) =>
  complete(line.split(' '), program, { cwd, env: { HOME: cwd } }).directive;

describe('words that the program knows', () => {
  test.for<[line: string, offered: string[]]>([
    ['mig', ['migrate']],
    ['migrate re', ['redo', 'repair', 'restore', 'reset']],
    ['stats vac', ['vacuum']],
    ['help mig', ['migrate']],
    ['help migrate u', ['up']],
    ['migrate help u', ['up']],
    ['help migrate up ', []],
    ['migrate up --lock-wait', ['--lock-wait', '--lock-wait-budget']],
    ['migrate up --lock-wait=3s --lock-wait', ['--lock-wait-budget']],
    ['-q migrate u', ['up']],
    ['migrate --no-color up --dry', ['--dry-run']],
    ['init --ci ', ['github', 'gitlab', 'none']],
    ['init --ci=gi', ['github', 'gitlab']],
    ['init --ci=github --config-format y', ['yaml']],
    ['lint --rule set-not', ['set-not-null']],
    ['lint --rule set-not-null,lock-ta', ['set-not-null,lock-table']],
    ['lint --rule lock-table,lock-ta', []],
    ['lint --explain index-not', ['index-not-concurrent']],
    ['doctor --only seq', ['sequences', 'sequence-runway']],
    ['doctor --fail-on warning,', ['warning,unknown']],
    ['lint --format sar', ['sarif']],
    ['completion ', ['bash', 'zsh', 'fish', 'powershell']],
    ['migrate repair 001 --as ', ['done', 'not-done']],
    ['schema diff --from ', ['live', 'migrations', 'file:']],
    // what npx is followed by
    ['evdb migrate u', ['up']],
    // quotes that are not closed yet
    ['migrate "u', ['up']],
  ])('%j is completed by %j', ([line, offered], { at }) => {
    expect(at(line)).toEqual(offered);
  });

  test.for(['nonsense ', 'migrate nonsense ', 'migrate create ', 'migrate up --url ', 'frob --x='])(
    'nothing completes %j',
    (line, { at }) => {
      const offered = at(line);
      // Where no argument is known, the options are shown.
      expect(offered.filter((word) => !word.startsWith('--'))).toEqual([]);
    },
  );

  test('an empty word is completed by all there is', ({ at }) => {
    expect(at('')).toEqual([...program.commands.map(({ name }) => name), 'help']);
    expect(at('migrate redo ')).toContain('--dry-run');
  });

  test('tells a shell where files are wanted, or folders, or no space', ({ project }) => {
    const directives = [
      'lint ',
      'types --out ',
      'lint --report sarif=',
      'migrate up --migrations-dir ',
    ]
      .concat('lint --report ', 'migrate ', 'migrate up --to ')
      .map((line) => directiveAt(line, project.dir));
    expect(directives).toEqual([0, 0, 0, 16, 4 + 2, 4, 4]);
  });
});

describe('what the files of a project know', () => {
  test.beforeEach(async ({ project }) => {
    await project.migration('001_users', '', '');
    await project.migration('010_add_venues', '');
    await project.migration('9_x', '');
    await project.write('migrations/notes.txt', '');
    await project.write('other/777_seven.sql', '');
  });

  test('versions stand in their order, without down scripts', ({ at, project }) => {
    expect(at('migrate up --to ')).toEqual(['001', '9', '010']);
    expect(at('migrate down --to 0')).toEqual(['001', '010']);
    expect(at('migrate restore 001 9')).toEqual(['9']);
    expect(directiveAt('migrate up --to ', project.dir)).toBe(4 + 32);
  });

  test('versions are those of the folder that the line, a variable or .env names', async ({
    at,
    project,
  }) => {
    expect(at('migrate up --migrations-dir other --to ')).toEqual(['777']);
    expect(at('migrate up --migrations-dir=other --to ')).toEqual(['777']);
    expect(at('migrate up --to ', { EVDB_MIGRATIONS_DIR: 'other' })).toEqual(['777']);
    await project.write('.env', "EVDB_MIGRATIONS_DIR='other' # here\n");
    expect(at('migrate up --to ')).toEqual(['777']);
  });

  const object = `{
    migrationsDir: 'migrations', searchPath: ['a', { b: 1 }],
    environments: {
      local: {}, 'staging': { url: "postgres://u:p@h/{", migrationsDir: \`other\` },
      production: { protected: true, password: async () => ({ a: token() }), },
      ...more,
    },
  }`;
  const json =
    '{"environments": {"local": {}, "staging": {"migrationsDir": "other"}, "production": {}}}';
  const yaml =
    '# environments:\nenvironments:\n  local: {}\n  "staging":\n    migrationsDir: other\n  production:\n    protected: true\nschema: app\n';

  test.for([
    ['evdb.config.mjs', `export default ${object};`],
    ['evdb.config.cjs', `module.exports = ${object}`],
    [
      'evdb.config.ts',
      `import { defineConfig } from 'evdb';\n// environments: { no: {} }\nexport default defineConfig(${object} satisfies object)`,
    ],
    ['evdb.config.json', json],
    ['evdb.config.yaml', yaml],
    ['.evdbrc', yaml],
    ['.evdbrc', json],
    ['package.json', `{ "name": "x", "evdb": ${json} }`],
  ] as const)('environments are read off %s', async ([name, text], { at, project }) => {
    await project.write(name, text);
    expect(at('migrate up --env ')).toEqual(['local', 'staging', 'production']);
    expect(at('migrate up --env st')).toEqual(['staging']);
    expect(at('migrate up --env staging --to ')).toEqual(['777']);
    expect(at('migrate up --to ', { EVDB_ENV: 'staging' })).toEqual(['777']);
    expect(at('migrate up --env local --to ')).toEqual(['001', '9', '010']);
  });

  test('another config file counts where the line or a variable names it', async ({
    at,
    project,
  }) => {
    await project.write('conf/evdb.json', '{"environments": {"far": {}}}');
    expect(at('migrate up --config conf/evdb.json --env ')).toEqual(['far']);
    expect(at('migrate up --env ', { EVDB_CONFIG: 'conf/evdb.json' })).toEqual(['far']);
  });

  test('a name that a shell would read something into is not offered', async ({ at, project }) => {
    const names = { 'a b': {}, '$(touch x)': {}, '-q': {}, 'x;y': {}, fine: {} };
    await project.write('evdb.config.json', JSON.stringify({ environments: names }));
    expect(at('migrate up --env ')).toEqual(['fine']);
  });
});

const leavesOf = ({ commands }: Command): Command[] =>
  commands.flatMap((one) => (one.commands.length > 0 ? leavesOf(one) : [one]));

describe('every option and argument', () => {
  test('has choices, or somebody has said what it takes', () => {
    const whole = buildProgram(processContext(process), { exitCode: 0, command: '' });
    const unsaid = leavesOf(whole).flatMap(({ options, registeredArguments }) => [
      ...options
        .filter(({ required, argChoices }) => required && !argChoices)
        .map(({ flags }) => flags.replace(/^-\w, /, '')),
      ...registeredArguments
        .filter(({ argChoices }) => !argChoices)
        .map((one) => `${one.name()}${one.variadic ? '...' : ''}`)
        .flatMap((word) => (isDescribed(`<${word}>`) || isDescribed(`[${word}]`) ? [] : [word])),
    ]);
    expect(unsaid.filter((syntax) => !isDescribed(syntax))).toEqual([]);
  });
});
