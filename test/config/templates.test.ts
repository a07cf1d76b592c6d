import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { useConfigProject } from './config-kit.ts';

const root = join(import.meta.dirname, '../..');
const project = useConfigProject();
const { resolve, write } = project;

/** The template with every commented setting switched on. */
function uncomment(text: string, setting: RegExp): string {
  return text.replace(setting, '$1');
}

it('ships a config file that is valid as it is and changes no default', async () => {
  const path = write(
    'evdb.config.js',
    readFileSync(join(root, 'templates/evdb.config.js'), 'utf8'),
  );
  const { configFile, entries: withFile, ...config } = await resolve({});
  expect(configFile).toBe(path);
  expect(withFile.length).toBeGreaterThan(0);
  rmSync(path);
  const { entries: withoutFile, ...defaults } = await resolve({});
  expect(config).toEqual(defaults);
  expect(withoutFile).toHaveLength(withFile.length);
});

it.each(['json', 'yaml'])('ships a config file in %s that says the same', async (format) => {
  const read = (from: string) => readFileSync(join(root, 'templates', from), 'utf8');
  const js = write('evdb.config.mjs', read('evdb.config.js'));
  const {
    configFile: _,
    entries: __,
    ...expected
  } = await resolve({ flags: { env: 'production' } });
  rmSync(js);
  write(`evdb.config.${format}`, read(`evdb.config.${format}`));
  const { configFile, entries, ...config } = await resolve({ flags: { env: 'production' } });
  expect(configFile).toContain(format);
  expect(config).toEqual(expected);
  expect(entries.length).toBeGreaterThan(0);
});

it('ships a config file whose commented settings are valid too, and that names all of them', async () => {
  const template = readFileSync(join(root, 'templates/evdb.config.js'), 'utf8');
  write('evdb.config.js', uncomment(template, /^( {2})\/\/ (?=\w+: )/gm));
  const config = await resolve({ flags: { env: 'production' } });
  expect(config).toMatchObject({
    isProtected: true,
    connection: { kind: 'server' },
    migrationConnection: { kind: 'server' },
    warnings: [],
  });
  const fromElsewhere = config.entries.filter(
    ({ key, source }) => !key.includes('.') && !source.startsWith('evdb.config.js'),
  );
  expect(fromElsewhere.map(({ key }) => key)).toEqual(['environment']);
});

it('ships a .env whose variables all count, the same for a project as for this one', async () => {
  const template = readFileSync(join(root, 'templates/env.example'), 'utf8');
  expect(readFileSync(join(root, '.env.example'), 'utf8')).toBe(template);
  write('.env', template);
  const { connection, warnings } = await resolve({});
  expect(warnings).toEqual([]);
  expect(connection).toMatchObject({
    options: {
      hosts: [{ host: 'localhost', port: 5432 }],
      database: 'events',
      user: 'app',
      password: 'change-me',
      sslMode: 'disable',
    },
  });
});

it('names in .env a variable for every setting', async () => {
  const template = readFileSync(join(root, 'templates/env.example'), 'utf8');
  const text = uncomment(template, /^()# (?=(?:EVDB|DATABASE)_\w+=)/gm);
  write('.env', text.replace('EVDB_URL=embedded:', ''));
  write('evdb.config.json', '{ "environments": { "production": {} } }');
  const config = await resolve({});
  const fromElsewhere = config.entries.filter(
    ({ key, source }) => !key.includes('.') && !source.startsWith('.env '),
  );
  expect(fromElsewhere.map(({ key }) => key)).toEqual(['projectDir', 'configFile']);
});
