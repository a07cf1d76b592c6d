import { describe, expect } from 'vitest';
import {
  EvdbError,
  type MigrateOptions,
  migrateDown,
  migrateUp,
  planImpact,
  ScriptError,
  validateMigrations,
} from '../../../src/index.ts';
import { failUp, type MigrateStage, test } from '../../support/migrate-kit.ts';
import { failureOf } from '../../support/waiting.ts';

const TABLE = `create table events (
  id bigint generated always as identity primary key,
  location text, venue text, n int not null default 0
)`;

/** A table with so many rows. */
async function makeEvents({ sql }: MigrateStage, rows: number): Promise<void> {
  await sql.unsafe(
    `${TABLE}; insert into events (location) select 'loc' || i from generate_series(1, ${rows}) i`,
  );
}

/** A file with small batches, however slow the machine is. */
function backfill(statement: string, about = 'events', rows = 10): string {
  return `-- evdb: backfill ${about}\n-- evdb: batch-rows ${rows}\n-- evdb: batch-time 10min\n${statement};\n`;
}

/** Aborts after so many batches, as Ctrl-C does. */
function stoppingAfter({ options }: MigrateStage, batches: number): MigrateOptions {
  const stop = new AbortController();
  let seen = 0;
  return {
    ...options,
    signal: stop.signal,
    onProgress: (progress) => {
      options.onProgress?.(progress);
      if (progress.kind === 'backfill' && ++seen === batches) stop.abort(new Error('stopped'));
    },
  };
}

async function stopAfter(stage: MigrateStage, batches: number): Promise<void> {
  const error = await failureOf<Error>(migrateUp(stoppingAfter(stage, batches)));
  expect(error.message).toBe('stopped');
}

function batchesOf({ heard }: MigrateStage) {
  return heard.flatMap((progress) => (progress.kind === 'backfill' ? [progress] : []));
}

const INCREMENT = backfill('update events set n = n + 1');

/** How often each number of increments is there. */
async function counts({ sql }: MigrateStage): Promise<Record<string, number>> {
  const rows = await sql`select n, count(*)::int as rows from events group by n`;
  return Object.fromEntries(rows.map(({ n, rows: count }) => [n, count]));
}

