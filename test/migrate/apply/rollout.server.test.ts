import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { lintMigrations } from '../../../src/index.lint.ts';
import { migrateUp, planMigrateUp, writeExpansion } from '../../../src/index.ts';
import { type MigrateStage, test } from '../../support/migrate-kit.ts';
import { failureOf } from '../../support/waiting.ts';

const ROWS = 3000;

/** The files of the page, by their name. */
function readStory(): [name: string, text: string][] {
  const page = readFileSync('docs/rollout.md', 'utf8');
  const found = page.matchAll(/^`(\d+_\w+)\.sql`[^\n]*\n(?:[^\n`]+\n)*\n```sql\n([\s\S]*?)```/gm);
  return [...found].map(([, name = '', text = '']) => [name, text]);
}

/** A build of the application that writes one row after the other until it is stopped. */
function startBuild(
  stage: MigrateStage,
  version: string,
  column: string,
  isOwn: (id: number) => boolean,
) {
  const sql = stage.openOther();
  const written = new Map<number, string>();
  let isStopped = false;
  const run = async () => {
    await sql.unsafe(`set application_name = 'api/${version}'`);
    for (let count = 0; !isStopped; count++) {
      const id = 1 + ((count * 7919) % ROWS);
      if (!isOwn(id)) continue;
      const value = `${version} ${count}`;
      await sql.unsafe(`update events set ${column} = $1 where id = $2`, [value, id]);
      written.set(id, value);
      if (count % 10 === 0) {
        const [row] = await sql.unsafe(
          `insert into events (${column}) values ($1) returning id::int`,
          [value],
        );
        written.set(row?.id, value);
      }
    }
  };
  const running = run();
  running.catch(() => undefined);
  return {
    written,
    stop: async () => {
      isStopped = true;
      await running;
    },
    disconnect: () => sql.end(),
  };
}

test('the rename of the page loses nothing while the old and the new build write', {
  timeout: 60_000,
}, async ({ stage }) => {
  await stage.migration(
    '019_events',
    `create table events (id bigint generated always as identity primary key, location text);
insert into events (location) select 'Hall ' || i from generate_series(1, ${ROWS}) as i;`,
  );
  await migrateUp(stage.options);
  const story = readStory();
  const { migrations } = await writeExpansion({
    ...stage.options,
    request: {
      ...({ recipe: 'rename-column', column: 'events.location', to: 'venue' } as const),
      requireBuild: 'api >= 2.0',
    },
  });
  expect(
    migrations.map(({ version, name, files }) => [`${version}_${name}`, files[0]?.text]),
  ).toEqual(story);

  const old = startBuild(stage, '1.9.3', 'location', (id) => id % 3 !== 0);
  const expand = { ...stage.options, expand: true };
  expect(await migrateUp({ ...expand, to: '020' })).toMatchObject({ steps: [{ label: '020' }] });
  const young = startBuild(stage, '2.0.0', 'venue', (id) => id % 3 !== 1);
  expect(await migrateUp(expand)).toMatchObject({
    steps: [{ label: '021' }, { label: '022' }],
    waiting: { label: '023', gates: ['require-build api >= 2.0'] },
  });
  expect(await failureOf(migrateUp(stage.options))).toMatchObject({
    code: 'GATE_CLOSED',
    message: expect.stringContaining('connected: api/1.9.3 (1)'),
  });
  await old.stop();
  await old.disconnect();
  expect(await migrateUp(stage.options)).toMatchObject({ steps: [{ label: '023' }] });
  await young.stop();

  const rows = await stage.sql`select id::int, venue from events`;
  const venues = new Map(rows.map(({ id, venue }) => [id, venue]));
  expect(young.written.size).toBeGreaterThan(10);
  expect(old.written.size).toBeGreaterThan(10);
  const lost = [...old.written].filter(([id, value]) => {
    // Rows that both wrote hold what one of them wrote last.
    return venues.get(id) !== value && venues.get(id) !== young.written.get(id);
  });
  expect(lost).toEqual([]);
  expect(
    [...young.written].filter(
      ([id, value]) => venues.get(id) !== value && venues.get(id) !== old.written.get(id),
    ),
  ).toEqual([]);
  expect(rows.filter(({ venue }) => venue === null)).toEqual([]);
});

test('the files of the page pass lint', async ({ stage }) => {
  await stage.migration(
    '001_events',
    'create table events (id bigint primary key, location text);',
  );
  for (const [name, text] of readStory()) await stage.migration(name, text);
  const report = await lintMigrations({ directory: stage.options.directory });
  expect(report.findings.filter(({ severity }) => severity !== 'info')).toEqual([]);
  expect((await planMigrateUp(stage.options)).steps).toHaveLength(5);
});
