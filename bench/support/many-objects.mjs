import { readFileSync } from 'node:fs';
import { withSession } from './event-schema.mjs';

const BATCH = 50;

/**
 * Makes a database with many tables and five times as many indexes. A transaction for all of them
 * would need more locks than a server keeps room for.
 *
 * @param {import('./workspace.mjs').Workspace} workspace
 * @param {string} name
 * @param {number} tables
 * @returns {Promise<string>} its URL
 */
export async function createManyObjects(workspace, name, tables) {
  const url = await workspace.createDatabase(name);
  const text = readFileSync(new URL('../sql/many-objects.sql', import.meta.url), 'utf8');
  await withSession(url, async (sql) => {
    for (let first = 1; first <= tables; first += BATCH) {
      const last = Math.min(first + BATCH - 1, tables);
      await sql.unsafe(text.replaceAll(/:first\b/g, first).replaceAll(/:last\b/g, last));
    }
    await sql.unsafe('vacuum (analyze)');
  });
  return url;
}
