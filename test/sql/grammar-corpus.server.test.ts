import { describe, expect } from 'vitest';
import { readCatalog } from '../../src/catalog/read/catalog.ts';
import { impactOf } from '../../src/impact/impact-of.ts';
import { planImpact } from '../../src/index.ts';
import { classifyStatement } from '../../src/sql/kind.ts';
import { loadSqlParser } from '../../src/sql/parser.ts';
import { splitStatements } from '../../src/sql/statements.ts';
import { corpusStatements, corpusText, deepStatements } from '../support/grammar-corpus/corpus.ts';
import { type MigrateStage, test } from '../support/migrate-kit.ts';
import { inspect } from '../support/sessions.ts';

/** What PostgreSQL refuses whatever the rows are; `outside` needs no transaction around it. */
const REFUSED = [
  ['0A000', 'create index concurrently on part (a)', 'outside'],
  ['0A000', 'create unique index on part (a)'],
  ['0A000', 'alter table part add unique (a)'],
  ['0A000', 'drop index concurrently part_a_idx', 'outside'],
  ['0A000', 'drop index concurrently t_a_idx, part_1_a_idx2', 'outside'],
  ['0A000', 'drop index concurrently t_a_idx cascade', 'outside'],
  ['2BP01', 'drop index t_pkey'],
  ['2BP01', 'drop index concurrently t_pkey', 'outside'],
  ['2BP01', 'drop index if exists part_1_a_idx'],
  ['25001', 'reindex table part'],
  ['25001', 'reindex index part_a_idx'],
  ['55000', 'alter table part detach partition part_1 concurrently', 'outside'],
  ['0A000', 'truncate t'],
  ['55000', 'refresh materialized view concurrently mv'],
  ['42P16', 'alter table t alter id drop not null'],
  ['42809', 'alter table t add constraint x unique using index t_a_idx'],
] as const;

async function modelOf(stage: MigrateStage) {
  await stage.sql.unsafe(corpusText('base'));
  const parser = await loadSqlParser();
  const { catalog, serverVersion } = await inspect(stage.url, async (session) => ({
    catalog: await readCatalog(session, { parser }),
    serverVersion: session.facts.serverVersion,
  }));
  const refusalsOf = (text: string) => {
    const tree = parser.parse(text);
    if (tree === null) throw new Error(`not parsed: ${text}`);
    return impactOf({ tree, text, catalog, serverVersion }).refusals;
  };
  return { refusalsOf };
}

/** The SQLSTATE of a statement that is rolled back; undefined where the server takes it. */
async function tryStatement(
  { sql }: MigrateStage,
  text: string,
  isOutside = false,
): Promise<string | undefined> {
  try {
    if (isOutside) await sql.unsafe(text).simple();
    else {
      await sql.begin(async (transaction) => {
        await transaction.unsafe(text).simple();
        throw new Error('taken');
      });
    }
  } catch (error) {
    return (error as { code?: string }).code;
  }
  return undefined;
}

/** Those that would end the session, wait for ever, or change more than the test's own database. */
const NOT_TRIED = /^(?:begin|start|commit|rollback|prepare transaction|release|savepoint|listen)\b/;

describe('every statement of the grammar', () => {
  test('is planned and tried where the server takes it', { timeout: 120_000 }, async ({
    stage,
  }) => {
    await stage.sql.unsafe(corpusText('base'));
    let version = 100;
    for (const { text, command } of corpusStatements()) {
      const kind = classifyStatement({ text, command });
      if (kind.isTransactionControl || command === 'copy') continue;
      const header = kind.needsNoTransaction ? '-- evdb: no-transaction\n' : '';
      await stage.migration(`${version++}_one`, `${header}${text};`);
    }
    const read = await planImpact(stage.options);
    expect(read.steps.length).toBeGreaterThan(400);
    const traced = await planImpact({ ...stage.options, trace: 'beside' });
    const outcomes = traced.steps.flatMap(({ statements }) =>
      statements.map(({ trace }) => trace?.outcome),
    );
    expect(outcomes).toHaveLength(read.steps.length);
    expect(outcomes).toContain('traced');
  });

  test('is said to fail only where the server refuses it', { timeout: 60_000 }, async ({
    stage,
  }) => {
    const { refusalsOf } = await modelOf(stage);
    const wrong: string[] = [];
    for (const { text, command } of corpusStatements()) {
      if (NOT_TRIED.test(text)) continue;
      const refused = refusalsOf(text).filter(({ sqlstate }) => sqlstate !== null);
      if (refused.length === 0) continue;
      const { needsNoTransaction } = classifyStatement({ text, command });
      const code = await tryStatement(stage, text, needsNoTransaction);
      if (!refused.some(({ sqlstate }) => sqlstate === code)) wrong.push(`${text}: ${code}`);
    }
    expect(wrong).toEqual([]);
  });

  test.for(REFUSED)('is refused with %s: %s', async ([sqlstate, text, where], { stage }) => {
    const { refusalsOf } = await modelOf(stage);
    expect(refusalsOf(text).map((one) => one.sqlstate)).toEqual([sqlstate]);
    expect(await tryStatement(stage, text, where === 'outside')).toBe(sqlstate);
  });
});

describe('a statement as deep as PostgreSQL takes it', () => {
  test('is taken by the server, and planned', { timeout: 60_000 }, async ({ stage }) => {
    await stage.sql.unsafe(corpusText('base'));
    const taken: string[] = [];
    let version = 100;
    for (const [name, text] of Object.entries(deepStatements(3000))) {
      const [statement] = splitStatements(text);
      // Some servers take a minute for some of them, which is not what is asked here.
      const code = await tryStatement(stage, `set local statement_timeout = '2s'; ${text}`);
      if (statement === undefined || code !== undefined) continue;
      taken.push(name);
      await stage.migration(`${version++}_deep`, `${text};`);
    }
    // How deep the others may be depends on the version and on the stack of the server.
    expect(taken).toContain('parentheses');
    expect(taken).toContain('casts');
    const plan = await planImpact(stage.options);
    expect(plan.steps).toHaveLength(taken.length);
    const texts = plan.steps.flatMap(({ statements }) => statements.map(({ text }) => text.length));
    expect(Math.max(...texts, 0)).toBeLessThanOrEqual(2001);
  });
});
