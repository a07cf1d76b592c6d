import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { runCli } from '../support/run-cli.ts';
import { expectError, expectNoPassword, parseJson, test } from './cli-kit.ts';

test('prints a line for each topic, or writes all of them as a page', async ({ db, project }) => {
  const options = { cwd: project.dir, env: { EVDB_URL: db.url } };
  const text = await runCli(['report'], options);
  expect(text).toMatchObject({ code: 0, stderr: '' });
  for (const title of ['Findings', 'Migrations', 'Sizes', 'Indexes', 'Runways', 'Audit log'])
    expect(text.stdout).toMatch(new RegExp(`^${title}: \\S`, 'm'));
  expect(text.stdout).toContain('evdb report --out report.html');

  const written = await runCli(['report', '--out', 'pages/report.html'], options);
  expect(written.stdout).toMatch(/^wrote {2}pages\/report\.html {2}\d+ kB$/m);
  const page = await readFile(join(project.dir, 'pages/report.html'), 'utf8');
  expect(page).toMatch(/^<!doctype html>/);
  expect(page).not.toMatch(/(?:src|href)="(?!#|data:,)/);
  expectNoPassword({ ...written, stdout: written.stdout + page });
});

test('refuses to write its page into a file of another kind', async ({ project }) => {
  const result = await runCli(['report', '--out', 'pages/report.pdf'], { cwd: project.dir });
  expectError(result, 'USAGE', 2);
  expect(result.stderr).toContain('--out report.html');
});

test('gives programs the same numbers', async ({ db, project }) => {
  const options = { cwd: project.dir, env: { EVDB_URL: db.url } };
  const data = parseJson(await runCli(['report', '--json', '--audit-days', '30'], options));
  const [counted] = await db.sql`select count(*)::int as tables from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relispartition`;
  expect(data).toMatchObject({
    ...{ command: 'report', ok: true, file: null },
    sizes: { state: 'known', data: { tables: expect.any(Array) } },
    audit: { state: 'known', data: { retentionDays: 30 } },
  });
  const { sizes } = data as unknown as { sizes: { data: { tables: object[] } } };
  expect(sizes.data.tables).toHaveLength(counted?.tables);
});

test('says what a role may not see, and refuses a file that cannot be written', async ({
  role,
  project,
}) => {
  const options = { cwd: project.dir, env: { EVDB_URL: role.url } };
  const { code, stdout } = await runCli(['report'], options);
  expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining('unknown') });
  await project.migration('001_a', 'select 1;');
  const refused = await runCli(['report', '--out', 'package.json/report.html'], options);
  expectError(refused, 'FILE_UNREADABLE', 1);
});
