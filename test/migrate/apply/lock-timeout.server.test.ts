import { afterAll, describe, expect, vi } from 'vitest';
import { migrateUp, ScriptError } from '../../../src/index.ts';
import { test } from '../../support/migrate-kit.ts';

// Files before this one have loaded the sources with the real one; those behind it get it back.
vi.hoisted(() => vi.resetModules());
afterAll(() => {
  vi.doUnmock('../../../src/connection/retry.ts');
  vi.resetModules();
});

// The real ladder takes 100 seconds to its end.
vi.mock(import('../../../src/connection/retry.ts'), async (load) => ({
  ...(await load()),
  LADDER: [
    { lockTimeoutMs: 200, pauseMs: 1 },
    { lockTimeoutMs: 1000, pauseMs: 0 },
  ],
}));

describe('a lock that is never to be had', () => {
  test.for([
    ['inside a transaction', '', /^Nothing of 001_\w+ was applied/],
    ['outside one', '-- evdb: no-transaction\n', /^The statements before it are committed/],
  ] as const)(
    'ends in LOCK_TIMEOUT with the blocker and the place, %s',
    async ([, header, left], { stage }) => {
      await stage.sql`create table busy (id int)`;
      const blocker = stage.openOther();
      const [row] = await blocker`select pg_backend_pid() as pid`;
      await blocker.unsafe('begin');
      await blocker.unsafe('lock table busy in access share mode');
      await stage.migration('001_a', `${header}alter table\n  busy add column n int;`);

      const error = await migrateUp(stage.options).catch((failure: unknown) => failure);
      expect(error).toBeInstanceOf(ScriptError);
      expect(error).toMatchObject({
        code: 'LOCK_TIMEOUT',
        message: expect.stringMatching(
          new RegExp(
            `^001_a could not acquire its locks: pid ${row?.pid} \\(evdb-test, .* idle in transaction for .*\\): lock table busy`,
          ),
        ),
        hint: expect.stringMatching(left),
        location: { line: header === '' ? 1 : 2, column: 1 },
        server: { sqlstate: '55P03' },
      });
      const retries = stage.heard.filter(({ kind }) => kind === 'retry');
      expect(retries).toMatchObject([{ attempt: 1, attempts: 2 }]);
      expect(await stage.history()).toEqual(['failed 001']);
      await blocker.unsafe('rollback');
      expect(await stage.sql`select * from busy`).toMatchObject({ columns: [{ name: 'id' }] });
    },
  );
});
