import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import type postgres from 'postgres';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { stopEmbeddedServer } from '../../src/embedded/stop.ts';
import { EvdbError, migrateUp, resolveConfig } from '../../src/index.ts';
import { checkScript } from '../../src/sql/check.ts';
import { loadSqlParser, type SqlParser } from '../../src/sql/parser.ts';
import { quoteIdent, quoteLiteral } from '../../src/sql/quote.ts';
import { test } from '../support/fixture.ts';
import { connectionTo } from '../support/sessions.ts';
import {
  argumentLists,
  connectionSettings,
  embeddedState,
  hostileNames,
  wornStatements,
} from './arbitraries.ts';
import { expectAlways, FUZZ_TIMEOUT_MS as timeout } from './fuzzing.ts';
import { type Ended, runHere } from './in-process.ts';

// What people, files, servers and other programs may hand to evdb, by chance. `npm run test:fuzz` tries
// for minutes; a finding is printed with its seed, and becomes a case of its own beside the code.

let cwd: string;
let parser: SqlParser;
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'evdb-test-fuzz-'));
  parser = await loadSqlParser();
});
afterAll(async () => {
  // Some command lines have good reason to start one, such as for a scratch database.
  await stopEmbeddedServer({ directory: join(cwd, '.evdb') });
  await rm(cwd, { recursive: true, force: true });
});

const SECRET = 'dont-tell-anybody';
/** A port that nobody listens on: nothing that is made up may reach a server. */
const NOWHERE = `postgres://fuzz:${SECRET}@127.0.0.1:9/fuzz?connect_timeout=1`;

/** What must hold for every command line, whatever it was given. */
function faultsOf({ code, stdout, stderr }: Ended): string[] {
  const all = `${stdout}${stderr}`;
  const faults: string[] = [];
  if (![0, 1, 2, 3, 4, 130].includes(code)) faults.push(`exit code ${code}`);
  if (/^\s+at .*:\d+:\d+/m.test(all) || all.includes('INTERNAL')) faults.push(`a fault: ${all}`);
  if (all.includes(SECRET)) faults.push('a secret is printed');
  // Control characters would be commands to a terminal.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  const raw = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/.exec(all);
  if (raw) faults.push(`a raw ${JSON.stringify(raw[0])} in ${JSON.stringify(all.slice(0, 300))}`);
  return faults;
}

describe('a configuration of chance', () => {
  test(
    'is understood or refused with a code, and never tells a password',
    async () => {
      const property = fc.asyncProperty(connectionSettings(SECRET), async (env) => {
        const error = await resolveConfig({ env, cwd, flags: {} }).then(
          () => undefined,
          (failure: unknown) => failure,
        );
        if (error === undefined) return;
        expect(error).toBeInstanceOf(EvdbError);
        const { code, message, hint = '' } = error as EvdbError;
        expect(['CONFIG_INVALID', 'USAGE']).toContain(code);
        expect(`${message}${hint}`).not.toContain(SECRET);
      });
      await expectAlways('configurations', property);
    },
    timeout,
  );
});

describe('a command line of chance', () => {
  test(
    'ends with a code of the list, typed errors and no raw byte',
    async () => {
      const property = fc.asyncProperty(argumentLists(), async (args) => {
        const ended = await runHere(args, { cwd, env: { EVDB_URL: NOWHERE, HOME: cwd } });
        expect(faultsOf(ended)).toEqual([]);
      });
      await expectAlways('command lines', property);
    },
    timeout,
  );
});

describe('a database of hostile names', () => {
  test(
    'is shown by every command and format without a raw byte',
    async ({ emptyDb, project }) => {
      await project.migration('001_a', 'create table harmless (id int primary key);');
      await migrateUp({
        connection: await connectionTo(emptyDb.url),
        directory: join(project.dir, 'migrations'),
      });
      const env = { EVDB_URL: emptyDb.url, HOME: cwd };
      const property = fc.asyncProperty(hostileNames(), looks(), async (names, args) => {
        await makeHostile(emptyDb.sql, names);
        const ended = await runHere(args, { cwd: project.dir, env });
        await emptyDb.sql`drop schema hostile cascade`;
        expect(faultsOf(ended)).toEqual([]);
      });
      await expectAlways('hostile names', property);
    },
    timeout,
  );
});

/** Commands that print names of the database; `schema dump` is a script, which must hold them as they are. */
function looks(): fc.Arbitrary<string[]> {
  const views = ['tables', 'indexes', 'unused', 'missing-fk', 'sequences', 'duplicates'];
  const stats = views.flatMap((view) => [
    ['stats', view],
    ['stats', view, '--json'],
  ]);
  const diagram = ['schema', 'diagram', '--schema', 'hostile'];
  return fc.constantFrom<string[]>(
    ...stats,
    ['doctor'],
    ['doctor', '--json'],
    ['doctor', '--format', 'markdown'],
    diagram,
    [...diagram, '--format', 'svg'],
    ['migrate', 'status'],
    ['migrate', 'status', '--drift'],
  );
}

