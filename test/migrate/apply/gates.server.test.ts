import { describe, expect } from 'vitest';
import { migrateDown, migrateUp, planMigrateUp, readStatus } from '../../../src/index.ts';
import { test } from '../../support/migrate-kit.ts';
import { failureOf } from '../../support/waiting.ts';

const EVENTS = 'create table events (id int primary key, venue text, location text);';
const NO_NULLS = 'require select not exists (select from events where venue is null)';

describe('a migration that requires something', () => {
  test('runs where the query gives true', async ({ stage }) => {
    await stage.migration('001_events', EVENTS);
    await stage.migration('002_drop', `-- evdb: ${NO_NULLS}\nalter table events drop location;`);
    // The table is made by the same run: the query is asked when its migration comes.
    expect(await migrateUp(stage.options)).toMatchObject({
      steps: [{ label: '001' }, { label: '002' }],
    });
  });

  test.for([
    ['false', 'select false', 'false'],
    ['null', 'select null::boolean', 'null'],
    ['something else', 'select 1', '1'],
    ['no row', 'select true where false', 'it gives no row'],
    ['several rows', 'values (true), (true)', 'it gives 2 rows'],
    ['an error', 'select true from nowhere', 'relation "nowhere" does not exist'],
  ])('is refused before anything runs where it gives %s', async ([, query, found], { stage }) => {
    await stage.migration('001_events', `-- evdb: require ${query}\n${EVENTS}`);
    const error = await failureOf(migrateUp(stage.options));
    expect(error).toMatchObject({
      code: 'GATE_CLOSED',
      message: `001_events must not run yet: require ${query}: ${found}`,
      location: { line: 1 },
      details: { gates: [{ text: `require ${query}`, isOpen: false, found }], completed: [] },
    });
    expect(await stage.relations()).toEqual([]);
    expect(await stage.ledger()).toEqual([]);
  });

  test('can change nothing by its query', async ({ stage }) => {
    await stage.sql`create table log (id int)`;
    await stage.sql`create function note() returns boolean language sql as 'insert into log values (1) returning true'`;
    await stage.migration('001_events', `-- evdb: require select note()\n${EVENTS}`);
    expect(await failureOf(migrateUp(stage.options))).toMatchObject({
      code: 'GATE_CLOSED',
      message: expect.stringContaining('read-only transaction'),
    });
    expect(await stage.sql`select * from log`).toEqual([]);
  });

  test('looks for names where the migration would', async ({ stage }) => {
    const options = { ...stage.options, schema: 'tenant' };
    await stage.migration('001_events', EVENTS);
    await stage.migration(
      '002_a',
      "-- evdb: require select current_schema() = 'tenant'\ncreate table a ();",
    );
    expect(await migrateUp(options)).toMatchObject({ steps: [{}, {}] });
  });

  test('keeps what ran before it, and runs once it holds', async ({ stage }) => {
    await stage.migration('001_events', `${EVENTS} insert into events values (1);`);
    await stage.migration('002_drop', `-- evdb: ${NO_NULLS}\nalter table events drop location;`);
    expect(await failureOf(migrateUp(stage.options))).toMatchObject({
      code: 'GATE_CLOSED',
      details: { completed: [{ label: '001' }] },
    });
    expect(await stage.ledger()).toEqual(['001 applied']);
    await stage.sql`update events set venue = 'Hall'`;
    await migrateUp(stage.options);
    expect(await stage.ledger()).toEqual(['001 applied', '002 applied']);
  });

  test('is asked before its down script too', async ({ stage }) => {
    await stage.migration(
      '001_events',
      EVENTS,
      '-- evdb: require select false\ndrop table events;',
    );
    await migrateUp(stage.options);
    expect(await failureOf(migrateDown(stage.options))).toMatchObject({ code: 'GATE_CLOSED' });
    expect(await stage.ledger()).toEqual(['001 applied']);
  });
});

describe('a migration that requires builds', () => {
  const name = (stage: { sql: { unsafe(text: string): Promise<unknown> } }, application: string) =>
    stage.sql.unsafe(`set application_name = '${application}'`);

  test.for([
    ['checkout/1.7.9', false],
    ['checkout/1.8.0-rc.1', false],
    ['checkout/dev', false],
    ['checkout/1.8', true],
    ['checkout/1.10.0', true],
    ['checkout-worker/1.0', true],
    ['checkout', true],
  ] as const)('where %s is connected: %j', async ([application, isOpen], { stage }) => {
    await stage.migration('001_first', 'create table first (id int);');
    await stage.migration(
      '002_events',
      `-- evdb: contract\n-- evdb: require-build checkout >= 1.8\n${EVENTS}`,
    );
    await name(stage, application);
    if (isOpen) {
      await migrateUp(stage.options);
      return expect(await stage.ledger()).toEqual(['001 applied', '002 applied']);
    }
    expect(await failureOf(migrateUp(stage.options))).toMatchObject({
      code: 'GATE_CLOSED',
      message: expect.stringContaining(`connected: ${application} (1)`),
    });
    // No earlier migration of the run can change who is connected, so nothing runs at all.
    expect(await stage.ledger()).toEqual([]);
  });

  test('sees them with a role that may see nothing else of other sessions', async ({ stage }) => {
    const role = await stage.createRole();
    await stage.sql.unsafe(`create schema own authorization "${role.name}"`);
    await stage.sql.unsafe(
      `grant create on database "${new URL(stage.url).pathname.slice(1)}" to "${role.name}"`,
    );
    await stage.migration('001_events', `-- evdb: require-build checkout >= 1.8\n${EVENTS}`);
    await name(stage, 'checkout/1.7');
    const options = { ...(await stage.optionsFor(role.url)), schema: 'own' };
    expect(await failureOf(migrateUp(options))).toMatchObject({ code: 'GATE_CLOSED' });
  });
});

