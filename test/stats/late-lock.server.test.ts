import { describe, expect } from 'vitest';
import type { Session } from '../../src/connection/session.ts';
import { readDuplicateIndexes } from '../../src/stats/duplicates.ts';
import { readIndexes } from '../../src/stats/indexes.ts';
import { readInvalidObjects } from '../../src/stats/invalid.ts';
import { readMissingForeignKeyIndexes } from '../../src/stats/missing-fk.ts';
import { readPartitions } from '../../src/stats/partitions.ts';
import { readSequences } from '../../src/stats/sequences.ts';
import { readTables } from '../../src/stats/tables.ts';
import { readUnusedIndexes } from '../../src/stats/unused.ts';
import { inspect, test } from '../support/sessions.ts';

/** Hides locks from a report, as if they were taken after it had looked at them. */
function blindToLocks(session: Session, refusals: string[]): Session {
  return {
    ...session,
    run: async (text) => {
      try {
        return await session.run(
          text.replaceAll(/'(Share|ShareRow|Access)?(Exclusive)?Lock'/g, "'none'"),
        );
      } catch (error) {
        refusals.push((error as { code: string }).code);
        throw error;
      }
    },
  };
}

const reports = {
  indexes: { read: readIndexes, found: { isSizeEstimated: true, definition: null } },
  unused: {
    read: (session: Session) => readUnusedIndexes(session, { minimumAgeMs: 0 }),
    found: { isSizeEstimated: true, definition: null },
  },
  duplicates: { read: readDuplicateIndexes, found: { isSizeEstimated: true, definition: null } },
  invalid: { read: readInvalidObjects, found: { definition: null } },
  'missing-fk': { read: readMissingForeignKeyIndexes, found: { isSizeEstimated: true } },
  tables: { read: readTables, found: { isSizeEstimated: true } },
  sequences: { read: readSequences, found: { isKnown: false } },
};

describe('a lock that comes in between', () => {
  for (const [topic, { read, found }] of Object.entries(reports)) {
    test(`makes an estimate of the report on ${topic}`, async ({ emptyDb, sessions }) => {
      const { sql, url } = emptyDb;
      await sql.unsafe(`
        create table p (id serial primary key); create table t (id int references p, n int);
        create index t_1 on t (n) where n + 0 > 1; create index t_2 on t (n) where n + 0 > 1;
        alter table t add constraint c check (n + 0 > 1) not valid`);
      const holder = sessions.open(url);
      await holder.unsafe('begin; truncate t, p; alter sequence p_id_seq increment 2');
      const refusals: string[] = [];
      const { rows } = await inspect<{ rows: unknown[] }>(url, async (session) => {
        const report = await read(blindToLocks(session, refusals));
        // What holds for the report alone is gone, after what failed as well.
        expect(await session.run('show enable_nestloop')).toMatchObject([
          { enable_nestloop: 'on' },
        ]);
        return report;
      });
      expect(refusals).toEqual(['55P03']);
      expect(rows.length).toBeGreaterThan(0);
      for (const row of rows) expect(row).toMatchObject(found);
      await holder.unsafe('rollback');
    });
  }

  test('does not hold up the report on partitions', async ({ emptyDb, sessions }) => {
    const { sql, url } = emptyDb;
    await sql.unsafe(`
      create table log (id int, n int) partition by range ((n + 1), id);
      create table times (at date) partition by range (at);
      create table times_1 partition of times for values from (minvalue) to (maxvalue)`);
    const holder = sessions.open(url);
    await holder.unsafe('begin; lock table log, times in access exclusive mode');
    const { rows } = await inspect(url, (session) => readPartitions(blindToLocks(session, [])));
    expect(rows.map(({ table, isOpenEnded }) => ({ table, isOpenEnded }))).toEqual([
      { table: 'log', isOpenEnded: false },
      { table: 'times', isOpenEnded: true },
    ]);
    await holder.unsafe('rollback');
  });
});
