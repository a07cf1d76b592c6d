import { describe, expect } from 'vitest';
import { isSuperuser } from '../../support/migrate-stage.ts';
import type { CliResult } from '../../support/run-cli.ts';
import { type Kill, type Point, type ResumeStage, test } from './resume-stage.ts';

const SCRIPT = `-- evdb: no-transaction
create table if not exists seen (n int);
insert into seen values (1);
create index concurrently seen_n_idx on seen (n);
insert into seen values (2);
`;
const DOWN = `-- evdb: no-transaction
delete from seen where n = 1;
drop index concurrently seen_n_idx;
update seen set n = n + 10;
`;

const KILLS: Kill[] = [
  'the process',
  'the process alone',
  'its working backend',
  'both its backends',
];

/** Each place between and in the statements; 1, 2 and 4 run in transactions, 3 does not. */
const POINTS: [name: string, point: Point][] = [
  ['while the journal is opened', { at: 'journal', write: 'open' }],
  [
    'behind the first statement, ahead of its commit',
    { at: 'journal', write: 'record', statement: 1 },
  ],
  [
    'behind the second statement, ahead of its commit',
    { at: 'journal', write: 'record', statement: 2 },
  ],
  ['while the build is written down', { at: 'journal', write: 'start', statement: 3 }],
  ['when the build was written down and has done nothing', { at: 'ddl', tag: 'CREATE INDEX' }],
  ['in the build, as it waits for a writer', { at: 'build', behind: 'a writer' }],
  ['in the build, as it waits for a snapshot', { at: 'build', behind: 'a snapshot' }],
  [
    'behind the build, ahead of its line in the journal',
    { at: 'journal', write: 'finish', statement: 3 },
  ],
  [
    'behind the last statement, ahead of its commit',
    { at: 'journal', write: 'record', statement: 4 },
  ],
  ['when all is done, ahead of the end of the journal', { at: 'journal', write: 'close' }],
];

const CASES = POINTS.flatMap(([name, point]) => KILLS.map((kill) => [kill, name, point] as const));

/** The ledger has to be there for triggers on it. */
async function prepare({ evdb, sql }: ResumeStage): Promise<void> {
  expect(await evdb('migrate', 'up')).toMatchObject({ code: 0 });
  await sql`create table seen (n int)`;
}

function expectWhole({ code, stderr }: CliResult, name: string): void {
  // The scripts here have no way back, which is told of each.
  const said = stderr.replace(/^warning {2}.* cannot be taken back: .*\n/m, '');
  expect(said).toMatch(
    new RegExp(`^(${name} goes on where it stopped: \\d of its \\d statements are done\n)?$`),
  );
  expect(code).toBe(0);
}

async function expectAppliedOnce({ evdb, sql }: ResumeStage): Promise<void> {
  expectWhole(await evdb('migrate', 'up'), '002_seen');
  expect(await sql`select n from seen order by n`).toEqual([{ n: 1 }, { n: 2 }]);
  expect(
    await sql`
      select indexrelid::regclass::text as name, indisvalid from pg_index
      where indrelid = 'seen'::regclass`,
  ).toEqual([{ name: 'seen_n_idx', indisvalid: true }]);
  expect(await sql`select state from evdb.migration where version = 2`).toEqual([
    { state: 'applied' },
  ]);
  expect(
    await sql`select count(*)::int as n from evdb.history where version = 2 and action = 'up'`,
  ).toEqual([{ n: 1 }]);
}

describe('killing', () => {
  test.for(CASES)(
    '%s %s lets the next up end with everything applied exactly once',
    async ([kill, , point], { stage, project, skip }) => {
      if (!(await isSuperuser(stage.sql))) skip('event triggers are for superusers');
      await project.migration('001_first', 'select 1;');
      await prepare(stage);
      await project.migration('002_seen', SCRIPT);
      await stage.killAt(point, kill, 'migrate', 'up');
      await expectAppliedOnce(stage);
    },
  );

  test.for(KILLS)(
    '%s in each place of a way back lets the next down end it exactly once',
    async (kill, { stage, project, skip }) => {
      if (!(await isSuperuser(stage.sql))) skip('event triggers are for superusers');
      await project.migration('001_first', 'select 1;');
      await prepare(stage);
      await project.migration('002_seen', SCRIPT, DOWN);
      expect(await stage.evdb('migrate', 'up')).toMatchObject({ code: 0 });
      const points: Point[] = [
        { at: 'journal', write: 'record', statement: 1 },
        { at: 'journal', write: 'start', statement: 2 },
        { at: 'ddl', tag: 'DROP INDEX' },
        { at: 'journal', write: 'finish', statement: 2 },
        { at: 'journal', write: 'record', statement: 3 },
      ];
      for (const point of points) await stage.killAt(point, kill, 'migrate', 'down');
      expectWhole(await stage.evdb('migrate', 'down'), '002_seen');
      expect(await stage.sql`select n from seen`).toEqual([{ n: 12 }]);
      expect(await stage.sql`select from pg_index where indrelid = 'seen'::regclass`).toEqual([]);
      expect(await stage.sql`select label from evdb.migration`).toEqual([{ label: '001' }]);
    },
  );
});
