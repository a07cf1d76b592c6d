import fc from 'fast-check';
import postgres from 'postgres';
import { beforeAll, expect } from 'vitest';
import { readCatalog } from '../../src/catalog/read/catalog.ts';
import { impactOf } from '../../src/impact/impact-of.ts';
import { loadSqlParser, type SqlParser } from '../../src/sql/parser.ts';
import { test } from '../support/fixture.ts';
import { differencesFrom } from '../support/lock-facts/impact-differences.ts';
import { observe } from '../support/lock-facts/observe.ts';
import { inspect } from '../support/sessions.ts';
import { expectAlways, FUZZ_TIMEOUT_MS } from './fuzzing.ts';
import { withoutUnknowable } from './lock-differences.ts';
import { keepCounts } from './records.ts';
import { FOUNDATION, lockingStatements, schemaStatements } from './schemas.ts';

// What impact says of a statement is held against what the server locked, rewrote, read and built.

let parser: SqlParser;
beforeAll(async () => {
  parser = await loadSqlParser();
});

test(
  'impact says what the server locks, over tables and statements of chance',
  async ({ emptyDb: { url } }) => {
    const notices: string[] = [];
    const sql = postgres(url, { max: 1, onnotice: ({ message = '' }) => notices.push(message) });
    await sql.unsafe("set timezone = 'UTC'");
    let judged = 0;
    const statements = fc.array(lockingStatements(), { minLength: 1, maxLength: 20 });
    const property = fc.asyncProperty(schemaStatements(), statements, async (schema, texts) => {
      await sql
        .unsafe(`drop schema if exists public cascade; create schema public; ${FOUNDATION}`)
        .simple();
      // A rule makes another statement of one that is written.
      for (const text of schema.filter((one) => !one.startsWith('create rule')))
        await sql
          .unsafe(text)
          .simple()
          .catch(() => undefined);
      const { catalog, serverVersion } = await inspect(url, async (session) => ({
        catalog: await readCatalog(session, { parser }),
        serverVersion: session.facts.serverVersion,
      }));
      const before = new Set([...catalog.relations.keys(), ...catalog.indexes.keys()]);
      for (const text of texts) {
        const fact = { database: 'plain', statement: text, results: [] } as const;
        const seen = await observe(sql, { ...fact, results: [] }, notices);
        const tree = seen.error === undefined ? parser.parse(text) : null;
        if (tree === null) continue;
        judged++;
        const impact = impactOf({ tree, text, catalog, serverVersion, timeZoneIsUtc: true });
        const told = differencesFrom(impact, seen, { catalog, before, held: new Map() });
        const differences = withoutUnknowable(text, impact, told);
        // What the server ran it cannot have refused.
        const refusals = impact.refusals.filter(({ sqlstate }) => sqlstate !== null);
        expect({ text, differences, refusals }).toEqual({ text, differences: [], refusals: [] });
      }
    });
    await expectAlways('locks', property);
    await keepCounts('fuzz', 'statements whose locks were compared', { statements: judged });
    expect(judged).toBeGreaterThan(50);
    await sql.end();
  },
  FUZZ_TIMEOUT_MS,
);
