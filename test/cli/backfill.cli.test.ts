import { expect } from 'vitest';
import { test } from '../support/fixture.ts';
import { checkJsonOutput } from '../support/json-schemas.ts';
import { runCli } from '../support/run-cli.ts';

const TABLE = `create table events (id int primary key, n int not null default 0);
insert into events select i from generate_series(1, 10) i;
`;
const BACKFILL = '-- evdb: backfill events\nupdate events set n = n + 1;\n';

test('tells of a backfill as lines of JSON on stderr', async ({ project, emptyDb }) => {
  await project.migration('001_events', TABLE, 'drop table events;\n');
  await project.migration('002_count', BACKFILL, 'select 1;\n');
  const options = { cwd: project.dir, env: { EVDB_URL: emptyDb.url } };
  const up = await runCli(
    ['migrate', 'up', '--progress', 'json', '--max-rate', '5', '--json'],
    options,
  );
  expect(up.code).toBe(0);
  const lines = up.stderr
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { command: string; kind: string });
  expect(lines.flatMap((line) => checkJsonOutput(line, 'progress'))).toEqual([]);
  expect(lines.map(({ kind }) => kind)).toEqual([
    ...['step-started', 'statement', 'statement', 'step-done'],
    ...['step-started', 'backfill', 'backfill', 'step-done'],
  ]);
  expect(lines[6]).toMatchObject({
    ...{ command: 'migrate up', step: { label: '002' } },
    ...{ batches: 2, rowsWalked: 10, rowsChanged: 10 },
  });
});

test('leaves a backfill for later, says so, and runs it when asked', async ({
  project,
  emptyDb,
}) => {
  await project.migration('001_events', TABLE, 'drop table events;\n');
  await project.migration('002_count', BACKFILL, 'select 1;\n');
  await project.migration('003_tags', 'create table tags ();\n', 'drop table tags;\n');
  await project.migration('004_n', '-- evdb: contract\nselect 1;\n', 'select 1;\n');
  const options = { cwd: project.dir, env: { EVDB_URL: emptyDb.url } };
  const up = await runCli(['migrate', 'up', '--no-wait'], options);
  expect(up).toMatchObject({ code: 0, stderr: '' });
  expect(up.stdout).toContain(`(schema public), 2 still pending
left for later: 002_count; \`evdb backfill run\` runs it
stopped before 004_n, which may need a backfill
  it waits for: after backfill 002
`);
  const run = await runCli(['backfill', 'run', '002', '--json'], options);
  expect(checkJsonOutput(JSON.parse(run.stdout))).toEqual([]);
  expect(JSON.parse(run.stdout)).toMatchObject({ command: 'backfill run', ok: true });
  expect(await runCli(['backfill', 'run'], options)).toMatchObject({
    code: 0,
    stdout: 'no backfill is half way\n',
  });
});
