import { hash } from 'node:crypto';
import { join } from 'node:path';
import { beforeAll, describe, expect } from 'vitest';
import { migrateUp } from '../../src/index.ts';
import { fetchNpmTool, run } from '../support/npm-tool.ts';
import { type AdoptStage, test } from './adopt-kit.ts';

let program = '';
beforeAll(async () => {
  const modules = await fetchNpmTool('graphile-migrate', ['graphile-migrate@1.4.1', 'pg@8.23.1']);
  program = join(modules, 'graphile-migrate/dist/cli.js');
}, 120_000);

/** The tool verifies the hashes itself, so only right ones get past it. */
async function graphileMigrate({ dir, url, write }: AdoptStage, code = 0): Promise<string> {
  await write('.gmrc', '{ "placeholders": { ":APP_USER": "postgres" } }\n');
  const env = { ...process.env, DATABASE_URL: url };
  const result = await run(process.execPath, [program, 'migrate'], { cwd: dir, env });
  expect(result).toMatchObject({ code });
  return result.output;
}

/** Writes committed files as `graphile-migrate commit` does. */
async function commit(
  { write }: AdoptStage,
  migrations: { name: string; body: string; headers?: string }[],
): Promise<void> {
  let previous = '';
  for (const { name, body, headers = '' } of migrations) {
    const text = `${`${previous}\n${body.trim()}`.trim()}\n`;
    const own = `sha1:${hash('sha1', text, 'hex')}`;
    const head = `--! Previous: ${previous || '-'}\n--! Hash: ${own}\n${headers}`;
    await write(`migrations/committed/${name}.sql`, `${head}\n${body.trim()}\n`);
    previous = own;
  }
}

const TWO = [
  { name: '000001', body: 'create table a (id integer);', headers: '--! Message: first table\n' },
  {
    name: '000002-an-index',
    body: '--! no-transaction\ncreate index concurrently a_id on a (id);',
  },
];

async function applyTwo(adoption: AdoptStage): Promise<void> {
  await commit(adoption, TWO);
  await graphileMigrate(adoption);
}

test('takes over the chain, verified, with times', async ({ adoption }) => {
  await applyTwo(adoption);
  const before = await adoption.contents();
  const { adopted, table, findings } = await adoption.adopt('graphile-migrate');
  expect(table).toBe('graphile_migrate.migrations');
  expect(adopted).toMatchObject([
    { label: '000001', name: 'first_table', key: '000001.sql', verifiedBy: 'checksum' },
    { label: '000002', name: 'an-index', key: '000002.sql', verifiedBy: 'checksum' },
  ]);
  expect(adopted.every(({ appliedAt }) => appliedAt !== null)).toBe(true);
  expect(findings).toEqual([]);
  expect(await adoption.files()).toEqual({
    '000001_first_table.sql': 'create table a (id integer);\n',
    '000002_an-index.sql': '-- evdb: no-transaction\ncreate index concurrently a_id on a (id);\n',
  });
  expect(await adoption.contents()).toEqual(before);
  expect(await migrateUp(adoption.options)).toMatchObject({ steps: [] });
});

test('takes what is committed and not applied as pending, and tells of current.sql', async ({
  adoption,
}) => {
  await applyTwo(adoption);
  await commit(adoption, [...TWO, { name: '000003', body: 'create table c ();' }]);
  await adoption.write('migrations/current.sql', '-- Enter migration here\n');
  const { pending, findings } = await adoption.adopt('graphile-migrate');
  expect(pending).toMatchObject([{ label: '000003', name: 'graphile-migrate' }]);
  expect(findings).toEqual([]);
  await adoption.write('migrations/current.sql', 'create table current_work ();\n');
  expect((await adoption.adopt('graphile-migrate')).findings).toMatchObject([
    { severity: 'warning', location: { file: join('migrations', 'current.sql') } },
  ]);
});

describe('refuses', () => {
  test('a file that was edited, as the tool itself does', async ({ adoption }) => {
    await applyTwo(adoption);
    const text = 'create table a (id bigint);';
    const [first] = TWO;
    const original = `--! Previous: -\n--! Hash: sha1:${hash('sha1', `${first?.body}\n`, 'hex')}\n`;
    await adoption.write('migrations/committed/000001.sql', `${original}\n${text}\n`);
    await expect(adoption.adopt('graphile-migrate')).rejects.toMatchObject({
      code: 'ADOPTION_REFUSED',
      details: {
        findings: [{ severity: 'error', message: expect.stringMatching(/^its hash is/) }],
      },
    });
  });

  test('a chain that lacks a link', async ({ adoption }) => {
    await commit(adoption, TWO);
    await graphileMigrate(adoption);
    await commit(adoption, [{ name: '000001', body: 'create table other ();' }]);
    await expect(adoption.adopt('graphile-migrate')).rejects.toMatchObject({
      details: {
        findings: expect.arrayContaining([
          expect.objectContaining({ message: expect.stringMatching(/^it follows sha1:/) }),
          expect.objectContaining({
            message: expect.stringContaining('it is not what graphile-migrate applied'),
          }),
        ]),
      },
    });
  });

  test('placeholders, and no formats or casts that look like them', async ({ adoption }) => {
    const body = "select to_char(now(), 'HH24:MI:SS')::TEXT;";
    await commit(adoption, [
      { name: '000001', body },
      { name: '000002', body: 'create schema s authorization :APP_USER;' },
    ]);
    await graphileMigrate(adoption);
    await expect(adoption.adopt('graphile-migrate')).rejects.toMatchObject({
      details: {
        findings: [
          {
            message: expect.stringMatching(/^it may use the placeholder :APP_USER; .* :"app_user"/),
          },
        ],
      },
    });
    await adoption.write('db/evdb/000002_schema.sql', 'create schema s;');
    const { adopted } = await adoption.adopt('graphile-migrate');
    expect(adopted).toMatchObject([{ verifiedBy: 'checksum' }, { name: 'schema' }]);
  });
});

test('takes a hash that the author allowed to be wrong', async ({ adoption }) => {
  await commit(adoption, TWO.slice(0, 1));
  const [first] = TWO;
  const own = hash('sha1', `${first?.body}\n`, 'hex');
  const head = `--! Previous: -\n--! Hash: sha1:${own}\n--! AllowInvalidHash\n`;
  await adoption.write('migrations/committed/000001.sql', `${head}\ncreate table b ();\n`);
  await graphileMigrate(adoption);
  expect(await adoption.adopt('graphile-migrate')).toMatchObject({ adopted: [{}], findings: [] });
});
