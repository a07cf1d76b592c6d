import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createCatalog } from '../../src/catalog/catalog.ts';
import { replayStatement } from '../../src/catalog/replay/replay.ts';
import { lintScripts } from '../../src/lint/engine.ts';
import { readLoneStatement } from '../../src/migrate/apply/lone-statement.ts';
import { findLosses } from '../../src/migrate/checks/losses.ts';
import { readStatementImpact } from '../../src/migrate/preview/step-impact.ts';
import { checkScript } from '../../src/sql/check.ts';
import { classifyStatement } from '../../src/sql/kind.ts';
import { loadSqlParser, type SqlParser } from '../../src/sql/parser.ts';
import { splitStatements } from '../../src/sql/statements.ts';
import { visitObjects, walkTree } from '../../src/sql/tree.ts';
import { flat, script } from '../lint/lint-kit.ts';
import { corpusStatements, corpusText, deepStatements } from '../support/grammar-corpus/corpus.ts';

const parser = rememberTrees(await loadSqlParser());
const statements = corpusStatements();

/** base.sql is read again for every statement, and parsing it takes longer than the rest. */
function rememberTrees(real: SqlParser): SqlParser {
  const trees = new Map<string, ReturnType<SqlParser['parse']>>();
  const parse: SqlParser['parse'] = (text) => {
    const known = trees.get(text);
    if (known !== undefined) return known;
    const tree = real.parse(text);
    trees.set(text, tree);
    return tree;
  };
  return { ...real, parse };
}

/** The text of a declaration file of the grammar's own types. */
function grammarTypes(name: 'types' | 'enums'): string {
  const main = createRequire(import.meta.url).resolve('@pgsql/types');
  return readFileSync(join(dirname(main), `${name}.d.ts`), 'utf8');
}

/** What no script can hold: made by the planner, by PL/pgSQL, or around every statement. */
const NOT_WRITTEN = ['RawStmt', 'SetOperationStmt', 'PLAssignStmt'];

/** Kinds of objects that only the server itself speaks of. */
const NOT_NAMED = [
  ...['OBJECT_AMOP', 'OBJECT_AMPROC', 'OBJECT_DEFAULT', 'OBJECT_DEFACL'],
  ...['OBJECT_PUBLICATION_NAMESPACE', 'OBJECT_PUBLICATION_REL', 'OBJECT_USER_MAPPING'],
];

/** Without base.sql, with it unjudged, and judged in every way that a script can be. */
const WAYS = [
  { before: '', isTransactional: true, direction: 'up' },
  { before: corpusText('base'), isTransactional: true, direction: 'up' },
  { before: corpusText('base'), isTransactional: false, direction: 'up' },
  { before: corpusText('base'), isTransactional: true, direction: 'down' },
] as const;

function lintAll(text: string) {
  return WAYS.flatMap(({ before, ...how }) => {
    const history = script(before, { isJudged: false, path: '1.sql' });
    const judged = script(text, { ...how, path: '2.sql' });
    const isHistoryWhole = before !== '';
    return lintScripts([history, judged], { parser, isHistoryWhole }).findings.map(flat);
  });
}

/** A catalog that holds what base.sql makes. */
function modelOfBase() {
  const catalog = createCatalog();
  for (const { text } of splitStatements(corpusText('base'))) {
    const tree = parser.parse(text);
    if (tree) replayStatement(catalog, tree, text);
  }
  return catalog;
}

function planOne(text: string, serverVersion: number) {
  const [statement] = splitStatements(text);
  if (statement === undefined) throw new Error(`no statement: ${text}`);
  const around = { parser, serverVersion, timeZoneIsUtc: true, nameOf: (key: string) => key };
  return readStatementImpact(statement, { ...around, catalog: modelOfBase() });
}

describe('every statement of the grammar', () => {
  test('stands in the corpus', () => {
    const kinds = new Set<string>();
    const objects = new Set<unknown>();
    for (const { text } of statements) {
      walkTree(parser.parse(text), (kind) => void kinds.add(kind));
      visitObjects(parser.parse(text), (fields) => {
        for (const value of Object.values(fields)) objects.add(value);
      });
    }
    const known = [...grammarTypes('types').matchAll(/^export interface (\w+Stmt) /gm)];
    const named = /type ObjectType = (.*);/.exec(grammarTypes('enums'))?.[1]?.match(/OBJECT_\w+/g);
    expect(known.length).toBeGreaterThan(100);
    expect(named?.length).toBeGreaterThan(40);
    expect(known.map(([, kind = '']) => kind).filter((kind) => !kinds.has(kind))).toEqual(
      NOT_WRITTEN,
    );
    expect(named?.filter((name) => !objects.has(name))).toEqual(NOT_NAMED);
  });

  test('is split as it is written, and known to the grammar', () => {
    expect(statements.map(({ text }) => text).filter((text) => text.includes('\n'))).toEqual([]);
    expect(checkScript(corpusText('base'), parser)).toEqual([]);
    expect(checkScript(corpusText('statements'), parser)).toEqual([]);
  });

  test.each(statements.map(({ text }) => text))('is linted, planned and replayed: %s', (text) => {
    const findings = lintAll(text);
    expect(findings.filter(({ group }) => group === 'syntax')).toEqual([]);
    // A name that nobody wrote is one that was not read.
    expect(JSON.stringify(findings)).not.toContain('\\"\\"');
    for (const serverVersion of [140000, 180000]) {
      expect(JSON.stringify(planOne(text, serverVersion))).not.toContain('\\"\\"');
    }
    const [statement] = splitStatements(text);
    if (statement === undefined) throw new Error('no statement');
    expect(classifyStatement(statement).label).not.toBe('');
    expect(readLoneStatement(parser.parse(text)).kind).not.toBe('');
    expect(JSON.stringify(findLosses([statement], parser))).not.toContain('""');
  });

  test('is linted as one script', () => {
    expect(lintAll(corpusText('statements')).length).toBeGreaterThan(0);
  });
});

describe('a statement as deep as PostgreSQL takes it', () => {
  test.each(Object.entries(deepStatements(6000)))('is linted and planned: %s', (_, text) => {
    expect(parser.parse(text)).not.toBeNull();
    expect(lintAll(text).filter(({ group }) => group === 'syntax')).toEqual([]);
    expect(planOne(text, 180000).unknowns).toEqual([]);
    expect(findLosses(splitStatements(text), parser)).toBeInstanceOf(Array);
  });

  test('is known in its columns, however many unions it has', () => {
    const catalog = modelOfBase();
    const text = `create view deep as ${Array(6000).fill('select id as x from t').join(' union all ')}`;
    const tree = parser.parse(text);
    if (tree === null) throw new Error('not parsed');
    replayStatement(catalog, tree, text);
    expect([...(catalog.relations.get('public.deep')?.columns.keys() ?? [])]).toEqual(['x']);
  });
});