describe('a backfill', () => {
  test('runs in batches, each a transaction of its own, and is applied', async ({ stage }) => {
    await makeEvents(stage, 95);
    await stage.migration(
      '001_venue',
      backfill('update events set venue = location where venue is null'),
    );
    await migrateUp(stage.options);
    const [row] = await stage.sql`
      select count(*)::int as rows, count(distinct xmin::text)::int as transactions
      from events where venue = location`;
    expect(row).toEqual({ rows: 95, transactions: 10 });
    expect(await stage.ledger()).toEqual(['001 applied']);
    expect(await stage.sql`select action, detail from evdb.history`).toEqual([
      { action: 'up', detail: 'backfill of public.events: 95 rows changed in 10 batches' },
    ]);
    expect(await stage.sql`select * from evdb.backfill`).toEqual([]);
    expect(batchesOf(stage).at(-1)).toMatchObject({
      step: { label: '001' },
      ...{ table: 'public.events', round: 1, batches: 10, rowsWalked: 95, rowsChanged: 95 },
    });
  });

  test.for([
    ['uuid', 'gen_random_uuid()'],
    ['text collate "C"', `md5(i::text) || 'ä''\\'`],
    ['varchar(40)', 'md5(i::text)'],
    ['date', "date '2020-01-01' + i"],
    ['timestamptz', "timestamptz '2020-01-01 10:00' + i * interval '1.000001 second'"],
    ['double precision', 'i / 3.0'],
    ['numeric', 'i / 7.0'],
    ['bytea', "decode(md5(i::text), 'hex')"],
    ['interval', "i * interval '1 hour'"],
  ] as const)('walks a key of type %s by its own order', async ([type, value], { stage }) => {
    await stage.sql.unsafe(`
      create table events (key ${type} primary key, n int not null default 0);
      insert into events (key) select ${value} from generate_series(1, 60) i;
      alter database ${(await stage.sql`select current_database() as name`)[0]?.name} set datestyle = 'SQL, DMY';
      alter database ${(await stage.sql`select current_database() as name`)[0]?.name} set extra_float_digits = -5;`);
    await stage.migration('001_n', backfill('update events set n = n + 1', 'events', 7));
    await stopAfter(stage, 3);
    await migrateUp(stage.options);
    expect(await counts(stage)).toEqual({ 1: 60 });
  });

  test('walks a key of several columns, an index that is named, and the partitions of a table', async ({
    stage,
  }) => {
    await stage.sql.unsafe(`
      create table events (day date, "No" int, n int not null default 0, primary key (day, "No"))
        partition by range (day);
      create table events_a partition of events for values from ('2020-01-01') to ('2020-01-05');
      create table events_b partition of events default;
      insert into events select date '2020-01-01' + i % 9, i from generate_series(1, 60) i`);
    await stage.migration(
      '001_a',
      backfill('update events e set n = n + 1', 'events by day, "No"', 7),
    );
    await stage.migration('002_b', backfill('update events set n = n + 1', 'public.events', 7));
    await migrateUp(stage.options);
    expect(await counts(stage)).toEqual({ 2: 60 });
  });

  test('deletes, inserts from a select, and reads other tables', async ({ stage }) => {
    await makeEvents(stage, 50);
    await stage.sql`create table copy (id bigint primary key, location text)`;
    await stage.migration(
      '001_copy',
      backfill('insert into copy select id, location from events order by id'),
    );
    await stage.migration(
      '002_more',
      backfill(`with c as (select * from copy)
update events e set venue = c.location -- as it was
from c where c.id = e.id and (e.venue is null or e.venue = '')`),
    );
    await stage.migration(
      '003_gone',
      backfill('delete from events e using copy c where c.id = e.id and c.id % 2 = 0'),
    );
    await migrateUp(stage.options);
    expect(await stage.sql`select count(*)::int as n from copy`).toEqual([{ n: 50 }]);
    const [row] = await stage.sql`
      select count(*)::int as n, bool_and(venue = location) as same from events`;
    expect(row).toEqual({ n: 25, same: true });
  });

  test('of an empty table is applied at once', async ({ stage }) => {
    await makeEvents(stage, 0);
    await stage.migration('001_n', INCREMENT);
    await migrateUp(stage.options);
    expect(await stage.ledger()).toEqual(['001 applied']);
    expect(batchesOf(stage)).toEqual([]);
  });

  test('goes back by a backfill, which can be stopped as well', async ({ stage }) => {
    await makeEvents(stage, 50);
    await stage.migration('001_n', INCREMENT, backfill('update events set n = n - 1'));
    await migrateUp(stage.options);
    const stopped = await failureOf<Error>(migrateDown(stoppingAfter(stage, 2)));
    expect(stopped.message).toBe('stopped');
    expect(await stage.ledger()).toEqual(['001 reverting']);
    expect(await failUp(stage.options).catch((error) => error)).toMatchObject({
      code: 'INCOMPLETE_MIGRATION',
      message: expect.stringContaining('stopped between two of its batches'),
    });
    await migrateDown(stage.options);
    expect(await counts(stage)).toEqual({ 0: 50 });
    expect(await stage.ledger()).toEqual([]);
    expect(await stage.sql`select * from evdb.backfill`).toEqual([]);
  });

  test('that was stopped continues after its last batch, and its rows are changed once', async ({
    stage,
  }) => {
    await makeEvents(stage, 100);
    await stage.migration('001_n', INCREMENT);
    await stopAfter(stage, 3);
    expect(await stage.ledger()).toEqual(['001 applying']);
    expect(await counts(stage)).toEqual({ 0: 70, 1: 30 });
    expect(await stage.sql`select cursor_key, rows_changed, batches from evdb.backfill`).toEqual([
      { cursor_key: ['30'], rows_changed: '30', batches: '3' },
    ]);
    await migrateUp(stage.options);
    expect(await counts(stage)).toEqual({ 1: 100 });
    expect(stage.heard.find(({ kind }) => kind === 'backfill-resumed')).toMatchObject({
      rowsWalked: 30,
    });
    expect(await stage.history()).toEqual(['failed 001', 'resumed 001', 'up 001']);
  });

  test('that was stopped can be rolled back by a script in one transaction', async ({ stage }) => {
    await makeEvents(stage, 50);
    await stage.migration('001_n', INCREMENT, 'update events set n = 0;');
    await stopAfter(stage, 2);
    await migrateDown(stage.options);
    expect(await counts(stage)).toEqual({ 0: 50 });
    expect(await stage.sql`select * from evdb.backfill`).toEqual([]);
    await migrateUp(stage.options);
    expect(await counts(stage)).toEqual({ 1: 50 });
  });
});

