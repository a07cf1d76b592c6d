import { expect, it } from 'vitest';
import { type ResolveConfigInput, resolveConfig } from '../../src/config/resolve.ts';
import { useConfigProject } from './config-kit.ts';

const project = useConfigProject();

const resolve = (input: ResolveConfigInput = {}) =>
  resolveConfig({ env: {}, cwd: project.dir, ...input });

const FILE = JSON.stringify({
  variables: { a: 'file', b: 'file', c: 'file', d: 'file', e: 'file', unset: null, empty: '' },
  environments: { prod: { variables: { a: 'prod', b: 'prod', c: 'prod', d: 'prod' } } },
});

it('takes each variable from the first source that has it', async () => {
  project.write('evdb.config.json', FILE);
  project.write('.env', 'EVDB_VAR_A=dotenv\nEVDB_VAR_B=dotenv\nEVDB_VAR_C=dotenv\n');
  const { variables, entries } = await resolve({
    flags: { env: 'prod', variables: { a: 'flag', f: '= :"x" ' } },
    env: { EVDB_VAR_A: 'environment', EVDB_VAR_B: 'environment', EVDB_VAR_E: '' },
  });
  expect(variables).toEqual({
    ...{ a: 'flag', b: 'environment', c: 'dotenv', d: 'prod', e: 'file', f: '= :"x" ' },
  });
  expect(
    entries.filter(({ key }) => key.startsWith('variables.')).map((one) => one.source),
  ).toEqual([
    'flag --set',
    'environment EVDB_VAR_B',
    '.env EVDB_VAR_C',
    'evdb.config.json environments.prod',
    'evdb.config.json',
    'flag --set',
  ]);
});

it.each([
  ['[]', '"variables" must be an object with a text for each variable'],
  ['{ "a": 1 }', '"variables" must be an object with a text for each variable, and "a" is none'],
  [
    '{ "App": "x" }',
    '"variables" must be an object whose names are lower case letters, digits and "_", not "App"',
  ],
])('refuses %s in a config file', async (value, problem) => {
  project.write('evdb.config.json', `{ "variables": ${value} }`);
  await expect(resolve()).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining(problem),
  });
});

it.each([
  [{ App: 'x' }, 'flag --set: "App" cannot be the name of a variable'],
  [{ app: '' }, 'flag --set: "app" has no value'],
])('refuses %j on the command line', async (variables, message) => {
  await expect(resolve({ flags: { variables } })).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message,
  });
});
