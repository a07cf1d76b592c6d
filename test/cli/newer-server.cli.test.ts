import { describe, expect } from 'vitest';
import { test as base } from '../support/fixture.ts';
import {
  NEWER_MAJOR,
  NEWER_STATEMENT,
  NEWER_TABLE,
  type NewerServer,
  startNewerServer,
} from '../support/newer-server.ts';
import { runCli } from '../support/run-cli.ts';
import { parseJson } from './expectations.ts';

const test = base.extend<{ $test: { newer: NewerServer } }>({
  newer: async ({ emptyDb }, use) => {
    const server = await startNewerServer(emptyDb.url);
    await use(server);
    await server.close();
  },
});

const UP = `create table known (id int primary key);\n${NEWER_STATEMENT};\nalter table known add column a int;`;
const DOWN = `drop table known;\ndrop table ${NEWER_TABLE};`;

describe('a server that is newer than the grammar', () => {
  test('takes a statement that the grammar does not know, by every command', async ({
    project,
    newer,
    emptyDb,
  }) => {
    await project.migration('001_graph', UP, DOWN);
    await project.migration(
      '002_alone',
      '-- evdb: no-transaction\ncreate table alone (id int);\nvacuum known;',
      'drop table alone;',
    );
    const run = (...args: string[]) =>
      runCli(args, { cwd: project.dir, env: { EVDB_URL: newer.url } });

    expect((await run('db', 'ping')).stdout).toContain(`PostgreSQL ${NEWER_MAJOR}.`);

    const validated = await run('migrate', 'validate');
    expect(validated.stdout).toContain('001_graph.sql:2:8');
    expect(validated.stdout).toMatch(/warning/);
    expect(validated).toMatchObject({ code: 0, stderr: '' });

    const plan = await run('migrate', 'plan', '--verbose');
    expect(plan.stdout).toContain(NEWER_STATEMENT);
    expect(plan.stdout).toContain('its grammar is not known here');
    expect(plan).toMatchObject({ code: 0 });
    expect(await run('migrate', 'plan', '--trace')).toMatchObject({ code: 0 });

    const up = await run('migrate', 'up');
    expect(up).toMatchObject({ code: 0 });
    expect(up.stderr).toContain("PostgreSQL 18's grammar");
    const [row] = await emptyDb.sql`select to_regclass('made_by_newer') is not null as is_there`;
    expect(row).toEqual({ is_there: true });

    expect(await run('migrate', 'status', '--check', '--drift')).toMatchObject({ code: 0 });
    const dump = await run('schema', 'dump');
    expect(dump.stdout).toContain('create table public.known');
    expect(dump).toMatchObject({ code: 0 });
    expect(await run('doctor', '--only', 'indexes,tables')).toMatchObject({ code: 0 });
    expect(await run('stats', 'tables')).toMatchObject({ code: 0 });
    expect(await run('migrate', 'down', '--steps', '2', '--confirm')).toMatchObject({ code: 0 });
  });

  test('refuses what it does not know either, before anything runs', async ({ project, newer }) => {
    await project.migration('001_wrong', 'create table known (id int);\ncreate tabel wrong ();');
    const env = { EVDB_URL: newer.url };
    for (const command of ['up', 'plan', 'validate']) {
      const { code, stdout, stderr } = await runCli(['migrate', command], {
        cwd: project.dir,
        env,
      });
      expect(stdout + stderr).toContain('001_wrong.sql:2:8');
      expect(code).toBe(command === 'validate' ? 3 : 1);
    }
  });
});

describe('without a database', () => {
  for (const command of [['lint'], ['migrate', 'validate']]) {
    test(`${command.join(' ')} says that the grammar does not know it`, async ({ project }) => {
      await project.migration('001_graph', UP, DOWN);
      const { code, stdout } = await runCli(command, { cwd: project.dir });
      expect(stdout).toContain("unknown to PostgreSQL 18's grammar");
      expect(code).toBe(3);
    });

    test(`${command.join(' ')} warns where the config asks for a newer version`, async ({
      project,
    }) => {
      await project.migration('001_graph', UP, DOWN);
      await project.write('evdb.config.json', '{ "lint": { "serverVersion": 19 } }');
      const result = await runCli([...command, '--json'], { cwd: project.dir });
      const { findings } = parseJson(result);
      expect(
        (findings as { severity: string; message: string }[]).filter(({ message }) =>
          message.includes('syntax error'),
        ),
      ).toMatchObject([{ severity: 'warning' }]);
      expect(result.code).toBe(0);
    });
  }
});
