import { describe, expect, it } from 'vitest';
import {
  givesLibraryWhatCliUses,
  keepsDriverInConnection,
  keepsFilesSmallAndNamed,
  leavesProcessToCli,
  pointsOneWay,
  type Rule,
  staysPure,
} from './support/architecture-rules.ts';
import { keepsMeasures } from './support/measures.ts';
import { parseSourceFile, readSourceFiles } from './support/source-files.ts';

const files = readSourceFiles();

/** Applies a rule to files that are made up: path and text. */
function apply(rule: Rule, made: Record<string, string>): string[] {
  return rule(Object.entries(made).map(([path, text]) => parseSourceFile(path, text)));
}

describe('the source files', () => {
  it('point their dependencies one way', () => {
    expect(pointsOneWay(files)).toEqual([]);
  });

  it('keep plans, lint rules and reports off the network and the disk', () => {
    expect(staysPure(files)).toEqual([]);
    expect(files.map(({ path }) => path)).toContain('src/migrate/plan/plan.ts');
  });

  it('know the driver in src/connection only', () => {
    expect(keepsDriverInConnection(files)).toEqual([]);
  });

  it('end the process in src/cli/main.ts only, and print in src/cli only', () => {
    expect(leavesProcessToCli(files)).toEqual([]);
  });

  it('are small, named after a topic, and export by name', () => {
    expect(keepsFilesSmallAndNamed(files)).toEqual([]);
  });

  it('give the users of the library everything that the CLI uses', () => {
    expect(givesLibraryWhatCliUses(files)).toEqual([]);
  });

  it('are cut as is wanted', () => {
    expect(keepsMeasures(files)).toEqual([]);
  });
});

describe('the reader of imports', () => {
  const importsOf = (text: string) => parseSourceFile('src/migrate/a.ts', text).imports;

  it.each([
    ["import { a, b as c } from '../sql/x.ts';", ['a', 'b'], 'src/sql/x.ts', false],
    ["import {\n  a,\n  type B,\n} from './x.ts';", ['a', 'B'], 'src/migrate/x.ts', false],
    ["import type { A } from './x.ts';", ['A'], 'src/migrate/x.ts', true],
    ["import { type A, type B } from './x.ts';", ['A', 'B'], 'src/migrate/x.ts', true],
    ["import postgres from 'postgres';", ['default'], 'postgres', false],
    ["import * as fs from 'node:fs';", ['*'], 'node:fs', false],
    ["import './x.ts';", [], 'src/migrate/x.ts', false],
    ["export { a } from './x.ts';", ['a'], 'src/migrate/x.ts', false],
    ["  const { a, b: c } = await import('./x.ts');", ['a', 'b'], 'src/migrate/x.ts', false],
    ["  (await import('./x.ts')).a();", ['a'], 'src/migrate/x.ts', false],
    ["  const x = await import('./x.ts');", ['*'], 'src/migrate/x.ts', false],
    ["type X = typeof import('./x.ts');", ['*'], 'src/migrate/x.ts', true],
  ])('understands %s', (text, names, from, isTypeOnly) => {
    expect(importsOf(text)).toEqual([{ from, names, isTypeOnly }]);
  });

  it('understands imports that are awaited together', () => {
    const text =
      "const [{ a }, { b }, c] = await Promise.all([\n  import('./x.ts'),\n  import('y'),\n  d(1),\n]);";
    expect(importsOf(text)).toEqual([
      { from: 'src/migrate/x.ts', names: ['a'], isTypeOnly: false },
      { from: 'y', names: ['b'], isTypeOnly: false },
    ]);
  });

  it('passes over comments', () => {
    const text = "/**\n * import('a')\n */\nconst a = 1; // import('b')\n// import('c')\n";
    expect(importsOf(text)).toEqual([]);
  });
});

