import { expect } from 'vitest';
import { migrateDown, migrateUp, readStatus } from '../../src/index.ts';
import { dropDatabase, newDatabaseName } from '../support/databases.ts';
import { test } from '../support/migrate-stage.ts';

test('keeps scripts in a database without an encoding, and takes them back from there', async ({
  stage,
  admin,
}) => {
  const database = newDatabaseName();
  const [server] = await admin`select current_setting('server_version_num')::int as version`;
  const provider = server?.version >= 150000 ? 'locale_provider libc' : '';
  await admin.unsafe(
    `create database ${database} template template0 encoding 'SQL_ASCII' ${provider} lc_collate 'C' lc_ctype 'C'`,
  );
  try {
    const connection = { ...stage.options.connection, database };
    const options = { ...stage.options, connection };
    await stage.migration(
      '001_a',
      "create table a as select 'é 🎈'::text as t;",
      "drop table a; -- zurück, 'ü'",
    );
    await migrateUp(options);
    expect((await readStatus(options)).counts).toMatchObject({ applied: 1, changed: 0 });
    const { steps } = await migrateDown({ ...options, fromLedger: true });
    expect(steps).toMatchObject([{ direction: 'down', label: '001' }]);
  } finally {
    await dropDatabase(admin, database);
  }
});
