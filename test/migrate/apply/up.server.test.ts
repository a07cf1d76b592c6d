import { createHash } from 'node:crypto';
import { userInfo } from 'node:os';
import { describe, expect } from 'vitest';
import { migrateDown, migrateUp, planMigrateUp, readStatus } from '../../../src/index.ts';
import { holdRunnerLock, type MigrateStage, test, writeThree } from '../../support/migrate-kit.ts';

describe('up', () => {
  test('applies in the order of the numbers and says what it did', async ({ stage }) => {
    await writeThree(stage);
    const result = await migrateUp(stage.options);
    expect(result).toMatchObject({
      schema: 'public',
      warnings: [],
      durationMs: expect.any(Number),
      steps: [
        { direction: 'up', version: '1', label: '001', name: 'one' },
        { direction: 'up', version: '2', label: '2', name: 'two' },
        { direction: 'up', version: '10', label: '10', name: 'ten' },
      ],
    });
    expect(await stage.relations()).toEqual(['ten']);
    expect(await stage.ledger()).toEqual(['001 applied', '2 applied', '10 applied']);
    expect(await stage.history()).toEqual(['up 001', 'up 2', 'up 10']);
  });

  test('goes on where what listens to its progress fails', async ({ stage, onTestFinished }) => {
    const warnings: string[] = [];
    const hear = ({ message }: Error) => void warnings.push(message);
    process.on('warning', hear);
    onTestFinished(() => void process.off('warning', hear));
    const listeners = [
      () => {
        throw new Error('no log');
      },
      () => Promise.reject(new Error('no log')),
    ];
    for (const [index, onProgress] of listeners.entries()) {
      await stage.migration(`${2 * index + 1}_a`, `create table t${index} (id integer);`);
      await stage.migration(
        `${2 * index + 2}_b`,
        `-- evdb: no-transaction\ncreate index concurrently i${index} on t${index} (id);`,
      );
      const { steps } = await migrateUp({ ...stage.options, onProgress });
      expect(steps).toHaveLength(2);
    }
    await expect
      .poll(() => new Set(warnings))
      .toEqual(new Set(['onProgress failed: Error: no log']));
  });

  test('begins at version 0, beside which there may be a 1', async ({ stage }) => {
    await stage.migration('1_b', 'create table b ();', 'drop table b;');
    await stage.migration('00000000000000_setup', 'create table z ();', 'drop table z;');
    await migrateUp(stage.options);
    expect(await stage.ledger()).toEqual(['00000000000000 applied', '1 applied']);
    await migrateDown({ ...stage.options, to: '0' });
    expect(await stage.relations()).toEqual(['z']);
    await migrateDown({ ...stage.options, steps: 1 });
    expect(await stage.relations()).toEqual([]);
    expect(await readStatus(stage.options)).toMatchObject({ counts: { pending: 2 } });
  });

  test('tells of each step and each statement while it works', async ({ stage }) => {
    const up = 'create table a ();\n\ncomment on table a is $$;$$;\n';
    await stage.migration('001_a', up, 'drop table a;');
    await migrateUp(stage.options);
    const step = { version: '1', label: '001', name: 'a' };
    expect(stage.heard).toMatchObject([
      { kind: 'step-started', direction: 'up', step, index: 0, total: 1 },
      { kind: 'statement', step, line: 1, command: 'create table' },
      { kind: 'statement', step, line: 3, command: 'comment' },
      { kind: 'step-done', direction: 'up', step, durationMs: expect.any(Number) },
    ]);
  });

  test('keeps checksum, texts, transaction and duration with the ledger row', async ({ stage }) => {
    const up = "create table marker as select pg_current_xact_id() as xid, 'é🎈'::text as t;\n";
    await stage.migration('001_a', up, 'drop table marker;\n');
    await migrateUp(stage.options);
    const [row] = await stage.sql`
      select m.*, t.up_text, t.down_text, k.xid = m.transaction_id as same_transaction
      from evdb.migration as m
      join evdb.migration_text as t using (target_schema, version)
      cross join marker as k`;
    expect(row).toMatchObject({
      target_schema: 'public',
      version: '1',
      label: '001',
      name: 'a',
      checksum: createHash('sha256').update(up).digest('hex'),
      state: 'applied',
      statements_done: 1,
      statements_total: 1,
      applied_at: expect.any(Date),
      duration_ms: expect.any(Number),
      up_text: up,
      down_text: 'drop table marker;\n',
      same_transaction: true,
    });
    expect(row?.token_checksum).toMatch(/^[0-9a-f]{64}$/);
  });

  test('writes into the history who did it, from where, with what', async ({ stage, project }) => {
    await stage.migration('001_a', 'create table a ();');
    await project.write('.git/HEAD', 'ref: refs/heads/main\n');
    await project.write('.git/refs/heads/main', `${'ab'.repeat(20)}\n`);
    await migrateUp({ ...stage.options, env: { CI_JOB_URL: 'https://ci.example.org/7' } });
    const [entry] = await stage.sql`select * from evdb.history`;
    expect(entry).toMatchObject({
      target_schema: 'public',
      version: '1',
      label: '001',
      name: 'a',
      action: 'up',
      error: null,
      duration_ms: expect.any(Number),
      occurred_at: expect.any(Date),
      database_user: stage.options.connection.user,
      os_user: userInfo().username,
      host_name: expect.stringMatching(/./),
      tool_version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      git_commit: 'ab'.repeat(20),
      ci_url: 'https://ci.example.org/7',
    });
  });

  test('takes the commit and the run from the variables of GitHub Actions', async ({ stage }) => {
    await stage.migration('001_a', 'create table a ();');
    await migrateUp({
      ...stage.options,
      env: { GITHUB_SHA: 'c0ffee', GITHUB_REPOSITORY: 'o/r', GITHUB_RUN_ID: '5' },
    });
    expect(await stage.sql`select git_commit, ci_url from evdb.history`).toEqual([
      { git_commit: 'c0ffee', ci_url: 'https://github.com/o/r/actions/runs/5' },
    ]);
  });

  test('keeps no text above the limit, and applies it all the same', async ({ stage }) => {
    const long = `create table a (); -- ${'x'.repeat(100)}\n`;
    await stage.migration('001_a', long, 'drop table a;');
    await migrateUp({ ...stage.options, storedTextLimitBytes: 100 });
    expect(await stage.sql`select up_text, down_text from evdb.migration_text`).toEqual([
      { up_text: null, down_text: 'drop table a;' },
    ]);
  });

  test('does nothing the second time, and does not ask for the lock', async ({ stage }) => {
    await writeThree(stage);
    await migrateUp(stage.options);
    await holdRunnerLock(stage);
    const result = await migrateUp({ ...stage.options, lockWaitMs: 0 });
    expect(result.steps).toEqual([]);

    await stage.migration('017_next', 'create table next ();');
    await expect(migrateUp({ ...stage.options, lockWaitMs: 0 })).rejects.toMatchObject({
      code: 'LOCKED',
    });
  });

  test('goes up to the version that --to names', async ({ stage }) => {
    await writeThree(stage);
    await migrateUp({ ...stage.options, to: '0002' });
    expect(await stage.ledger()).toEqual(['001 applied', '2 applied']);
  });

  test('has nothing to do where the version that --to names is applied', async ({ stage }) => {
    await writeThree(stage);
    await migrateUp({ ...stage.options, to: '2' });
    expect((await migrateUp({ ...stage.options, to: '1' })).steps).toEqual([]);
    expect(await stage.ledger()).toEqual(['001 applied', '2 applied']);
  });

  test('refuses a version that no file has, and says which there are', async ({ stage }) => {
    await writeThree(stage);
    await expect(migrateUp({ ...stage.options, to: '3' })).rejects.toMatchObject({
      code: 'UNKNOWN_VERSION',
      message: 'version 3 does not exist',
      hint: 'Known are: 001, 2, 10.',
    });
    expect(await listSchemas(stage)).toEqual(['public']);
  });

  test('names the newest versions where there are too many to name', async ({ stage }) => {
    for (let version = 101; version <= 120; version++) {
      await stage.migration(`${version}_a`, 'select 1;');
    }
    await expect(migrateUp({ ...stage.options, to: '300' })).rejects.toMatchObject({
      hint: 'The newest of 20 are: 109, 110, 111, 112, 113, 114, 115, 116, 117, 118, 119, 120.',
    });
  });

  test('takes as many steps as it is told', async ({ stage }) => {
    await writeThree(stage);
    await migrateUp({ ...stage.options, steps: 2 });
    expect(await stage.ledger()).toEqual(['001 applied', '2 applied']);
    await migrateUp({ ...stage.options, steps: 7 });
    expect(await stage.ledger()).toEqual(['001 applied', '2 applied', '10 applied']);
  });

  test.for([{ to: '1', steps: 1 }, { steps: 0 }, { steps: 1.5 }, { to: 'one' }, { to: '-1' }])(
    'refuses %o and changes nothing',
    async (wanted, { stage }) => {
      await writeThree(stage);
      await expect(migrateUp({ ...stage.options, ...wanted })).rejects.toMatchObject({
        code: 'USAGE',
      });
      expect(await listSchemas(stage)).toEqual(['public']);
    },
  );
});