describe('the rules catch', () => {
  it.each([
    ['src/sql/a.ts', "import { b } from '../migrate/b.ts';"],
    ['src/migrate/a.ts', "import { b } from '../cli/b.ts';"],
    ['src/migrate/a.ts', "import type { B } from '../pool/b.ts';"],
    ['src/lint/a.ts', "  const { b } = await import('../config/b.ts');"],
    ['src/report/a.ts', "import { b } from '../migrate/b.ts';"],
    ['src/config/a.ts', "import { b } from '../connection/b.ts';"],
    ['src/connection/a.ts', "import { b } from '../sql/parse.ts';"],
    ['src/cli/a.ts', "import { b } from '../sql/b.ts';"],
    ['src/errors.ts', "import { b } from './sql/b.ts';"],
    ['src/index.ts', "export { b } from './cli/b.ts';"],
    ['src/index.ops.ts', "export { b } from './cli/b.ts';"],
    ['src/other/a.ts', ''],
  ])('a dependency that points the wrong way: %s: %s', (path, text) => {
    expect(apply(pointsOneWay, { [path]: text })).toHaveLength(1);
  });

  it('a plan that reads a file by way of another module', () => {
    const made = {
      'src/migrate/plan/plan.ts': "import { b } from './b.ts';",
      'src/migrate/plan/b.ts': "  const { readFile } = await import('node:fs/promises');",
    };
    expect(apply(staysPure, made)).toEqual([
      'src/migrate/plan/plan.ts → src/migrate/plan/b.ts → node:fs/promises',
    ]);
  });

  it.each(['src/report/a.ts', 'src/lint/rules/a.ts', 'src/migrate/repair/repair-plan.ts'])(
    'a network connection in %s',
    (path) => {
      expect(apply(staysPure, { [path]: "import { connect } from 'node:net';" })).toHaveLength(1);
    },
  );

  it('a driver outside src/connection', () => {
    const text = "  const { default: postgres } = await import('postgres');";
    expect(apply(keepsDriverInConnection, { 'src/migrate/a.ts': text })).toHaveLength(1);
    expect(apply(keepsDriverInConnection, { 'src/connection/a.ts': text })).toEqual([]);
  });

  it.each([
    ['src/cli/commands/a.ts', 'process.exitCode = 1;'],
    ['src/migrate/a.ts', 'process.exit(1);'],
    ['src/cli/commands/a.ts', "console.log('x');"],
    ['src/migrate/a.ts', "process.stderr.write('x');"],
  ])('a process that is ended, or printing, in the wrong place: %s: %s', (path, text) => {
    expect(apply(leavesProcessToCli, { [path]: text })).toHaveLength(1);
  });

  it.each([
    ['is too long', 'src/sql/a.ts', 'x;\n'.repeat(401)],
    ['is called utils', 'src/sql/utils.ts', ''],
    ['is called types', 'src/sql/types.ts', ''],
    ['is an index of its folder', 'src/sql/index.ts', ''],
    ['has a default export', 'src/sql/a.ts', 'export default 1;'],
    [
      'is a barrel',
      'src/sql/a.ts',
      "export { a } from './b.ts';\nexport {\n  c,\n} from './d.ts';\n",
    ],
  ])('a file that %s', (_, path, text) => {
    expect(apply(keepsFilesSmallAndNamed, { [path]: text })).toHaveLength(1);
  });

  it('a function the CLI keeps to itself', () => {
    const made = {
      'src/index.ts': "export { a } from './migrate/x.ts';",
      'src/index.ops.ts': "export { c } from './stats/x.ts';",
      'src/cli/main.ts': "import { a } from '../migrate/x.ts';\nimport './context.ts';",
      'src/cli/stats.ts': "import { c, C_VIEW, renderC } from '../stats/x.ts';",
      'src/cli/up.ts': "  const { b } = await import('../migrate/x.ts');",
    };
    expect(apply(givesLibraryWhatCliUses, made)).toEqual([
      'src/cli/up.ts uses b of src/migrate/x.ts, which no entry exports',
    ]);
  });

  it.each(['text/units', 'report/table', 'doctor/report', 'migrate/checks/report'])(
    'nothing where the CLI shows something by way of %s',
    (name) => {
      const text = `import { a } from '../${name}.ts';`;
      expect(apply(givesLibraryWhatCliUses, { 'src/cli/a.ts': text })).toEqual([]);
    },
  );
});
