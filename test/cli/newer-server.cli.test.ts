import { connect, createServer, type Socket } from 'node:net';
import { describe, expect } from 'vitest';
import { closeSql, openSql } from '../support/databases.ts';
import { test as base } from '../support/fixture.ts';
import { runCli } from '../support/run-cli.ts';
import { parseJson } from './cli-kit.ts';

/** A server that says it is of a major version which nobody's grammar here knows. */
interface NewerServer {
  url: string;
  close(): Promise<void>;
}

/** The major version that it says it is. */
const NEWER_MAJOR = 19;

/** A statement that only it knows; what the real server runs in its place makes a table. */
const NEWER_STATEMENT = 'create property graph made_by_newer ()';
const MEANT = 'create table made_by_newer ()';
const NEWER_TABLE = 'made_by_newer';

/**
 * Starts a proxy on a free loopback port before the server that `targetUrl` names. It passes all on
 * but for the version, which becomes `NEWER_MAJOR`, and for `NEWER_STATEMENT`, which the real server
 * could not read; both are replaced byte for byte, so no message changes its length.
 */
async function startNewerServer(targetUrl: string): Promise<NewerServer> {
  const target = new URL(targetUrl);
  const version = await readVersion(targetUrl);
  const newer = (text: string) => `${NEWER_MAJOR}${text.slice(2)}`;
  const toClient: Replacement[] = [
    [`server_version\0${version.text}`, `server_version\0${newer(version.text)}`],
    [asValue(version.text), asValue(newer(version.text))],
    [version.number, newer(version.number)],
  ];
  const toServer: Replacement[] = [[NEWER_STATEMENT, MEANT.padEnd(NEWER_STATEMENT.length)]];
  const sockets = new Set<Socket>();
  const listener = createServer((client) => {
    const server = connect(Number(target.port || 5432), target.hostname.replace(/^\[|\]$/g, ''));
    pass(client, server, toServer);
    pass(server, client, toClient);
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
    }
  });
  const port = await new Promise<number>((resolve, reject) => {
    listener.once('error', reject);
    listener.listen(0, '127.0.0.1', () => {
      const address = listener.address();
      if (address && typeof address === 'object') resolve(address.port);
    });
  });
  const url = new URL(targetUrl);
  url.hostname = '127.0.0.1';
  url.port = String(port);
  return {
    url: url.href,
    close: () => {
      const ended = new Promise<void>((resolve) => listener.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      return ended;
    },
  };
}

async function readVersion(url: string): Promise<{ text: string; number: string }> {
  const sql = openSql(url, 1);
  const [row] = await sql`
    select current_setting('server_version') as text, current_setting('server_version_num') as number`;
  await closeSql(sql);
  return row as unknown as { text: string; number: string };
}

/** As it stands in a row: behind its length, of which no message ends with the last byte. */
function asValue(text: string): string {
  return String.fromCharCode(text.length) + text;
}

/** Of the same length. */
type Replacement = [from: string, to: string];

function pass(from: Socket, to: Socket, replacements: Replacement[]): void {
  let kept = '';
  from.setNoDelay(true);
  from.on('data', (chunk) => {
    // One character for each byte.
    let text = kept + chunk.toString('latin1');
    for (const [old, replaced] of replacements) text = text.replaceAll(old, replaced);
    kept = beginningAtEnd(text, replacements);
    to.write(text.slice(0, text.length - kept.length), 'latin1');
  });
  from.on('end', () => to.end(kept, 'latin1'));
  from.on('error', () => to.destroy());
}

/** A message that ends in less of the statement is another one: a nonce may end in its first letter. */
const TELLING_LENGTH = 'create p'.length;

/** What may be the beginning of something to replace, of which the rest has not come yet. */
function beginningAtEnd(text: string, replacements: Replacement[]): string {
  const longest = Math.max(...replacements.map(([old]) => old.length));
  for (let length = Math.min(longest - 1, text.length); length > 0; length--) {
    const end = text.slice(-length);
    const isBeginning = ([old]: Replacement) =>
      old.length > length &&
      old.startsWith(end) &&
      (old !== NEWER_STATEMENT || length >= TELLING_LENGTH);
    if (replacements.some(isBeginning)) return end;
  }
  return '';
}

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
