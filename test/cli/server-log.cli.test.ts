import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect } from 'vitest';
import { logPathOf } from '../../src/embedded/launch.ts';
import { closeSql, openSql, withDatabase } from '../support/databases.ts';
import { test } from '../support/fixture.ts';
import { type SpecialServer, specialServers, whyNoOwnServer } from '../support/own-server.ts';
import { runCli } from '../support/run-cli.ts';

// Whoever runs a server has alerts on its log: evdb asks before it reads what may not be there, and ends
// what it began. What a migration does wrong is another matter.

const servers = specialServers();
let server: SpecialServer;
beforeAll(async () => {
  if (whyNoOwnServer() === undefined) server = await servers.start({ jit: 'off' });
});
afterAll(() => servers.remove());

const UNUSUAL = /\b(?:WARNING|ERROR|FATAL|PANIC): .*/g;

async function readLog(): Promise<string> {
  return readFile(logPathOf(server.directory), 'utf8');
}

const COMMANDS = [
  'migrate status',
  'migrate plan --trace',
  'migrate up',
  'migrate up --lock lease',
  'migrate validate --shadow',
  'migrate down',
  'migrate repair',
  'migrate reset --confirm',
  'backfill status',
  'doctor',
  'report --out report.html',
  'schema diff',
  'schema dump --file structure.sql',
  'stats indexes',
  'stats advise',
  'stats snapshot',
  'stats diff --since 1h',
  'events list',
  'audit cleanup --days 90',
  'rules check',
];

test.for(COMMANDS)(
  'leaves no warning and no error in the log of the server: %s',
  async (line, { project, skip }) => {
    const reason = whyNoOwnServer();
    skip(reason !== undefined, reason);
    await project.migration('001_users', 'create table users (id int);', 'drop table users;');
    const words = line.split(' ');
    const name = `log_${line.replaceAll(/\W+/g, '_')}`;
    const admin = openSql(server.url, 1);
    await admin.unsafe(`create database ${name}`);
    await closeSql(admin);
    const options = { cwd: project.dir, env: { EVDB_URL: withDatabase(server.url, name) } };
    const before = (await readLog()).length;
    // Once where evdb was never, and once where it has a ledger.
    for (const command of [words, ['migrate', 'up'], words]) {
      await runCli(command, options);
      expect({ command, said: (await readLog()).slice(before).match(UNUSUAL) }).toEqual({
        command,
        said: null,
      });
    }
  },
);

test('leaves no warning in the log of the server where it goes through a fleet', async ({
  project,
  skip,
}) => {
  const reason = whyNoOwnServer();
  skip(reason !== undefined, reason);
  await project.migration('001_users', 'create table users (id int);', 'drop table users;');
  const fleets = { all: { members: ['a', 'b', 'c', 'd'].map((schema) => ({ schema })) } };
  await project.write('evdb.config.json', JSON.stringify({ fleets }));
  const options = { cwd: project.dir, env: { EVDB_URL: server.url } };
  const before = (await readLog()).length;
  const up = await runCli(['migrate', 'up', '--fleet', 'all', '--concurrency', '2'], options);
  expect(up, up.stderr).toMatchObject({ code: 0 });
  expect((await readLog()).slice(before).match(UNUSUAL)).toBeNull();
});
