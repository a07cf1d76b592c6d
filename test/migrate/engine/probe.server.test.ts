import { describe, expect } from 'vitest';
import { type EvdbError, migrateUp, readStatus } from '../../../src/index.ts';
import { LIES, type Lie, type LyingServer, startLyingServer } from '../../support/lying-server.ts';
import { test as base, type MigrateStage } from '../../support/migrate-kit.ts';
import { failureOf } from '../../support/waiting.ts';

/** A stage whose server lies in one way. */
const test = base.extend<{
  $test: { lie: (lie: Lie) => Promise<{ server: LyingServer; options: MigrateStage['options'] }> };
}>({
  lie: async ({ stage }, use) => {
    const servers: LyingServer[] = [];
    await use(async (lie) => {
      const server = await startLyingServer(stage.url, lie);
      servers.push(server);
      return { server, options: await stage.optionsFor(server.url) };
    });
    for (const server of servers) await server.close();
  },
});

const HONEST: Lie = (text) => text;

/** What there is beside what every database has. */
async function listObjects({ sql }: MigrateStage): Promise<readonly unknown[]> {
  return sql`
    select nspname from pg_namespace where nspname !~ '^(pg_|information_schema$|public$)'
    union all
    select relname from pg_class where relname ~ 'evdb'`;
}

function probesOf({ heard }: LyingServer): number {
  return heard.filter((text) => text === 'savepoint evdb_probe').length;
}

describe('a server', () => {
  test.for<[string, keyof typeof LIES, string, string]>([
    ['gives every lock to everybody', 'sharedLocks', 'lock', 'one runner at a time'],
    ['has no advisory locks', 'noLocks', 'lock', 'one runner at a time'],
    ['commits DDL that is rolled back', 'committedDdl', 'rollback', 'whole or not at all'],
    ['takes one DDL a transaction', 'oneDdl', 'rollback', 'whole or not at all'],
    ['refuses a savepoint behind DDL', 'noSavepoints', 'savepoint', 'undone without the rest'],
    ['ignores the way back to a savepoint', 'deafSavepoints', 'savepoint', 'undone without'],
    ['forgets what a session was told', 'forgetful', 'session', 'kept until it ends'],
  ])(
    'that %s is refused, and nothing is left on it',
    async ([, name, promise, quoted], { stage, lie }) => {
      await stage.migration('001_a', 'create table a ();');
      const { options } = await lie(LIES[name]);
      const failure = await failureOf<EvdbError>(migrateUp({ ...options, lockWaitMs: 0 }));
      expect(failure).toMatchObject({
        code: 'ENGINE_UNFIT',
        message: expect.stringContaining(quoted),
        hint: expect.stringContaining('docs/engines.md'),
        details: { broken: [{ promise }] },
      });
      expect(failure.hint?.includes('EVDB_LOCK=lease')).toBe(promise === 'lock');
      expect(await listObjects(stage)).toEqual([]);
      expect(await stage.relations()).toEqual([]);
    },
  );

  test('that gives each message another backend is refused as a pooler', async ({ stage, lie }) => {
    await stage.migration('001_a', 'create table a ();');
    const { options } = await lie(LIES.manyBackends);
    expect(await failureOf(migrateUp(options))).toMatchObject({ code: 'POOLER_DETECTED' });
    expect(await listObjects(stage)).toEqual([]);
  });

  test('that keeps the tables of the probe, and keeps evdb from removing them, is told of', async ({
    stage,
    lie,
  }) => {
    await stage.migration('001_a', 'create table a ();');
    const { options } = await lie((text) =>
      LIES.committedDdl(text).replace(/^drop table/, 'drop nothing'),
    );
    const failure = await failureOf<EvdbError>(migrateUp(options));
    const { left } = failure.details as { left: string };
    expect(failure.hint).toContain(`could not be removed; run: ${left}`);
    await stage.sql.unsafe(left);
    expect(await listObjects(stage)).toEqual([]);
  });

  test('without advisory locks is fit where runners have a lease', async ({ stage, lie }) => {
    await stage.migration('001_a', 'create table a ();', 'drop table a;');
    for (const name of ['sharedLocks', 'noLocks'] as const) {
      const { options } = await lie(LIES[name]);
      await migrateUp({ ...options, lock: 'lease' });
      expect(await stage.ledger()).toEqual(['001 applied']);
      expect(await stage.sql`select engine_promises from evdb.ledger_format`).toEqual([
        { engine_promises: 'rollback savepoint session' },
      ]);
      // That a lease was enough says nothing of the lock.
      await stage.migration('002_b', 'create table b ();');
      expect(await failureOf(migrateUp(options))).toMatchObject({ code: 'ENGINE_UNFIT' });
      await stage.remove('002_b');
      await stage.sql.unsafe('drop schema evdb cascade; drop table a');
    }
  });

  test('that is unfit in another way is refused with a lease too', async ({ stage, lie }) => {
    await stage.migration('001_a', 'create table a ();');
    const { options } = await lie(LIES.noSavepoints);
    const failure = await failureOf(migrateUp({ ...options, lock: 'lease' }));
    expect(failure).toMatchObject({ code: 'ENGINE_UNFIT' });
    expect(await listObjects(stage)).toEqual([]);
  });
});

