import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { lintMigrations } from '../../src/index.lint.ts';
import { migrateDown, migrateUp, readDrift, readStatus } from '../../src/index.ts';
import { REAL_FOLDERS, type RealFolder } from './adopt-folders.ts';
import { type AdoptStage, test } from './adopt-stage.ts';

/** The project and the database as the tool left them. */
async function setUp({ write, sql }: AdoptStage, { folder, files, database }: RealFolder) {
  for (const [path, text] of Object.entries(files)) await write(join(folder, path), text);
  await sql.unsafe(database);
}

describe.each(REAL_FOLDERS)('$title', (real) => {
  const { tool, labels } = real;
  const isAdopted = tool !== 'evdb';

  test('is taken over, goes up and comes back, and makes the same anew', async ({ adoption }) => {
    await setUp(adoption, real);
    const { options } = adoption;
    if (isAdopted) {
      const { adopted, pending } = await adoption.adopt(tool);
      expect(pending).toHaveLength(real.pending);
      expect(adopted).toHaveLength(labels.length - real.pending);
    }
    expect((await migrateUp(options)).steps).toHaveLength(real.pending);
    expect(await adoption.states()).toEqual(labels.map((label) => `${label} applied`));
    if (isAdopted) {
      expect(await adoption.adopt(tool)).toMatchObject({ adopted: [], pending: [], files: [] });
    }
    // what the applied migrations make is what is there, from the texts that the ledger has
    expect((await readDrift(options)).differences).toEqual([]);
    // and what the files make in another schema
    const copy = { ...options, schema: 'copy' };
    await migrateUp(copy);
    const own = new Set(await adoption.relations('copy'));
    const there = await adoption.relations();
    expect([...own].filter((name) => !there.includes(name))).toEqual([]);
    const downs = Object.keys(await adoption.files()).filter((name) => name.endsWith('.down.sql'));
    const newest = labels.findLastIndex((label) =>
      downs.every((name) => !name.startsWith(`${label}_`)),
    );
    const steps = labels.length - 1 - newest;
    if (steps > 0) await migrateDown({ ...copy, steps });
    const { migrations } = await readStatus(copy);
    expect(migrations.filter(({ state }) => state === 'pending')).toHaveLength(steps);
  });

  test('is linted without a word about its format', async ({ adoption }) => {
    await setUp(adoption, real);
    if (isAdopted) await adoption.adopt(tool);
    const { findings } = await lintMigrations({ directory: adoption.options.directory });
    const told = findings.filter(({ rule }) => /syntax|unreadable|transaction-control/.test(rule));
    expect(told).toEqual([]);
  });
});