describe('rows that still match', () => {
  test('because they came meanwhile get a round of their own', async ({ stage }) => {
    await stage.sql.unsafe(`
      create table events (id int primary key, location text not null default 'x', venue text);
      insert into events (id) select i * 10 from generate_series(1, 30) i`);
    await stage.migration(
      '001_venue',
      backfill('update events set venue = location where venue is null'),
    );
    const { onProgress } = stage.options;
    let added: Promise<unknown> | undefined;
    await migrateUp({
      ...stage.options,
      onProgress: (progress) => {
        onProgress?.(progress);
        if (progress.kind === 'backfill') {
          added ??= stage.sql`insert into events (id) values (1), (2), (9999)`.execute();
        }
      },
    });
    await added;
    expect(await stage.sql`select id from events where venue is null`).toEqual([]);
    expect(batchesOf(stage).at(-1)?.round).toBe(2);
  });

  test('although the statement has changed them are an error that counts them', async ({
    stage,
  }) => {
    await makeEvents(stage, 30);
    await stage.sql`update events set location = null where id in (3, 17)`;
    await stage.migration(
      '001_venue',
      backfill('update events set venue = location where venue is null'),
    );
    const error = await failUp(stage.options);
    expect(error).toMatchObject({
      code: 'BACKFILL_INCOMPLETE',
      message: '2 rows of public.events still match after 2 rounds',
      details: { rowsLeft: 2 },
    });
    await stage.sql`update events set location = 'here' where location is null`;
    await migrateUp(stage.options);
    expect(await stage.ledger()).toEqual(['001 applied']);
  });

  test('are left alone, with a warning, where a second change would not be the same', async ({
    stage,
  }) => {
    await makeEvents(stage, 20);
    await stage.migration('001_n', backfill('update events set n = n + 1 where n < 5'));
    await migrateUp(stage.options);
    expect(await counts(stage)).toEqual({ 1: 20 });
    expect(stage.heard).toContainEqual({
      kind: 'warning',
      warning: expect.objectContaining({ code: 'STILL_MATCHING' }),
    });
  });
});

describe('in the way of a backfill', () => {
  test('a row that fails for good is named by its key, and what is before it stays', async ({
    stage,
  }) => {
    await makeEvents(stage, 100);
    await stage.sql`alter table events add check (id <> 57 or n = 0)`;
    await stage.migration('001_n', backfill('update events set n = n + 1', 'events', 40));
    const error = await failUp(stage.options);
    expect(error).toMatchObject({
      code: 'MIGRATION_FAILED',
      message: expect.stringContaining('(the row of public.events with id = 57)'),
      location: { line: 4, column: 1 },
      details: { key: { id: '57' }, sqlstate: '23514' },
      hint: expect.stringContaining('The batches before this one are committed.'),
    });
    expect(await counts(stage)).toEqual({ 0: 44, 1: 56 });
    await stage.sql`alter table events drop constraint events_check`;
    await migrateUp(stage.options);
    expect(await counts(stage)).toEqual({ 1: 100 });
  });

  test('an error that is no row’s ends it at once', async ({ stage }) => {
    await makeEvents(stage, 20);
    await stage.migration('001_n', backfill('update events set nowhere = 1'));
    expect(await failUp(stage.options)).toMatchObject({
      code: 'MIGRATION_FAILED',
      location: { line: 4 },
      details: { sqlstate: '42703' },
    });
    expect(batchesOf(stage)).toEqual([]);
  });

  test('a locked row is waited for on the ladder, and then it goes on', async ({ stage }) => {
    await makeEvents(stage, 50);
    await stage.migration('001_n', INCREMENT);
    const other = stage.openOther();
    await other.unsafe('begin; update events set location = null where id = 25');
    const options = { ...stage.options, lockTimeoutMs: 20, lockWaitBudgetMs: 100 };
    expect(await failUp(options)).toMatchObject({
      code: 'LOCK_TIMEOUT',
      hint: expect.stringContaining('Its batches so far are committed'),
    });
    expect((await counts(stage))[1]).toBeGreaterThanOrEqual(20);
    await other.unsafe('rollback');
    await migrateUp(stage.options);
    expect(await counts(stage)).toEqual({ 1: 50 });
  });
});