describe('a dry run', () => {
  test('lists what would run and writes nothing, not even the ledger', async ({ stage }) => {
    await writeThree(stage);
    const plan = await planMigrateUp(stage.options);
    expect(plan).toMatchObject({
      schema: 'public',
      warnings: [],
      steps: [
        { direction: 'up', label: '001', name: 'one', isTransactional: true },
        { direction: 'up', label: '2', statements: [{ line: 1, command: 'alter table' }] },
        { direction: 'up', label: '10', script: { text: 'alter table two rename to ten;' } },
      ],
    });
    expect(await listSchemas(stage)).toEqual(['public']);
    expect(await stage.relations()).toEqual([]);
  });

  test('refuses what the run would refuse', async ({ stage }) => {
    await stage.migration('001_a', 'create tabel a ();');
    await expect(planMigrateUp(stage.options)).rejects.toMatchObject({ code: 'SYNTAX_ERROR' });
    const missing = { ...stage.options, directory: '/nowhere/at/all' };
    await expect(planMigrateUp(missing)).rejects.toMatchObject({ code: 'MIGRATIONS_DIR_MISSING' });
  });
});

describe('the status', () => {
  test('lists pending migrations without writing anything', async ({ stage }) => {
    await writeThree(stage);
    const status = await readStatus(stage.options);
    expect(status).toMatchObject({
      schema: 'public',
      hasLedger: false,
      migrations: [
        { label: '001', name: 'one', state: 'pending', appliedAt: null, durationMs: null },
        { label: '2', state: 'pending' },
        { label: '10', state: 'pending' },
      ],
      counts: { pending: 3, applied: 0 },
    });
    expect(await listSchemas(stage)).toEqual(['public']);
  });

  test('says when and how fast each was applied', async ({ stage }) => {
    await writeThree(stage);
    await migrateUp({ ...stage.options, steps: 1 });
    const { hasLedger, counts, migrations } = await readStatus(stage.options);
    expect({ hasLedger, counts }).toMatchObject({
      hasLedger: true,
      counts: { applied: 1, pending: 2 },
    });
    expect(migrations[0]).toEqual({
      version: '1',
      label: '001',
      name: 'one',
      state: 'applied',
      file: expect.stringContaining('001_one.sql'),
      appliedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      durationMs: expect.any(Number),
      origin: 'applied',
    });
  });
});

async function listSchemas({ sql }: MigrateStage): Promise<string[]> {
  const rows = await sql`
    select nspname from pg_namespace
    where nspname !~ '^pg_' and nspname <> 'information_schema' order by 1`;
  return rows.map(({ nspname }) => nspname);
}
