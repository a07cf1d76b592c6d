import { describe, expect, it } from 'vitest';
import { findJsonError } from '../../src/config/json-place.ts';
import type { EvdbError } from '../../src/errors.ts';
import { useConfigProject } from './config-kit.ts';

const project = useConfigProject();
const { write, resolve } = project;

async function failure(): Promise<EvdbError> {
  const error = await resolve({}).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: 'CONFIG_INVALID' });
  return error as EvdbError;
}

describe('a config file that is written wrongly', () => {
  it.each([
    ['evdb.config.json', '{\n  "schema": "a",\n  "url": "s3cret",\n}\n', '4:1'],
    ['evdb.config.json', '{\n  schema: "s3cret"\n}\n', '2:3'],
    ['package.json', '{\n  "evdb": { "schema": "s3cret" "x" }\n}\n', '2:32'],
    ['evdb.config.yaml', 'schema: a\n  url: s3cret\n', '2:6'],
    ['.evdbrc', '{ "schema": "a",\n  "url": s3cret" ]\n', '2:18'],
  ])('is named with line and column, and not quoted: %s', async (name, text, place) => {
    const path = write(name, text);
    const { message, hint } = await failure();
    expect(message).toContain(`${path}:${place} `);
    expect(message + hint).not.toContain('s3cret');
  });

  it('says what to do where it imports what is not installed', async () => {
    write('evdb.config.mjs', 'import { a } from "no-such-package";\nexport default { a };\n');
    expect((await failure()).hint).toContain('Install');
  });
});

describe('the place of a mistake in JSON', () => {
  it.each([
    ['', '1:1'],
    ['  ', '1:3'],
    ['{', '1:2'],
    ['{ "a": 1, }', '1:11'],
    ['{ "a" 1 }', '1:7'],
    ['{ "a": 01 }', '1:8'],
    ['{ "a": .5 }', '1:8'],
    ['{ "a": nul }', '1:8'],
    ['{ "a": "b\nc" }', '1:8'],
    ['{ "a": "\\x" }', '1:8'],
    ['{ "a": [1, 2 }', '1:14'],
    ['{ "a": 1 ]', '1:10'],
    ['[1,]', '1:4'],
    ['[1 2]', '1:4'],
    ['{} {}', '1:4'],
    ['{ // no\n}', '1:3'],
    ['{\r\n\t"a": \'b\'\r\n}', '2:7'],
    ["{ 'a': 1 }", '1:3'],
    ['{ "a": [{}, []], "b": -1.5e+3, "c": [true, null] "d" }', '1:50'],
  ])('is found in %j', (text, place) => {
    expect(() => JSON.parse(text)).toThrow();
    const { line, column } = findJsonError(text);
    expect(`${line}:${column}`).toBe(place);
  });

  it('is behind all that can be JSON', () => {
    const text = '{ "a": [1, -2.5e3, "x\\u00e4\\"\u0080"], "b": { "c": null }, "": [] }';
    expect(JSON.parse(text)).toBeDefined();
    expect(findJsonError(text)).toEqual({ line: 1, column: text.length + 1 });
    for (let length = 0; length < text.length; length++) {
      const cut = text.slice(0, length);
      expect(() => JSON.parse(cut)).toThrow();
      // Nothing in front of the cut is wrong but a token that the cut goes through.
      const { column } = findJsonError(cut);
      expect(text.slice(column - 1, length)).toMatch(/^("[^"]*|"x\\u00e4\\.*|[-\w.]*)$/);
    }
  });
});

describe('a .env that is written wrongly', () => {
  it.each([
    ['A=1\nEVDB_URL postgres://a:s3cret@h/d\n', '2:9', 'has no "="'],
    ['EVDB_URL: postgres://a:s3cret@h/d?x=1\n', '1:9', 'has no "="'],
    ['export DB_HOST localhost\n', '1:15', 'has no "="'],
    ['A="x\ny"\nDB_PASSWORD="s3cret\nDB_HOST=h\n', '3:13', 'a quote that is not closed'],
    ["PGPASSWORD='s3cret", '1:12', 'a quote that is not closed'],
    ['DB_PASSWORD="\n', '1:13', 'a quote that is not closed'],
    ['D\0B\0', '1:2', 'is not UTF-8'],
  ])('is refused with line and column: %j', async (text, place, what) => {
    const path = write('.env', text);
    const { message, hint } = await failure();
    expect(message).toContain(`${path}:${place} `);
    expect(message).toContain(what);
    expect(message + hint).not.toContain('s3cret');
  });

  it.each([
    ['what is meant for other tools', 'SOME thing\nOTHER="open\nEVDB_SCHEMA=app\n'],
    ['a name alone, as Docker and shells have it', 'EVDB_URL\nexport DB_HOST\nEVDB_SCHEMA=app\n'],
    ['a comment', '# EVDB_URL postgres://\nDB_HOST # none\nEVDB_SCHEMA=app # EVDB_URL x\n'],
    ['lines inside of quotes', 'NOTE="\nEVDB_URL is not here\n"\nEVDB_SCHEMA="app"\n'],
    ['quotes inside of a value', "DB_NAME=it's\nEVDB_SCHEMA=app\n"],
    ['quotes of three kinds', 'DB_NAME=`a"b`\nDB_USER="a\'b"\nEVDB_SCHEMA=\'app\'\n'],
  ])('is not %s', async (_, text) => {
    write('.env', text);
    expect((await resolve({})).schema).toBe('app');
  });
});
