import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, vi } from 'vitest';
import { migrateUp } from '../../src/index.ts';
import { holdRunnerLock, untilHeard } from '../support/migrate-kit.ts';
import { type AdoptStage, test as base } from './adopt-kit.ts';

const FILE = '-- migrate:up\ncreate table a ();\n-- migrate:down\ndrop table a;\n';

/** `migrated`: one migration that dbmate has applied, and a ledger that another schema made. */
const test = base.extend<{ migrated: AdoptStage }>({
  migrated: async ({ adoption }, use) => {
    const { sql, write } = adoption;
    await sql`create table schema_migrations (version varchar primary key)`;
    await sql`insert into schema_migrations values ('001')`;
    await write('db/migrations/001_a.sql', FILE);
    await write('seed/001_a.sql', 'select 1;');
    await migrateUp({ ...adoption.options, directory: join(adoption.dir, 'seed'), schema: 'seed' });
    await use(adoption);
  },
});

/** Keeps the ledger from being written, and gives the pid of who waits for it. */
async function blockLedger({ sql, openOther }: AdoptStage) {
  const holder = openOther();
  await holder.unsafe('begin; lock table evdb.history in share mode');
  const waiter = () =>
    vi.waitUntil(
      async () => {
        const [row] = await sql`
          select pid from pg_locks
          where not granted and relation = 'evdb.history'::regclass
            and database = (select oid from pg_database where datname = current_database())`;
        return row?.pid as number | undefined;
      },
      { timeout: 30_000, interval: 10 },
    );
  return { waiter, release: () => holder.unsafe('rollback') };
}

async function expectUntouched(migrated: AdoptStage): Promise<void> {
  expect(await migrated.files()).toEqual({});
  expect(await migrated.ledger()).toEqual([]);
}

test('two at once adopt once', async ({ migrated }) => {
  const results = await Promise.all([migrated.adopt('dbmate'), migrated.adopt('dbmate')]);
  expect(results.map(({ adopted }) => adopted.length).sort()).toEqual([0, 1]);
  expect(await migrated.ledger()).toEqual(['001 applied']);
  expect(Object.keys(await migrated.files())).toEqual(['001_a.down.sql', '001_a.sql']);
});

test('waits for a runner that is at work, and names it', async ({ migrated }) => {
  await holdRunnerLock(migrated);
  await expect(migrated.adopt('dbmate', { lockWaitMs: 0 })).rejects.toMatchObject({
    code: 'LOCKED',
  });
  await expectUntouched(migrated);
});

test('an interruption leaves nothing behind', async ({ migrated }) => {
  const { waiter, release } = await blockLedger(migrated);
  const controller = new AbortController();
  const adopting = migrated.adopt('dbmate', { signal: controller.signal });
  adopting.catch(() => undefined);
  await waiter();
  controller.abort(new Error('enough'));
  await expect(adopting).rejects.toThrow('enough');
  await expectUntouched(migrated);
  await release();
});

test('a lost connection leaves nothing behind, and the next try works', async ({ migrated }) => {
  const { waiter, release } = await blockLedger(migrated);
  const adopting = migrated.adopt('dbmate');
  adopting.catch(() => undefined);
  const pid = await waiter();
  await migrated.sql`select pg_terminate_backend(${pid as number})`;
  await expect(adopting).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
  await expectUntouched(migrated);
  await release();
  expect(await migrated.adopt('dbmate')).toMatchObject({ adopted: [{}] });
});

test('a role that may not read the table is told what to grant', async ({ migrated }) => {
  const { name, url } = await migrated.createRole();
  await migrated.sql.unsafe(`
    grant all on schema evdb to ${name};
    grant all on all tables in schema evdb to ${name};`);
  const { connection } = await migrated.optionsFor(url);
  const refused = await migrated.adopt('dbmate', { connection }).catch((error: unknown) => error);
  expect(refused).toMatchObject({
    code: 'PERMISSION_DENIED',
    message: `user "${name}" may not read public.schema_migrations`,
  });
  const [grant = ''] = /grant usage .*;$/.exec((refused as { hint: string }).hint) ?? [];
  await migrated.sql.unsafe(grant);
  expect(await migrated.adopt('dbmate', { connection })).toMatchObject({ adopted: [{}] });
});

test('files of a try that was killed are taken as they are', async ({ migrated }) => {
  await migrated.write('db/evdb/001_a.sql', '-- a word more\ncreate table a ();\n');
  expect(await migrated.adopt('dbmate')).toMatchObject({
    adopted: [{ label: '001' }],
    files: ['001_a.down.sql'],
  });
  expect(await migrated.states()).toEqual(['001 applied']);
});

test('brings back what the ledger knows and the folder lacks', async ({ migrated }) => {
  await migrated.adopt('dbmate');
  expect(await migrated.adopt('dbmate', { directory: join(migrated.dir, 'new') })).toMatchObject({
    adopted: [],
    known: 1,
    files: ['001_a.sql', '001_a.down.sql'],
  });
});

test('takes over once the runner that is at work has ended', async ({ migrated }) => {
  const holder = await holdRunnerLock(migrated);
  const adopting = migrated.adopt('dbmate');
  await untilHeard(migrated.heard, 'lock-wait');
  await holder`select pg_advisory_unlock_all()`;
  expect(await adopting).toMatchObject({ adopted: [{}] });
});

test('reads a file that is a link', async ({ migrated }) => {
  const target = await migrated.write('elsewhere/shared.sql', FILE);
  await symlink(target, join(migrated.dir, 'db/migrations/002_linked.sql'));
  await symlink('nowhere', join(migrated.dir, 'db/migrations/003_broken.sql'));
  expect(await migrated.adopt('dbmate')).toMatchObject({ pending: [{ name: 'linked' }] });
});

test("finds the folder that holds the tool's files among those where they may lie", async ({
  adoption,
}) => {
  await adoption.write('db/migrations/001_other.sql', '-- migrate:up\n-- migrate:down\n');
  await adoption.write('sql/001_a.up.sql', 'create table a ();');
  await adoption.write('sql/001_a.down.sql', 'drop table a;');
  // the folder that evdb writes to is no candidate, whatever it holds
  const directory = join(adoption.dir, 'migrations');
  await adoption.write('migrations/002_own.sql', 'select 1;');
  await adoption.write('migrations/002_own.down.sql', 'select 1;');
  for (const files of [['001_a.sql', '001_a.down.sql'], []]) {
    expect(await adoption.adopt('pairs', { directory })).toMatchObject({
      ...{ fromDirectory: 'sql', table: null, adopted: [], pending: [{ label: '001' }], files },
    });
  }
});
