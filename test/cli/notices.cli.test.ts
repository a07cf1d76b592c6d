import { expect } from 'vitest';
import { test } from '../support/fixture.ts';
import { runCli } from '../support/run-cli.ts';

const SAYING = `do $$ begin
  raise notice 'a note';
  raise warning E'skipped 12 rows\\n::error::\\x1b[2J' using detail = 'of 20', hint = 'look at them';
end $$;
drop table if exists nothing;
`;

for (const header of ['', '-- evdb: no-transaction\n']) {
  test(`tells warnings of the server with their place, and notices with --verbose${header && ', without a transaction'}`, async ({
    project,
    emptyDb,
  }) => {
    await project.migration('001_a', `${header}create table a ();\n${SAYING}`, 'drop table a;\n');
    const options = { cwd: project.dir, env: { EVDB_URL: emptyDb.url } };
    const { code, stderr, stdout } = await runCli(['migrate', 'up', '--json'], options);
    const line = header ? 3 : 2;
    const warning = `warning  migrations/001_a.sql:${line}  skipped 12 rows␊::error::␛[2J
  detail: of 20
  hint: look at them
`;
    expect({ code, stderr }).toEqual({ code: 0, stderr: warning });
    expect(JSON.parse(stdout)).toMatchObject({ ok: true });
    expect(await runCli(['migrate', 'down'], options)).toMatchObject({ code: 0, stderr: '' });
    const verbose = await runCli(['migrate', 'up', '--verbose'], options);
    expect(verbose.stderr).toContain(warning);
    expect(verbose.stderr).toContain(`notice  migrations/001_a.sql:${line}  a note\n`);
    expect(verbose.stderr).toContain(
      `notice  migrations/001_a.sql:${line + 4}  table "nothing" does not exist, skipping\n`,
    );
  });
}

test('tells twenty warnings of a file, and of each file its own', async ({ project, emptyDb }) => {
  const loop = "do $$ begin for i in 1..30 loop raise warning 'number %', i; end loop; end $$;\n";
  await project.migration('001_a', loop, 'select 1;\n');
  await project.migration('002_b', "do $$ begin raise warning 'of b'; end $$;\n", 'select 1;\n');
  const options = { cwd: project.dir, env: { EVDB_URL: emptyDb.url } };
  const { stderr } = await runCli(['migrate', 'up'], options);
  const lines = stderr.trimEnd().split('\n');
  expect(lines).toHaveLength(22);
  expect(lines[19]).toBe('warning  migrations/001_a.sql:1  number 20');
  expect(lines[20]).toContain('what else the server says of this file is not shown');
  expect(lines[21]).toBe('warning  migrations/002_b.sql:1  of b');
});