describe('a backfill is refused before anything runs', () => {
  test.for([
    ['create table events (id int, n int)', 'events', /no primary key/],
    ['create table events (id int not null unique, n int)', 'events', /no primary key/],
    ['create table events (id int unique, n int)', 'events by id', /may be null/],
    ['create table events (id int primary key, n int)', 'events by n', /no unique index on \(n\)/],
    [
      'create table events (id int primary key, n int); create unique index on events (n) where n > 0',
      'events by n',
      /no unique index on \(n\)/,
    ],
    ['create table events (n int primary key)', 'events', /changes n, which is the key of events/],
    ['create view events as select 1 as id, 2 as n', 'events', /is not a table/],
    ['create table other (id int)', 'events', /no table events/],
    [
      'create table events (id int primary key, n int); create table more () inherits (events)',
      'events',
      /inherit/,
    ],
  ] as const)('for a key: %s by %s', async ([made, about, why], { stage }) => {
    await stage.sql.unsafe(made);
    await stage.migration('001_n', backfill('update events set n = n + 1', about));
    const error = await failUp(stage.options);
    expect(error).toMatchObject({ code: 'BACKFILL_REFUSED', message: expect.stringMatching(why) });
    expect(error.hint).toBeDefined();
    expect(await stage.ledger()).toEqual([]);
  });

  test('for a key, without naming a primary key that is not there', async ({ stage }) => {
    await stage.sql`create table events (id int not null, n int not null)`;
    await stage.migration('001_n', backfill('update events set n = n + 1', 'events by id'));
    expect((await failUp(stage.options)).hint).toBe(
      'Make the index first: create unique index concurrently on events (id);',
    );
  });

  test.for([
    ['insert into copy select max(id) from events', /max\(\) is an aggregate/],
    ['insert into copy select id from events order by random()', /order by random\(\)/],
  ] as const)('for what it calls: %s', async ([statement, why], { stage }) => {
    await makeEvents(stage, 1);
    await stage.sql`create table copy (id bigint)`;
    await stage.migration('001_copy', backfill(statement));
    expect(await failUp(stage.options)).toMatchObject({
      code: 'BACKFILL_REFUSED',
      message: expect.stringMatching(why),
    });
  });

  test('where each batch would read all of another table, with the index to make', async ({
    stage,
  }) => {
    await makeEvents(stage, 100);
    await stage.sql.unsafe(`
      create table places (event int, name text);
      insert into places select i, repeat('x', 200) from generate_series(1, 60000) i;
      analyze places`);
    await stage.migration(
      '001_venue',
      backfill(
        'update events e set venue = (select p.name from places p where p.event = e.id limit 1)',
      ),
    );
    const error = await failUp(stage.options);
    expect(error).toMatchObject({
      code: 'BACKFILL_REFUSED',
      message: expect.stringContaining('each batch would read all of public.places'),
    });
    const [create] = /create index .*;/.exec(error.hint ?? '') ?? [];
    expect(create).toContain('("event")');
    await stage.sql.unsafe(create ?? '');
    await migrateUp(stage.options);
    expect(await stage.ledger()).toEqual(['001 applied']);
  });

  test('for its form, also by validate without a server', async ({ stage, project }) => {
    await stage.migration('001_n', backfill('update events set n = 1 returning id'), 'select 1;');
    expect(await failUp(stage.options)).toMatchObject({ code: 'BACKFILL_REFUSED' });
    await stage.migration('002_two', `${INCREMENT}select 1;`, 'select 1;');
    const { findings } = await validateMigrations({ directory: `${project.dir}/migrations` });
    expect(
      findings.filter(({ code }) => code === 'BACKFILL_REFUSED').map(({ location }) => location),
    ).toMatchObject([
      { line: 4, column: 1 },
      { line: 5, column: 1 },
    ]);
  });
});

