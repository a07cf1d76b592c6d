import { execFileSync, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { createProject } from '../support/project.ts';
import { scrubEnvironment } from '../support/run-cli.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

// Not the packed package, which the other tests of the command line run: packing takes its time.
beforeAll(() => {
  execFileSync(process.execPath, [`${root}scripts/build.mjs`, '--if-stale', '--no-check']);
}, 60_000);

test('makes, judges and validates migrations in an empty folder', async () => {
  const project = await createProject();
  onTestFinished(() => project.remove());
  const evdb = (line: string) => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [`${root}bin/evdb.js`, ...line.split(' ')],
      { cwd: project.dir, env: scrubEnvironment(process.env), encoding: 'utf8', timeout: 50_000 },
    );
    return { code: status, stdout, stderr };
  };
  expect(evdb('--version')).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+/) });
  expect(evdb('init --empty').code).toBe(0);
  expect(evdb('migrate create people --sequential --irreversible').stdout).toBe(
    'created  migrations/001_people.sql\n',
  );
  await project.write(
    'migrations/001_people.sql',
    'create table people (id bigint primary key);\n',
  );
  expect(evdb('migrate validate')).toMatchObject({ code: 0 });
  await project.write('migrations/002_drop.sql', 'drop table people\n');
  const { code, stdout } = evdb('lint --json');
  expect({ code, ...JSON.parse(stdout) }).toMatchObject({ code: 3, command: 'lint', ok: false });
  const validated = evdb('migrate validate');
  expect(validated.stdout).toContain('error destructive-change  migrations/002_drop.sql:1:1');
  expect(validated.code).toBe(3);
}, 60_000);
