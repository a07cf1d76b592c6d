import type postgres from 'postgres';
import { describe, expect } from 'vitest';
import { renderStructure } from '../../src/structure/render/structure.ts';
import { closeSql, openSql } from '../support/databases.ts';
import { BEHAVIOURS } from './behaviours.ts';
import { test } from './structure-stage.ts';

describe('in a copy', () => {
  for (const { title, setup, asks, since = 0, until = Infinity } of BEHAVIOURS) {
    test(title, async ({ stage, emptyDb, skip }) => {
      const [server] =
        await stage.sql`select current_setting('server_version_num')::integer as version`;
      skip(server?.version < since, `came with PostgreSQL ${since / 10000}`);
      skip(server?.version >= until, `went with PostgreSQL ${until / 10000}`);
      await stage.ensureRoles();
      await stage.sql.unsafe(setup).simple();
      const structure = await stage.read();
      const text = renderStructure(structure);
      const original = await answersAt(emptyDb.url, asks);
      let copied: unknown;
      const again = await stage.reload(text, {}, async (url) => {
        copied = await answersAt(url, asks);
      });
      expect({ text, answers: copied }).toEqual({ text, answers: original });
      expect(renderStructure(again)).toBe(text);
      expect(again).toEqual(structure);
    });
  }
});

/** The rows or the SQLSTATE that each statement gives; it leaves nothing. */
async function answersAt(url: string, asks: readonly string[]): Promise<unknown[]> {
  const sql = openSql(url, 1);
  const answers: unknown[] = [];
  try {
    for (const ask of asks) answers.push([ask, await answer(sql, ask)]);
    return answers;
  } finally {
    await closeSql(sql);
  }
}

async function answer(sql: postgres.Sql, ask: string): Promise<unknown> {
  try {
    const results = (await sql.unsafe(`begin; ${ask}`).simple()) as unknown[];
    return JSON.parse(JSON.stringify(results.at(-1)));
  } catch (error) {
    return (error as postgres.PostgresError).code;
  } finally {
    await sql.unsafe('rollback').simple();
  }
}
