import { describe, expect, it } from 'vitest';
import { keepsMeasures, type Measure, measureSources } from '../support/measures.ts';
import { parseSourceFile } from '../support/source-files.ts';

/** Measures files that are made up: path and text. */
function measure(made: Record<string, string>): Record<string, Measure> {
  const files = Object.entries(made).map(([path, text]) => parseSourceFile(path, text));
  return Object.fromEntries(measureSources(files).map((one) => [one.name, one]));
}

/** Files of so many lines each. */
function filesOf(lineCounts: number[], folder = 'src/sql'): Record<string, string> {
  return Object.fromEntries(
    lineCounts.map((count, i) => [`${folder}/${i}.ts`, 'x;\n'.repeat(count)]),
  );
}

describe('the measures of the source files', () => {
  it.each([
    ['source files', Array<number>(400).fill(1), 400, [1]],
    ['median lines of a file', [500, 110, 20], 110, [20, 21]],
    ['files under 60 lines', [...Array<number>(17).fill(60), 59, 1, 1], 15, [1]],
    ['files in the biggest folder', Array<number>(25).fill(1), 25, [1]],
    ['source lines', Array<number>(100).fill(646).concat(45), 64_645, [1]],
    ['lines of the longest file', [400, 3], 400, [401]],
  ] as const)('let %s just reach what is wanted', (name, lineCounts, value, more) => {
    const reached = measure(filesOf([...lineCounts]))[name];
    expect(reached).toMatchObject({ value, holds: true });
    expect(measure(filesOf([...lineCounts, ...more]))[name]).toMatchObject({ holds: false });
  });

  it('count the files that only one other imports, for a type or late too', () => {
    const made = {
      'src/a/a.ts': "import { b } from './b.ts';\nimport type { C } from './c.ts';\n",
      'src/a/b.ts': "const { d } = await import('./d.ts');\nimport { e } from './e.ts';\n",
      'src/a/c.ts': "export { e } from './e.ts';\nimport { f } from 'f';\n",
      'src/a/d.ts': '',
      'src/a/e.ts': '',
    };
    expect(measure(made)['files that only one other imports']).toMatchObject({
      value: 3,
      places: ['src/a/b.ts by src/a/a.ts', 'src/a/c.ts by src/a/a.ts', 'src/a/d.ts by src/a/b.ts'],
    });
  });

  it('leave the rules of lint out of the biggest folder, and count no folder with those below', () => {
    const made = {
      ...filesOf(Array<number>(30).fill(1), 'src/lint/rules'),
      ...filesOf([1, 1], 'src/lint'),
      ...filesOf([1, 1, 1], 'src/sql'),
    };
    expect(measure(made)['files in the biggest folder']).toMatchObject({
      value: 3,
      places: ['src/sql: 3'],
    });
  });

  it('leave the list of what is public out of the longest file', () => {
    const made = { 'src/index.ts': 'x;\n'.repeat(500), 'src/a.ts': 'x;\n' };
    expect(measure(made)['lines of the longest file']).toMatchObject({ value: 1 });
  });

  it('show each import circle that holds values once, and none of types', () => {
    const made = {
      'src/a.ts': "import { b } from './b.ts';\n",
      'src/b.ts': "import { c } from './c.ts';\n",
      'src/c.ts': "  const { a } = await import('./a.ts');\nimport { b } from './b.ts';\n",
      'src/d.ts': "import { e } from './e.ts';\nimport { a } from './a.ts';\n",
      'src/e.ts': "import type { D } from './d.ts';\n",
      'src/f.ts': "import { g } from './g.ts';\n",
      'src/g.ts': "import { f } from './f.ts';\n",
    };
    expect(measure(made)['import circles that hold values']).toMatchObject({
      value: 2,
      holds: false,
      places: ['src/a.ts → src/b.ts → src/c.ts → src/a.ts', 'src/f.ts → src/g.ts → src/f.ts'],
    });
  });

  it('become a rule that says what does not hold', () => {
    const files = Object.entries(filesOf([401, 401])).map(([path, text]) =>
      parseSourceFile(path, text),
    );
    expect(keepsMeasures(files)).toEqual(['lines of the longest file: 401, wanted at most 400']);
    expect(keepsMeasures([])).toEqual(['median lines of a file: 0, wanted at least 110']);
  });
});
