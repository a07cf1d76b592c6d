import fc from 'fast-check';
import type postgres from 'postgres';
import { expect } from 'vitest';
import { openSession } from '../../src/connection/session.ts';
import { readStructure } from '../../src/structure/read/structure.ts';
import { renderStructure } from '../../src/structure/render/structure.ts';
import { closeSql, openSql, withEmptyDatabase } from '../support/databases.ts';
import { test } from '../support/fixture.ts';
import { connectionTo } from '../support/sessions.ts';
import { describeCatalog } from './catalog.ts';
import { expectAlways, FUZZ_TIMEOUT_MS } from './fuzzing.ts';
import { askingStatements, FOUNDATION, schemaStatements } from './schemas.ts';

// A schema of chance is dumped and loaded into another database, which must hold the same, by statements of
// this folder, and take and refuse the same rows.

const IN_APP = 'drop schema if exists app cascade; create schema app; set search_path = app;';

/** Without rows, which a structure does not hold, and with defaults that are the same every time. */
function prepared(schema: readonly string[]): string[] {
  return schema
    .filter((text) => !text.startsWith('insert'))
    .map((text) =>
      text
        .replace(/random\(\)|gen_random_uuid\(\)/g, 'any_number()')
        .replace(/now\(\)/g, "'2024-01-01'"),
    );
}

async function dump(url: string): Promise<string> {
  const session = await openSession(await connectionTo(url));
  try {
    return renderStructure(await readStructure(session));
  } finally {
    await session.close();
  }
}

/** The rows or the SQLSTATE that a statement gives; it leaves nothing. */
async function answerOf(sql: postgres.Sql, ask: string): Promise<string> {
  try {
    return JSON.stringify((await sql.unsafe(`begin; ${ask}`).simple()).at(-1));
  } catch (error) {
    return (error as postgres.PostgresError).code;
  } finally {
    await sql.unsafe('rollback').simple();
  }
}

async function answersOf(sql: postgres.Sql, asks: readonly string[]): Promise<[string, string][]> {
  const answers: [string, string][] = [];
  for (const ask of asks) answers.push([ask, await answerOf(sql, ask)]);
  return answers;
}

test(
  'a structure that is dumped and loaded is the same, and takes and refuses the same rows',
  async ({ emptyDb: { url } }) => {
    await withEmptyDatabase(url, async (_, copyUrl) => {
      const [original, copy] = [openSql(url, 1), openSql(copyUrl, 1)];
      const asks = fc.array(askingStatements(), { maxLength: 24 });
      const property = fc.asyncProperty(schemaStatements(), asks, async (schema, texts) => {
        await original.unsafe(`${IN_APP} ${FOUNDATION}`).simple();
        for (const text of prepared(schema)) {
          await original
            .unsafe(text)
            .simple()
            .catch(() => undefined);
        }
        const text = await dump(url);
        await copy
          .unsafe(`drop schema if exists app cascade; drop publication if exists u0, u1`)
          .simple();
        await copy.unsafe(text).simple();
        await copy.unsafe('set search_path = app; set client_min_messages = error').simple();
        expect(await describeCatalog(copy), text).toEqual(await describeCatalog(original));
        expect(await dump(copyUrl)).toBe(text);
        expect(await answersOf(copy, texts), text).toEqual(await answersOf(original, texts));
      });
      await expectAlways('structures', property, 10);
      await Promise.all([closeSql(original), closeSql(copy)]);
    });
  },
  FUZZ_TIMEOUT_MS,
);
