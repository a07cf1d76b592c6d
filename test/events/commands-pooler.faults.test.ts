import { expect } from 'vitest';
import { addOldEntries } from '../event-schema/audit-kit.ts';
import { addEvent, addUsers } from '../event-schema/event-schema-kit.ts';
import { closeSql, openSql } from '../support/databases.ts';
import { test as base } from '../support/fixture.ts';
import { startPgBouncer, whyNoPgBouncer } from '../support/pgbouncer.ts';
import { type CliResult, runCli } from '../support/run-cli.ts';

interface Pooled {
  evdb: (...args: string[]) => Promise<CliResult>;
  /** What whoever gets the pooler's connection next finds set. */
  settings: () => Promise<unknown>;
}

const test = base.extend<{ pooled: Pooled }>({
  pooled: async ({ project, db }, use) => {
    const pooler = await startPgBouncer(db.url, { poolMode: 'transaction', poolSize: 1 });
    await use({
      evdb: (...args) => runCli(args, { cwd: project.dir, env: { EVDB_URL: pooler.url } }),
      settings: async () => {
        const sql = openSql(pooler.url, 1);
        const [row] = await sql.unsafe(
          `select current_setting('search_path') as path, current_setting('lock_timeout') as timeout,
            current_setting('default_transaction_read_only') as "readOnly"`,
          [],
          { prepare: false },
        );
        await closeSql(sql);
        return { ...row };
      },
    });
    await pooler.stop();
  },
});

test.skipIf(whyNoPgBouncer() !== undefined)(
  'commands on the event schema work behind a pooler and leave nothing set on its connections',
  async ({ pooled, db }) => {
    const [user = 0] = await addUsers(db.sql, 1);
    const id = String(await addEvent(db.sql));
    await addOldEntries(db.sql, 200, 5);
    const before = await pooled.settings();
    for (const args of [
      ['events', 'list'],
      ['events', 'search', 'concert'],
      ['events', 'register', id, String(user)],
      ['events', 'show', id],
      ['events', 'stats', id],
      ['events', 'unregister', id, String(user)],
      ['rules', 'check'],
      ['rules', 'list'],
      ['rules', 'repair', '--dry-run'],
      ['rules', 'repair', '--confirm'],
      ['audit', 'log'],
      ['audit', 'summary'],
      ['audit', 'cleanup', '--days', '90', '--dry-run'],
      ['audit', 'cleanup', '--days', '90'],
    ]) {
      const { code, stderr } = await pooled.evdb(...args);
      expect([args.join(' '), code, stderr.replace(/^dropped .*\n/gm, '')]).toEqual([
        args.join(' '),
        0,
        '',
      ]);
      expect(await pooled.settings()).toEqual(before);
    }
    expect(await pooled.evdb('audit', 'log', '--watch')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('error POOLER_DETECTED'),
    });
  },
);
