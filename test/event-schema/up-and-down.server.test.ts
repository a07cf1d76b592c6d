import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect } from 'vitest';
import {
  type MigrateOptions,
  migrateDown,
  migrateRedo,
  migrateUp,
  resetSchema,
  validateMigrations,
} from '../../src/index.ts';
import { readCatalog } from '../support/catalog.ts';
import { type MigrateStage, test } from '../support/migrate-kit.ts';

const directory = fileURLToPath(new URL('../../migrations/', import.meta.url));
const files = readdirSync(directory).filter((name) => /\d+_\w+\.sql$/.test(name));

function eventOptions({ options }: MigrateStage): MigrateOptions {
  return { ...options, directory };
}

describe('the event schema', () => {
  test('goes up, down to nothing and up again, and is the same as before', async ({ stage }) => {
    const empty = await readCatalog(stage.sql);
    const options = eventOptions(stage);
    expect((await migrateUp(options)).steps).toHaveLength(files.length);
    const first = await readCatalog(stage.sql);
    expect(first.length).toBeGreaterThan(empty.length + 100);

    await migrateDown({ ...options, to: '0' });
    expect(await readCatalog(stage.sql)).toEqual(empty);

    await migrateUp(options);
    expect(await readCatalog(stage.sql)).toEqual(first);
  });

  test('is the same after each migration was rolled back and applied again', async ({ stage }) => {
    const options = eventOptions(stage);
    for (const _ of files) {
      await migrateUp({ ...options, steps: 1 });
      const once = await readCatalog(stage.sql);
      await migrateRedo(options);
      expect(await readCatalog(stage.sql)).toEqual(once);
    }
    expect((await migrateUp(options)).steps).toEqual([]);
  });

  test('is the same after a reset, with rows in it', async ({ stage }) => {
    const options = eventOptions(stage);
    await migrateUp(options);
    const before = await readCatalog(stage.sql);
    await stage.sql`
      insert into users (name, email, password_hash) values ('Ada', 'ada@example.org', '$2b$12$' || repeat('x', 53))`;
    await resetSchema({ ...options, confirm: true });
    expect(await readCatalog(stage.sql)).toEqual(before);
    expect(await stage.sql`select * from users`).toEqual([]);
  });

  test('is the same in any schema', async ({ stage }) => {
    const options = eventOptions(stage);
    const schema = 'Tenant 1';
    await migrateUp(options);
    await migrateUp({ ...options, schema });
    const plain = await readCatalog(stage.sql);
    const tenant = await readCatalog(stage.sql, schema);
    expect(withoutSchema(tenant, '"Tenant 1"')).toEqual(withoutSchema(plain, 'public'));
    await migrateDown({ ...options, schema, to: '0' });
    expect(await readCatalog(stage.sql)).toEqual(plain);
  });

  test('validates without a finding that would fail', async ({ stage }) => {
    const options = eventOptions(stage);
    await migrateUp(options);
    const { findings, migrations, skipped } = await validateMigrations(options);
    expect(migrations).toBe(files.length);
    expect(findings.filter(({ severity }) => severity !== 'info')).toEqual([]);
    expect(skipped).toEqual([]);
  });
});

/** What is left to compare; the schema's own privileges depend on who made it. */
function withoutSchema(lines: string[], schema: string): string[] {
  return lines
    .filter((line) => !line.startsWith('schema'))
    .map((line) =>
      line
        .replaceAll(`${schema}.`, '')
        .replaceAll(`TO ${schema}`, 'TO target')
        .replaceAll(`'${schema.replaceAll('"', '')}'`, "'target'"),
    )
    .sort();
}
