import { beforeAll, describe, expect, it } from 'vitest';
import { type Catalog, createCatalog } from '../../src/catalog/catalog.ts';
import { replayStatement } from '../../src/catalog/replay/replay.ts';
import type { Impact, LockMode } from '../../src/impact/impact.ts';
import { impactOf } from '../../src/impact/impact-of.ts';
import { loadSqlParser, type SqlParser } from '../../src/sql/parser.ts';
import { splitStatements } from '../../src/sql/statements.ts';
import {
  factName,
  type LockFact,
  observationOn,
  readLockFacts,
  readLockFactsDatabase,
} from '../support/lock-facts/facts.ts';
import { differencesFrom } from '../support/lock-facts/impact-differences.ts';

let parser: SqlParser;
beforeAll(async () => {
  parser = await loadSqlParser();
});

function replayAll(catalog: Catalog, script: string): void {
  for (const { text } of splitStatements(script)) {
    const tree = parser.parse(text);
    if (tree) replayStatement(catalog, tree, text);
  }
}

function catalogBefore({ database }: LockFact, major: number): Catalog {
  const catalog = createCatalog();
  replayAll(catalog, readLockFactsDatabase(database));
  // In a `do` block, which only a linter looks into.
  const onlyIn18 = 'alter table tnn18 add constraint nnv18 not null a not valid';
  if (major >= 18) {
    replayAll(catalog, onlyIn18);
    if (database === 'plain') replayAll(catalog, ENFORCED_IN_18);
  }
  catalog.isComplete = true;
  return catalog;
}

const ENFORCED_IN_18 =
  'alter table en18 add constraint en_fk foreign key (a) references r18 (id) not enforced';

function impactOn(catalog: Catalog, text: string, { setup = '' }: LockFact, major: number): Impact {
  const tree = parser.parse(text);
  if (tree === null) throw new Error(`does not parse: ${text}`);
  const zone = /timezone='([^']*)'/.exec(setup)?.[1];
  const timeZoneIsUtc = zone === undefined ? undefined : zone === 'UTC';
  return impactOf({ tree, text, catalog, serverVersion: major * 10_000, timeZoneIsUtc });
}

/** What a catalog cannot know, so that the answer may differ. */
const UNKNOWABLE = new Set([
  // Policies are not in the catalog, so one that may be there is taken to be.
  'drop policy if exists zz on t',
  // Which partition a row goes to depends on its values.
  'insert into pt values (1, 1)',
  // What a block does is found by whoever looks into it.
  "do $$ begin alter table t2 add column x int; execute 'create index on tnv (a)'; end $$",
]);

describe.each([14, 15, 16, 17, 18])('impactOf, against PostgreSQL %d', (major) => {
  const facts = readLockFacts().filter((fact) => {
    const seen = observationOn(fact, major);
    return seen !== undefined && seen.error === undefined && !UNKNOWABLE.has(fact.statement);
  });

  it.each(facts.map((fact) => [factName(fact), fact] as const))('is right about %s', (_, fact) => {
    const catalog = catalogBefore(fact, major);
    const before = new Set([...catalog.relations.keys(), ...catalog.indexes.keys()]);
    const held = new Map<string, LockMode>();
    for (const { text } of splitStatements(fact.setup ?? '')) {
      for (const { relation, mode } of impactOn(catalog, text, fact, major).locks) {
        held.set(relation, mode);
      }
      replayAll(catalog, text);
    }
    const impact = impactOn(catalog, fact.statement, fact, major);
    const seen = observationOn(fact, major) ?? {};
    expect(differencesFrom(impact, seen, { catalog, before, held })).toEqual([]);
  });
});