async function makeHostile(sql: postgres.Sql, names: readonly string[]): Promise<void> {
  const [table = 'a', column = 'b', index = 'c', comment = 'd'] = names;
  await sql.unsafe('drop schema if exists hostile cascade; create schema hostile').simple();
  await sql
    .unsafe(
      `create table hostile.${quoteIdent(table)} (
        ${quoteIdent(column)} int generated always as identity,
        id int references harmless (id)
      );
      create index ${quoteIdent(index)} on hostile.${quoteIdent(table)} (${quoteIdent(column)});
      comment on table hostile.${quoteIdent(table)} is ${quoteLiteral(comment)}`,
    )
    .simple();
}

describe('a ledger whose rows somebody changed', () => {
  const changes = fc.tuple(
    fc.constantFrom('label', 'name', 'checksum', 'state', 'version', 'origin', 'statements_done'),
    fc.oneof(fc.string(), fc.integer().map(String), fc.constant(null)),
  );
  test(
    'is read or refused with a code, and up changes nothing it should not',
    async ({ emptyDb: { sql, url }, project }) => {
      await project.migration('001_a', 'create table a (id int);', 'drop table a;');
      await project.migration('002_b', 'create table b (id int);', 'drop table b;');
      const options = {
        connection: await connectionTo(url),
        directory: join(project.dir, 'migrations'),
      };
      const env = { EVDB_URL: url, HOME: cwd };
      const property = fc.asyncProperty(changes, async ([column, value]) => {
        await sql.unsafe('drop schema if exists evdb cascade; drop table if exists a, b').simple();
        await migrateUp(options);
        const changed = await sql`
        update evdb.migration set ${sql(column)} = ${value} where version = 1`.then(
          () => true,
          () => false,
        );
        if (!changed) return;
        for (const args of [
          ['migrate', 'status'],
          ['migrate', 'validate'],
          ['migrate', 'up'],
        ]) {
          expect(faultsOf(await runHere(args, { cwd: project.dir, env }))).toEqual([]);
        }
        const tables =
          await sql`select from pg_class where relname in ('a', 'b') and relkind = 'r'`;
        expect(tables).toHaveLength(2);
      });
      await expectAlways('changed ledgers', property);
    },
    timeout,
  );
});

describe('a folder of the embedded server in which somebody changed files', () => {
  test(
    'is read or refused with a code, and nobody is mistaken for its server',
    async ({ project }) => {
      await project.migration('001_a', 'create table a (id int);');
      const directory = join(project.dir, '.evdb');
      const data = join(directory, 'data');
      await mkdir(data, { recursive: true });
      const commands = fc.constantFrom(
        ...['status', 'url', 'stop', 'list'].flatMap((one) => [
          ['server', one],
          ['server', one, '--json'],
        ]),
      );
      const env = { HOME: cwd, EVDB_URL: 'embedded:' };
      const property = fc.asyncProperty(
        embeddedState(directory, SECRET),
        commands,
        async ({ state, pidFile, password }, args) => {
          await writeFile(join(directory, 'server.json'), state);
          await writeFile(join(data, 'postmaster.pid'), pidFile);
          await writeFile(join(directory, 'password'), password);
          const ended = await runHere(args, { cwd: project.dir, env });
          expect(faultsOf(ended)).toEqual([]);
          expect(ended.stdout).not.toMatch(/running, pid|postgres:\/\//);
        },
      );
      await expectAlways('changed .evdb', property);
    },
    timeout,
  );
});

describe('a statement that was worn', () => {
  test(
    'is one for lint exactly where it is one for the server',
    async ({ emptyDb, skip }) => {
      const [{ version = 0 } = {}] = await emptyDb.sql`
      select current_setting('server_version_num')::int / 10000 as version`;
      skip(version !== 18, 'the grammar is that of PostgreSQL 18');
      const property = fc.asyncProperty(wornStatements(), async (text) => {
        const [judged] = checkScript(text, parser);
        const error = await emptyDb.sql
          .begin(async (tx) => {
            await tx.unsafe(text).simple();
            throw new Error('enough');
          })
          .then(
            () => undefined,
            (failure: { code?: string; message: string }) => failure,
          );
        const isSyntax =
          error?.code === '42601' && /^syntax error|^unterminated/.test(error.message);
        if (isSyntax) expect(judged, text).toBeDefined();
        if (judged) expect(error?.code, text).toMatch(/^(42601|0A000|22|42)/);
      });
      await expectAlways('worn statements', property);
    },
    timeout,
  );
});
