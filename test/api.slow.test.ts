import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
// @ts-expect-error a script without types
import * as script from '../scripts/api.mjs';
import { test } from './support/fixture.ts';

interface PublicName {
  name: string;
  kind: string;
  code: string;
  text: string;
  examples: string[];
}

type Api = { name: string; names: PublicName[] }[];

const { readApi, findProblems, checkExamples, renderApi } = script as {
  readApi(entries?: { name: string; path: string }[]): Api;
  findProblems(api: Api): string[];
  checkExamples(api: Api): string[];
  renderApi(api: Api): string;
};

describe('what the entries export', () => {
  let api: Api = [];
  beforeAll(() => {
    api = readApi();
  }, 240_000);

  it('is listed in docs/reference/api.md; `npm run docs` writes it', async () => {
    expect(renderApi(api)).toBe(await readFile('docs/reference/api.md', 'utf8'));
  });

  it('says what it is, what happens without an option, what it throws, and how it is used', () => {
    expect(findProblems(api)).toEqual([]);
    expect(api.map(({ name }) => name)).toEqual(['evdb', 'evdb/events', 'evdb/ops', 'evdb/lint']);
  });

  it('has examples that compile', { timeout: 60_000 }, () => {
    expect(checkExamples(api)).toEqual([]);
  });

  it('is found wrong by an example that does not compile', { timeout: 60_000 }, () => {
    const broken = api.flatMap(({ name, names }) =>
      names
        .filter((one) => one.name === 'migrateUp')
        .map((one) => ({ name, names: [{ ...one, examples: ['migrateUp({ directory: 1 });'] }] })),
    );
    expect(checkExamples(broken)).toEqual([
      expect.stringMatching(/^example 1 of migrateUp: .*: migrateUp\(\{ directory: 1 \}\);$/),
    ]);
  });
});

test('a docstring that lacks something is found', { timeout: 60_000 }, async ({ project }) => {
  await project.write(
    'made.ts',
    `export interface MadeOptions { size?: number }
     /** Makes. @throws {EvdbError} as \`makeInside\` */
     export function make(options: MadeOptions): void {}
     export class Maker { #inside = 1;
     /** How often. */ count(): number { return this.#inside; } }
     /** Waits. */
     export async function wait(): Promise<void> {}`,
  );
  const path = join(project.dir, 'made.ts');
  const api = readApi([
    { name: 'one', path },
    { name: 'two', path },
  ]);
  expect(findProblems(api.slice(0, 1))).toEqual([
    'Maker of one has no docstring',
    'Maker of one has no example',
    'make of one has no example',
    'make of one throws what makeInside does, which is not public',
    'wait of one has no example',
    'wait of one does not say what it throws',
    'MadeOptions of one has no docstring',
    'MadeOptions of one does not say what happens without size',
  ]);
  expect(findProblems(api)).toContain('make is exported by one and two');
  expect(api[0]?.names[0]?.code).toBe('class Maker {\n  /** How often. */\n  count(): number;\n}');
});
