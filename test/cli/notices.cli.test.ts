import { expect } from 'vitest';
import type { MigrationResult } from '../../src/index.ts';
import { test } from '../support/fixture.ts';
import { runCli } from '../support/run-cli.ts';
import { parseJson } from './cli-kit.ts';

const SAYING = `do $$ begin
  raise notice 'a note';
  raise warning E'skipped 12 rows\\n::error::\\x1b[2J' using detail = 'of 20', hint = 'password ''hidden''';
end $$;
  drop table if exists nothing;
create table if not exists a ();
`;

for (const header of ['', '-- evdb: no-transaction\n']) {
  test(`tells what the server says, with level and place${header && ', without a transaction'}`, async ({
    project,
    emptyDb,
  }) => {
    await project.migration(
      '001_a',
      `${header}create table a ();\n${SAYING}`,
      `${header}drop table if exists nothing;\ndrop table a;\n`,
    );
    const options = { cwd: project.dir, env: { EVDB_URL: emptyDb.url } };
    const up = await runCli(['migrate', 'up', '--json'], options);
    const line = header ? 3 : 2;
    expect(up).toMatchObject({
      code: 0,
      stderr: `notice  migrations/001_a.sql:${line}:1  a note
warning  migrations/001_a.sql:${line}:1  skipped 12 rows
  | ::error::␛[2J
  detail: of 20
  hint: password '***'
notice  migrations/001_a.sql:${line + 4}:3  table "nothing" does not exist, skipping
notice  migrations/001_a.sql:${line + 5}:1  relation "a" already exists, skipping
`,
    });
    const { notices, noticesLeftOut } = JSON.parse(up.stdout) as MigrationResult;
    expect(noticesLeftOut).toBe(0);
    expect(notices).toHaveLength(4);
    expect(notices[1]).toEqual({
      ...{ direction: 'up', version: '1', label: '001', name: 'a' },
      location: { file: 'migrations/001_a.sql', line, column: 1 },
      ...{ severity: 'WARNING', sqlstate: '01000', detail: 'of 20', hint: "password '***'" },
      message: 'skipped 12 rows\n::error::\x1b[2J',
    });
    expect(await runCli(['migrate', 'down'], options)).toMatchObject({
      code: 0,
      stderr: `notice  migrations/001_a.down.sql:${header ? 2 : 1}:1  table "nothing" does not exist, skipping\n`,
    });
    expect((await runCli(['migrate', 'up', '--verbose'], options)).stderr).toContain('a note');
  });
}

test('tells fifty notices of a migration and all of its warnings, and how many more there were', async ({
  project,
  emptyDb,
}) => {
  const loop = `do $$ begin
    for i in 1..20000 loop raise notice 'number %', i; end loop;
    raise warning 'at last';
  end $$;\n`;
  await project.migration('001_a', loop, 'select 1;\n');
  await project.migration('002_b', "do $$ begin raise notice 'of b'; end $$;\n", 'select 1;\n');
  const options = { cwd: project.dir, env: { EVDB_URL: emptyDb.url } };
  const up = await runCli(['migrate', 'up', '--json'], options);
  const lines = up.stderr.trimEnd().split('\n');
  expect(lines).toHaveLength(53);
  expect(lines.slice(49)).toEqual([
    'notice  migrations/001_a.sql:1:1  number 50',
    'warning  migrations/001_a.sql:1:1  at last',
    '001_a: 19,950 more notices of the server are not shown',
    'notice  migrations/002_b.sql:1:1  of b',
  ]);
  const { notices, noticesLeftOut } = parseJson(up);
  expect({ notices, noticesLeftOut }).toMatchObject({
    notices: { length: 52 },
    noticesLeftOut: 19_950,
  });
});

test('tells of a failed run what the server said before, in JSON too', async ({
  project,
  emptyDb,
}) => {
  const text = "do $$ begin raise notice 'before'; end $$;\nselect 1 / 0;\n";
  await project.migration('001_a', text, 'select 1;\n');
  const options = { cwd: project.dir, env: { EVDB_URL: emptyDb.url } };
  const { code, stdout, stderr } = await runCli(['migrate', 'up', '--json'], options);
  expect(code).toBe(1);
  expect(stderr).toContain('notice  migrations/001_a.sql:1:1  before\n');
  expect(JSON.parse(stdout).error.details.notices).toMatchObject([{ message: 'before' }]);
});

test('tells nothing of what evdb itself makes the server say', async ({ project, emptyDb }) => {
  await emptyDb.sql.unsafe('create table left_over (id int); create view on_it as table left_over');
  await project.migration('001_a', 'create table a ();\n', 'drop table a;\n');
  const options = { cwd: project.dir, env: { EVDB_URL: emptyDb.url } };
  for (const args of [['up'], ['redo'], ['up', '--schema', 'b'], ['reset', '--confirm']]) {
    expect(await runCli(['migrate', ...args], options)).toMatchObject({ code: 0, stderr: '' });
  }
});

test('hides with --quiet what the server says, but not from JSON', async ({ project, emptyDb }) => {
  const text =
    "do $$ begin raise warning 'loud'; for i in 1..60 loop raise notice '%', i; end loop; end $$;\n";
  await project.migration('001_a', text, text);
  const options = { cwd: project.dir, env: { EVDB_URL: emptyDb.url } };
  expect(await runCli(['migrate', 'up', '--quiet'], options)).toMatchObject({
    code: 0,
    stderr: '',
  });
  const down = await runCli(['migrate', 'down', '-q', '--json'], options);
  expect(down).toMatchObject({ code: 0, stderr: '' });
  const { notices, noticesLeftOut } = parseJson(down);
  expect({ notices, noticesLeftOut }).toMatchObject({
    notices: { length: 51 },
    noticesLeftOut: 10,
  });
});
