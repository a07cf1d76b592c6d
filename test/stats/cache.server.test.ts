import { expect } from 'vitest';
import { readCache } from '../../src/stats/cache.ts';
import { useInOwnSession } from '../event-schema/index-usage-kit.ts';
import { inspect, test } from '../support/sessions.ts';
import { eventually } from '../support/waiting.ts';

test('shows ratios of the database, its tables and indexes once there are enough reads', async ({
  emptyDb,
}) => {
  const { sql, url, name } = emptyDb;
  await useInOwnSession(url, [
    'create table hot as select n from generate_series(1, 20000) as n',
    'create index hot_n on hot (n)',
    'vacuum analyze hot',
    ...Array.from({ length: 150 }, () => 'select count(*) from hot'),
    'set enable_seqscan = off',
    'select n from hot where n = 5',
  ]);
  const report = await eventually(async () => {
    const found = await inspect(url, readCache);
    const row = found.rows.find((one) => one.kind === 'table' && one.name === 'hot');
    return row?.isMeaningful ? found : undefined;
  });
  expect(report.countedSince).toBeInstanceOf(Date);
  expect(report.rows.slice(0, 3)).toMatchObject([
    { kind: 'database', name, schema: null, isMeaningful: true },
    { kind: 'tables', isMeaningful: true },
    { kind: 'indexes', isMeaningful: false },
  ]);
  const hot = report.rows.find((one) => one.kind === 'table' && one.name === 'hot');
  expect(hot?.schema).toBe('public');
  expect(hot?.hitRatio).toBeGreaterThan(0.9);
  expect(hot?.hits).toBeGreaterThan(10_000);
  expect(report.rows.find((one) => one.kind === 'indexes of table')).toMatchObject({ name: 'hot' });
  expect(report.notes).toEqual([
    { level: 'info', text: expect.stringContaining('shown in brackets') },
  ]);
  void sql;
});

test('says that the ratios of a fresh database mean nothing', async ({ emptyDb, live }) => {
  for (const url of [emptyDb.url, live.plainUrl]) {
    const report = await inspect(url, readCache);
    expect(report.rows.map(({ kind, isMeaningful }) => [kind, isMeaningful])).toEqual([
      ['database', false],
      ['tables', false],
      ['indexes', false],
    ]);
    expect(report.rows[1]).toMatchObject({ hits: 0, reads: 0, hitRatio: null });
    expect(report.notes).toEqual([
      { level: 'info', text: expect.stringContaining('mean nothing yet') },
    ]);
  }
});
