import { expect } from 'vitest';
import { test } from '../support/fixture.ts';
import { runCli } from '../support/run-cli.ts';

async function lintText(
  project: { dir: string; migration(name: string, up: string): Promise<string> },
  text: string,
) {
  await project.migration('001_a', text);
  return runCli(['lint'], { cwd: project.dir });
}

test('lets a comment with a reason stand for a finding, and counts it', async ({ project }) => {
  const text = 'select 1;\n-- evdb: ignore concurrently-in-tx: tried by hand\nvacuum;\n';
  const { code, stdout } = await lintText(project, text);
  expect(stdout).toBe('1 file linted: no problems (1 ignored, with a reason)\n');
  expect(code).toBe(0);
  const json = await runCli(['lint', '--json'], { cwd: project.dir });
  expect(JSON.parse(json.stdout).suppressed).toMatchObject([
    { code: 'concurrently-in-tx', location: { line: 3 }, reason: 'tried by hand' },
  ]);
});

test('wants a reason, a rule that is there, and a finding', async ({ project }) => {
  const text = `select 1;
-- evdb: ignore concurrently-in-tx
vacuum;
-- evdb: ignore concurrent-in-tx: no such rule
select 2;
select 3; -- evdb: ignore concurrently-in-tx: nothing to ignore
-- evdb: no-transaction
`;
  const { code, stdout } = await lintText(project, text);
  const directives = stdout.split('\n').filter((line) => line.startsWith('error directive'));
  expect(directives).toEqual([
    'error directive  migrations/001_a.sql:2:1: "ignore" needs a rule and a reason',
    'error directive  migrations/001_a.sql:4:1: there is no rule "concurrent-in-tx"',
    'error directive  migrations/001_a.sql:6:11: "ignore concurrently-in-tx" is not needed: the rule finds nothing in the statement that it is for',
    'error directive  migrations/001_a.sql:7:1: "no-transaction" has no effect here: evdb reads it before the first statement',
  ]);
  expect(stdout).toContain('hint: Did you mean "concurrently-in-tx"?');
  expect(code).toBe(3);
});

test('does not miss a suppression of a rule that is off', async ({ project }) => {
  await project.write('evdb.config.json', '{ "lint": { "groups": { "tx": "off" } } }');
  const { code } = await lintText(project, '-- evdb: ignore concurrently-in-tx: why not\nvacuum;');
  expect(code).toBe(0);
});