describe('a backfill that stopped half way is refused', () => {
  async function half(stage: MigrateStage): Promise<void> {
    await makeEvents(stage, 100);
    await stage.migration('001_n', INCREMENT, 'update events set n = 0;');
    await stopAfter(stage, 3);
  }

  test.for([
    [
      'with another statement',
      backfill('update events set n = n + 2'),
      /has changed since; 30 rows of public.events are changed, up to id = 30/,
    ],
    ['without its directive', 'update events set n = n + 1;', /no longer says that it is one/],
    [
      'as a script without a transaction',
      '-- evdb: no-transaction\nupdate events set n = n + 1;',
      /no longer says that it is one/,
    ],
  ] as const)('%s', async ([, text, why], { stage }) => {
    await half(stage);
    await stage.migration('001_n', text);
    expect(await failUp(stage.options)).toMatchObject({
      code: 'CHANGED_MIGRATION',
      message: expect.stringMatching(why),
    });
    expect(await counts(stage)).toEqual({ 0: 70, 1: 30 });
  });

  test('but not with other batches', async ({ stage }) => {
    await half(stage);
    await stage.migration('001_n', backfill('update events set n = n + 1', 'events by id', 50));
    await migrateUp(stage.options);
    expect(await counts(stage)).toEqual({ 1: 100 });
  });

  test.for([
    ['renamed', 'alter table events rename to happenings', /there is no table events/],
    ['dropped', 'drop table events', /there is no table events/],
    [
      'replaced',
      `alter table events rename to old; create table events (like old including all)`,
      /is a different table now/,
    ],
    [
      'given another key',
      'alter table events drop constraint events_pkey, add column k serial primary key',
      /the key .* has changed since/,
    ],
    ['left without a key', 'alter table events drop constraint events_pkey', /no primary key/],
  ] as const)('where its table was %s', async ([, change, why], { stage }) => {
    await half(stage);
    await stage.sql.unsafe(change);
    const error = await failureOf<EvdbError>(migrateUp(stage.options));
    expect(error).toBeInstanceOf(EvdbError);
    expect(error).toMatchObject({
      code: 'CHANGED_MIGRATION',
      message: expect.stringMatching(why),
      details: { rowsChanged: 30 },
    });
    expect(error.message).toContain('30 rows of public.events are changed, up to id = 30');
  });
});

describe('the plan of a backfill', () => {
  test('shows the statement as it will be sent, the rows, and the index', async ({ stage }) => {
    await makeEvents(stage, 2000);
    await stage.sql`analyze events`;
    await stage.migration('001_n', backfill('update events set n = n + 1 where n < 5'));
    const { steps } = await planImpact(stage.options);
    expect(steps[0]?.backfill).toMatchObject({
      statement:
        'update events set n = n + 1 where n < 5 and events.id > $cursor and events.id <= $end',
      ...{ table: 'public.events', key: ['id'], index: 'events_pkey' },
      ...{
        rowsToWalk: 2000,
        rowsToChange: 2000,
        batchTimeMs: 600_000,
        batchRows: 10,
        unknown: null,
      },
    });
    expect(await counts(stage)).toEqual({ 0: 2000 });
  });

  test('counts a row once that a join finds several times', async ({ stage }) => {
    await makeEvents(stage, 100);
    await stage.sql`create table places (n int)`;
    await stage.sql`insert into places select 0 from generate_series(1, 50)`;
    await stage.sql`analyze events, places`;
    const update = 'update events set n = 1 from places as p where p.n = events.n';
    await stage.migration('001_n', backfill(update));
    const { steps } = await planImpact(stage.options);
    expect(steps[0]?.backfill?.rowsToWalk).toBe(100);
    expect(steps[0]?.backfill?.rowsToChange).toBe(100);
  });

  test('refuses what up would refuse', async ({ stage }) => {
    await stage.sql`create table events (n int)`;
    await stage.migration('001_n', INCREMENT);
    const error = await failureOf<ScriptError>(planImpact(stage.options));
    expect(error).toBeInstanceOf(ScriptError);
    expect(error).toMatchObject({ code: 'BACKFILL_REFUSED', location: { line: 4 } });
  });

  test('says what is not known where an earlier migration makes the table', async ({ stage }) => {
    await stage.migration('001_table', `${TABLE};`);
    await stage.migration('002_n', INCREMENT);
    const { steps } = await planImpact(stage.options);
    expect(steps[1]?.backfill).toMatchObject({
      ...{ table: 'events', statement: null, unknown: expect.stringContaining('no table events') },
    });
    await migrateUp(stage.options);
    expect(await stage.ledger()).toEqual(['001 applied', '002 applied']);
  });
});