describe('the probe', () => {
  test('is made before the first run, and never again on the same server', async ({
    stage,
    lie,
  }) => {
    await stage.migration('001_a', 'create table a ();');
    const { server, options } = await lie(HONEST);
    await readStatus(options);
    expect(probesOf(server)).toBe(0);
    await migrateUp(options);
    expect(probesOf(server)).toBe(1);
    expect(
      await stage.sql`
      select engine = version() as same, engine_promises from evdb.ledger_format`,
    ).toEqual([{ same: true, engine_promises: 'lock rollback savepoint session' }]);
    await stage.migration('002_b', 'create table b ();');
    await migrateUp(options);
    await migrateUp({ ...options, schema: 'other' });
    expect(probesOf(server)).toBe(1);
  });

  test('adds nothing to a run with nothing to do', async ({ stage, lie }) => {
    await stage.migration('001_a', 'create table a ();');
    await migrateUp(stage.options);
    const { server, options } = await lie(HONEST);
    await migrateUp(options);
    expect(server.heard.join('\n')).not.toMatch(/engine|lease|evdb_probe/);
  });

  test('is made again where the server is another one by now', async ({ stage, lie }) => {
    await stage.migration('001_a', 'create table a ();');
    await migrateUp(stage.options);
    await stage.sql`update evdb.ledger_format set engine = 'CockroachDB CCL v26'`;
    await stage.migration('002_b', 'create table b ();');
    const { server, options } = await lie(HONEST);
    await migrateUp(options);
    expect(probesOf(server)).toBe(1);
    await stage.migration('003_c', 'create table c ();');
    await migrateUp(options);
    expect(probesOf(server)).toBe(1);
  });

  test('is one round trip: all of it is sent before anything is answered', async ({
    stage,
    lie,
  }) => {
    await stage.migration('001_a', 'create table a ();');
    const { server, options } = await lie(HONEST);
    server.holdBack(/set_config\('evdb\.probe'/, /^set evdb\.probe = ''$/);
    await migrateUp(options);
    expect(probesOf(server)).toBe(1);
    expect(await stage.ledger()).toEqual(['001 applied']);
  });

  test('works for a role that owns the ledger’s schema and may create no other', async ({
    stage,
  }) => {
    await stage.migration('001_a', 'create table a ();');
    const { name, url } = await stage.createRole();
    await stage.sql.unsafe(`
      create schema evdb authorization ${name};
      create schema app authorization ${name}`);
    await migrateUp({ ...(await stage.optionsFor(url)), schema: 'app' });
    expect(await stage.sql`select engine_promises from evdb.ledger_format`).toEqual([
      { engine_promises: 'lock rollback savepoint session' },
    ]);
  });

  test('is no reason to refuse where an event trigger refuses its tables', async ({ stage }) => {
    await stage.sql.unsafe(`
      create function refuse_probe() returns event_trigger language plpgsql as $$
      begin
        if exists (select from pg_event_trigger_ddl_commands() where object_identity ~ 'evdb_probe') then
          raise exception 'not that';
        end if;
      end $$;
      create event trigger refuse_probe on ddl_command_end execute function refuse_probe()`);
    await stage.migration('001_a', 'create table a ();');
    await migrateUp(stage.options);
    expect(await stage.ledger()).toEqual(['001 applied']);
    expect(await stage.sql`select engine_promises from evdb.ledger_format`).toEqual([
      { engine_promises: 'lock session' },
    ]);
  });
});
