import { cp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runnerLock } from '../../src/migrate/ledger/lock.ts';
import { displayWidth } from '../../src/text/width.ts';
import { fitText } from '../../src/text/wrap.ts';
import { closeSql, openSql } from '../support/databases.ts';
import type { TestDatabase } from '../support/fixture.ts';
import { type OwnServer, startOwnServer, whyNoOwnServer } from '../support/own-server.ts';
import type { TestProject } from '../support/project.ts';
import { openTmux, type Tmux, whyNoTmux } from '../support/tmux.ts';
import { until } from '../support/waiting.ts';
import { test as base } from './cli-kit.ts';

const MIGRATIONS = fileURLToPath(new URL('../../migrations/', import.meta.url));

interface Stage {
  terminal: Tmux;
  /** Another session, ended with the test. */
  other(): postgres.Sql;
}

/** Runs on a real terminal, in the folder of the project, on the database of the test. */
const test = base.extend<{ stage: (columns: number) => Promise<Stage> }>({
  stage: async ({ emptyDb, project }, use) => {
    const terminals: Tmux[] = [];
    const sessions: postgres.Sql[] = [];
    await use(async (columns) => {
      const env = { EVDB_URL: emptyDb.url };
      const terminal = await openTmux({ columns }, { cwd: project.dir, env });
      terminals.push(terminal);
      const other = () => {
        const session = openSql(emptyDb.url, 1);
        sessions.push(session);
        return session;
      };
      return { terminal, other };
    });
    await Promise.all(terminals.map((terminal) => terminal.close()));
    await Promise.all(sessions.map(closeSql));
  },
});

/** What differs from run to run, in as many columns. */
function stable(text: string, { name }: TestDatabase, { dir }: TestProject): string {
  return text
    .replaceAll(name, 'shop'.padEnd(name.length, '_'))
    .replaceAll(dir, '/shop'.padEnd(dir.length, '_'))
    .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, '2026-01-02 03:04:05')
    .replace(/^(applied +\S+ {2}).+$/gm, '$17 ms')
    .replace(/^(applied \d+ migrations? in ).+ (?=\()/gm, '$17 ms ')
    .replace(/^\[(\d+)\] end \d+$/m, 'exit code $1');
}

