import { expect } from 'vitest';
import { test } from '../support/fixture.ts';
import { runCli } from '../support/run-cli.ts';
import { parseJson } from './cli-kit.ts';

test('advises on indexes, and writes a migration that lint and up take', async ({
  emptyDb,
  project,
}) => {
  await emptyDb.sql.unsafe(`
    create table users (id integer primary key);
    create table "Order" (id integer primary key, "user" integer references users);
    insert into users select generate_series(1, 2000);
    insert into "Order" select i, i from generate_series(1, 2000) i;
    analyze`);
  const evdb = (...args: string[]) =>
    runCli(args, { cwd: project.dir, env: { EVDB_URL: emptyDb.url } });

  const shown = await evdb('stats', 'advise');
  expect(shown).toMatchObject({ code: 0, stderr: '' });
  expect(shown.stdout).toContain(
    'create index concurrently "Order_user_idx" on public."Order" ("user");',
  );
  expect(shown.stdout).toMatch(/^unknown: .*hypopg is not installed.*these are candidates/m);

  const json = parseJson(await evdb('stats', 'advise', '--json'));
  expect(json).toMatchObject({
    rows: [{ table: 'Order', columns: ['user'], basis: 'foreignKey', gain: null }],
    method: 'scans',
    written: null,
  });

  const written = await evdb('stats', 'advise', '--write');
  expect(written.stdout).toMatch(/^created {2}migrations\/\d+_add_index\.sql$/m);
  const lint = await evdb('lint');
  expect(lint).toMatchObject({ code: 0, stdout: '2 files linted: no problems\n' });
  expect(await evdb('migrate', 'up')).toMatchObject({ code: 0 });
  const indexes =
    await emptyDb.sql`select indexname from pg_indexes where indexname = 'Order_user_idx'`;
  expect(indexes).toHaveLength(1);
  const again = await evdb('stats', 'advise', '--write');
  expect(again.stdout).toMatch(/no migration was written: there is no index to create\n$/);
  expect(await evdb('migrate', 'down')).toMatchObject({ code: 0 });
  expect(await emptyDb.sql`select from pg_indexes where indexname = 'Order_user_idx'`).toEqual([]);
});