test('a migration after a backfill waits until that is applied', async ({ stage }) => {
  await stage.migration('001_events', EVENTS);
  await stage.migration(
    '003_drop',
    '-- evdb: after backfill 002\nalter table events drop location;',
  );
  expect(await failureOf(migrateUp(stage.options))).toMatchObject({
    code: 'GATE_CLOSED',
    message: '003_drop must not run yet: after backfill 002: it is not applied',
  });
  await stage.migration(
    '002_fill',
    '-- evdb: backfill events by id\nupdate events set venue = location where venue is null;',
  );
  await migrateUp(stage.options);
  expect(await stage.ledger()).toEqual(['001 applied', '002 applied', '003 applied']);
});

describe('expand', () => {
  test('stops before the first migration that contracts, and says what it waits for', async ({
    stage,
  }) => {
    await stage.migration('001_events', EVENTS);
    await stage.migration(
      '002_drop',
      `-- evdb: contract\n-- evdb: ${NO_NULLS}\nalter table events drop location;`,
    );
    await stage.migration('003_later', 'create table later (id int);');
    const waiting = { label: '002', name: 'drop', gates: [NO_NULLS] };
    const pending = [{ label: '002' }, { label: '003' }];
    const expand = { ...stage.options, expand: true };
    expect(await planMigrateUp(expand)).toMatchObject({
      steps: [{ label: '001' }],
      waiting,
      pending,
    });
    expect(await migrateUp(expand)).toMatchObject({ steps: [{ label: '001' }], waiting, pending });
    expect(await migrateUp(expand)).toMatchObject({ steps: [], waiting, pending });
    expect((await readStatus(stage.options)).migrations.slice(1)).toMatchObject([
      { label: '002', state: 'pending', isContract: true, gates: [NO_NULLS] },
      { label: '003', state: 'pending' },
    ]);
    expect(await migrateUp(stage.options)).toMatchObject({
      steps: [{ label: '002' }, { label: '003' }],
    });
  });
});

test('names no backfill that is done among what a migration waits for', async ({ stage }) => {
  await stage.migration('001_events', EVENTS);
  await stage.migration(
    '002_fill',
    '-- evdb: backfill events by id\nupdate events set venue = location where venue is null;',
  );
  await stage.migration(
    '003_drop',
    `-- evdb: contract\n-- evdb: after backfill 002\n-- evdb: ${NO_NULLS}\nalter table events drop location;`,
  );
  const gatesOfStatus = async () => (await readStatus(stage.options)).migrations.at(-1)?.gates;
  const expand = { ...stage.options, expand: true };
  expect(await planMigrateUp({ ...expand, wait: false })).toMatchObject({
    waiting: { cause: 'contract', gates: ['after backfill 002', NO_NULLS] },
  });
  expect(await gatesOfStatus()).toEqual(['after backfill 002', NO_NULLS]);
  for (const steps of [[{ label: '001' }, { label: '002' }], []]) {
    expect(await migrateUp(expand)).toMatchObject({ steps, waiting: { gates: [NO_NULLS] } });
  }
  expect(await gatesOfStatus()).toEqual([NO_NULLS]);

  await stage.migration('002_all', `-- evdb: replaces 001-002\n${EVENTS}`);
  await stage.remove('001_events');
  await stage.remove('002_fill');
  expect(await gatesOfStatus()).toEqual([NO_NULLS]);
});

describe('a migration that ensures something', () => {
  test('is rolled back where that does not hold after its statements', async ({ stage }) => {
    await stage.migration('001_events', EVENTS);
    await migrateUp(stage.options);
    await stage.migration(
      '002_fill',
      '-- evdb: ensure select count(*) = 2 from events\ninsert into events values (1);',
    );
    expect(await failureOf(migrateUp(stage.options))).toMatchObject({
      code: 'ENSURE_FAILED',
      message: '002_fill does not ensure what it says: false',
      location: { line: 1 },
    });
    expect(await stage.sql`select * from events`).toEqual([]);
    expect(await stage.ledger()).toEqual(['001 applied']);
    expect(await stage.history()).toEqual(['up 001', 'failed 002']);
  });

  test('is applied where it holds, whatever role and path its script leaves behind', async ({
    stage,
  }) => {
    await stage.migration(
      '001_events',
      `-- evdb: ensure select count(*) = 1 from events\n-- evdb: ensure select true\n${EVENTS} insert into events values (1); set search_path = pg_catalog;`,
    );
    await stage.migration('002_more', '-- evdb: ensure select true\ncreate table more (id int);');
    await migrateUp(stage.options);
    expect(await stage.ledger()).toEqual(['001 applied', '002 applied']);
  });

  test('can change nothing by its query', async ({ stage }) => {
    await stage.migration(
      '001_events',
      `-- evdb: ensure select note()\n${EVENTS} create function note() returns boolean language sql as 'insert into events values (1) returning true';`,
    );
    expect(await failureOf(migrateUp(stage.options))).toMatchObject({
      code: 'ENSURE_FAILED',
      message: expect.stringContaining('read-only transaction'),
    });
    expect(await stage.relations()).toEqual([]);
  });
});