/** Where pids and durations are amid sentences: as many columns as they take move all that follows. */
function reflown(text: string, columns: number): string {
  const steady = text
    .replace(/\n {2,}(?!hint:)/g, ' ')
    .replace(/(?<=for |waited |\()\d+(?:\.\d+)? (?:µs|ms|s|min)\b/g, '7 s')
    .replace(/(?<=pid |backend\()\d+/g, '4711')
    .replace(/@[\d.:[\]]+/g, '@client');
  return fitText(steady, columns, { commands: [] });
}

function expectFit(text: string, columns: number): void {
  const wide = text.split('\n').filter((line) => displayWidth(line) > columns);
  expect(wide).toEqual([]);
}

const fileOf = (name: string, columns: number) => `./transcripts/${name}-${columns}.txt`;

describe.skipIf(whyNoTmux() !== undefined).each([40, 80, 120])(
  'on a terminal of %i columns',
  (columns) => {
    test('init asks', async ({ stage, emptyDb, project }) => {
      const { terminal } = await stage(columns);
      await terminal.type('clear; evdb init; echo "[$?] end 0"');
      await terminal.shows('What do you start with?');
      await terminal.press('Enter');
      await terminal.shows('Add npm scripts');
      await terminal.press('Enter');
      await terminal.shows('Write a pipeline');
      await terminal.press('Down', 'Enter');
      await terminal.shows('[0] end 0');
      const text = (await terminal.read()).replace(/\n\$$/, '');
      expectFit(text, columns);
      await expect(stable(text, emptyDb, project)).toMatchFileSnapshot(fileOf('init', columns));
    });

    test('status shows the event schema', async ({ stage, emptyDb, project }) => {
      const { terminal } = await stage(columns);
      await cp(MIGRATIONS, join(project.dir, 'migrations'), { recursive: true });
      expect(await terminal.run('evdb migrate up --to 15')).toContain('[0] end');
      await emptyDb.sql`update evdb.migration set duration_ms = 7`;
      const text = await terminal.run('evdb migrate status');
      expect(await terminal.run('evdb migrate status && true')).toContain('applied');
      expectFit(text, columns);
      expect(await terminal.readColours()).toContain('\u001b[32m');
      // A whole box where there is room for one.
      if (columns >= 80) expect(text).toMatch(/^┌[─┬]+┐$/m);
      await expect(stable(text, emptyDb, project)).toMatchFileSnapshot(fileOf('status', columns));
    });

    test('up shows where a migration fails', async ({ stage, emptyDb, project }) => {
      const { terminal } = await stage(columns);
      await project.migration('001_people', 'create table people (id integer primary key);');
      await project.migration(
        '002_places',
        `create table places (id integer primary key, person_id integer references people, city text);
insert into places (id, person_id, city, country) values (1, 1, 'Zürich', 'Switzerland');
`,
      );
      const text = await terminal.run('evdb migrate up');
      expectFit(text, columns);
      await expect(stable(text, emptyDb, project)).toMatchFileSnapshot(fileOf('failure', columns));
    });

    test('up waits for another runner', async ({ stage, emptyDb, project }) => {
      const { terminal, other } = await stage(columns);
      await project.migration('001_people', 'create table people (id integer primary key);');
      const [classId, objectId] = runnerLock({ ledgerSchema: 'evdb', targetSchema: 'public' });
      await other()`select pg_advisory_lock(${classId}::int, ${objectId}::int)`;
      const text = await terminal.run('evdb migrate up --lock-wait 1s');
      expectFit(text, columns);
      const seen = reflown(stable(text, emptyDb, project), columns);
      await expect(seen).toMatchFileSnapshot(fileOf('lock-wait', columns));
    });

    test('plan shows what others will feel', async ({ stage, emptyDb, project }) => {
      const { terminal } = await stage(columns);
      await project.migration('001_people', 'create table people (id integer primary key);');
      await terminal.run('evdb migrate up');
      await project.migration(
        '002_people_names',
        `alter table people add column name text not null default 'unknown';
alter table people add constraint name_is_short check (length(name) < 100);
create index people_name_idx on people (name);
`,
      );
      const text = await terminal.run('evdb migrate plan');
      expectFit(text, columns);
      await expect(stable(text, emptyDb, project)).toMatchFileSnapshot(fileOf('plan', columns));
    });

    test('doctor shows what is wrong', async ({ stage, emptyDb, project }) => {
      const { terminal } = await stage(columns);
      await project.migration(
        '001_people',
        `create table people (id integer primary key, email text unique);
create index people_email_idx on people (email);
create table pets (id integer primary key, person_id integer references people);
alter table pets add constraint id_is_positive check (id > 0) not valid;
`,
      );
      await terminal.run('evdb migrate up');
      const checks =
        'duplicate-indexes,invalid-indexes,missing-fk-indexes,tables,event-schema,evdb';
      const text = await terminal.run(`evdb doctor --only ${checks}`);
      expectFit(text, columns);
      await expect(stable(text, emptyDb, project)).toMatchFileSnapshot(fileOf('doctor', columns));
    });
  },
);

/** Locks are those of the whole server, where other tests are at work. */
describe.skipIf(whyNoTmux() !== undefined || whyNoOwnServer() !== undefined)('an outage', () => {
  let server: OwnServer;

  beforeAll(async () => {
    server = await startOwnServer();
  });

  afterAll(async () => server?.remove());

  it.each([40, 80, 120])('is a tree of locks on a terminal of %i columns', async (columns) => {
    const sessions: postgres.Sql[] = [];
    const other = () => {
      const session = openSql(server.url, 1);
      sessions.push(session);
      return session;
    };
    const watcher = other();
    await watcher`create table if not exists people_of_the_shop (id integer primary key)`;
    await other().unsafe('begin; lock people_of_the_shop');
    for (const [at, word] of ['lock', 'table', 'table'].entries()) {
      other()
        .unsafe(`begin; ${word} people_of_the_shop`)
        .catch(() => undefined);
      await until(async () => {
        const [row] = await watcher<{ count: number }[]>`
          select count(*)::int from pg_stat_activity
          where datname = current_database() and wait_event_type = 'Lock'`;
        return row?.count === at + 1;
      });
    }
    const env = { EVDB_URL: server.url };
    const terminal = await openTmux({ columns }, { cwd: tmpdir(), env });
    const text = await terminal.run('evdb stats locks');
    await terminal.close();
    await Promise.all(sessions.map(closeSql));
    expectFit(text, columns);
    // How wide a column is depends on the pids and the durations in it.
    const seen = text
      .replace(/\d+(?:\.\d+)? (?:µs|ms|s)\b/g, '7 s')
      .replace(/\b\d{2,7}\b(?= |…)/g, '4711')
      .replace(/─{3,}/g, '───')
      .replace(/\S*…(?=\S)\S*|\S+…/g, '…')
      .replace(/(?<=\S) {2,}/g, '  ')
      .replace(/^\[(\d+)\] end \d+$/m, 'exit code $1');
    await expect(seen).toMatchFileSnapshot(fileOf('locks', columns));
  });
});
