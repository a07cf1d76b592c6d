import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { lintScripts } from '../../src/lint/engine.ts';
import { loadSqlParser, type SqlParser } from '../../src/sql/parser.ts';
import {
  factName,
  type LockFact,
  observationOn,
  readLockFacts,
  readLockFactsDatabase,
} from '../support/lock-facts/facts.ts';
import { flat } from './lint-kit.ts';

const MAJORS = [14, 15, 16, 17, 18];

/** Rules that are not about what a single statement does to tables. */
const ELSEWHERE = new Set([
  ...['concurrently-in-tx', 'invalid-index-masked', 'work-under-strong-lock', 'unbatched-dml'],
  ...[
    'lock-timeout-override',
    'enum-value-same-tx',
    'opaque-sql',
    'fk-without-index',
    'redundant-index',
  ],
]);

let parser: SqlParser;

beforeAll(async () => {
  const real = await loadSqlParser();
  const trees = new Map<string, ReturnType<SqlParser['parse']>>();
  parser = {
    ...real,
    // The scripts that make the database are the same for all statements.
    parse(text) {
      if (!trees.has(text)) trees.set(text, real.parse(text));
      return trees.get(text) ?? null;
    },
  };
});

/** Where a server ran the statement: its version, what it did, and what lint says of it. */
function runs(fact: LockFact) {
  return MAJORS.flatMap((major) => {
    const seen = observationOn(fact, major);
    return seen === undefined || seen.error !== undefined
      ? []
      : [{ major, seen, findings: lint(fact, major) }];
  });
}

function lint({ database, setup, statement }: LockFact, major: number) {
  const first = setup === undefined ? '' : `${setup.replaceAll('\n', ' ')};`;
  const { findings } = lintScripts(
    [
      { text: readLockFactsDatabase(database), path: '001_database.sql', isJudged: false },
      { text: `${first}\n${statement}`, path: '002_statement.sql', isJudged: true },
    ].map((script) => ({ ...script, direction: 'up', isTransactional: true })),
    { parser, isHistoryWhole: true, settings: { serverVersion: major * 10_000 } },
  );
  return findings.map(flat).filter(({ line, rule }) => line > 1 && !ELSEWHERE.has(rule));
}

/** Lines of findings.txt by the fact that they are about. */
const expected = new Map(
  readFileSync(
    fileURLToPath(new URL('../support/lock-facts/findings.txt', import.meta.url)),
    'utf8',
  )
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [database, findings = '', ...statement] = line.split(' | ');
      const names = findings === '-' ? [] : findings.split(', ');
      return [`${database} | ${statement.join(' | ')}`, names] as [string, string[]];
    }),
);

const keyOf = ({ database, setup, statement }: LockFact): string =>
  `${database} | ${setup === undefined ? '' : `${setup}; `}${statement}`.replaceAll('\n', ' ');

/** `on <18` and `on >=18` name versions. */
function expectedOn(fact: LockFact, major: number): string[] | undefined {
  return expected
    .get(keyOf(fact))
    ?.flatMap((one) => {
      const [finding = '', versions] = one.split(' on ');
      const isOn =
        versions === undefined ||
        (versions.startsWith('<')
          ? major < Number(versions.slice(1))
          : major >= Number(versions.slice(2)));
      return isOn ? [finding] : [];
    })
    .sort();
}

const facts = readLockFacts().map((fact) => [factName(fact), fact] as const);

describe('lint says on every version', () => {
  test.each(facts)('of %s what is written down', (_, fact) => {
    for (const major of MAJORS) {
      const found = lint(fact, major).map(({ rule, severity }) => `${rule} ${severity}`);
      expect(found.sort(), `on ${major}`).toEqual(expectedOn(fact, major));
    }
  });

  test('of no statement that is not there', () => {
    const known = new Set(facts.map(([, fact]) => keyOf(fact)));
    expect([...expected.keys()].filter((key) => !known.has(key))).toEqual([]);
  });
});

describe('the server does with', () => {
  test.each(facts)('%s what lint says', (_, fact) => {
    // What the statements before have locked already does not show.
    if (fact.setup !== undefined || NOT_THERE.has(fact.statement)) return;
    for (const { major, seen, findings } of runs(fact)) {
      const { locks = {}, rewrites = [], scans = {}, builds = [] } = seen;
      for (const { rule, message, tables, lock } of findings) {
        const about = `${rule} on ${major}: ${message}`;
        const read = message.split('every row of')[1]?.split(/[ ,:]/);
        const named = tables.filter((table) => read?.includes(table));
        if (lock !== undefined) {
          const modes = tables.map((table) => locks[table]);
          expect(modes, about).toContain(lock);
        }
        if (/\bmay (?:be|change)\b/.test(message)) continue;
        if (/\brewrites (?!nothing)/.test(message))
          expect(rewrites, about).toEqual(expect.arrayContaining(tables));
        if (/reads every row|looks every row/.test(message))
          expect(Object.keys(scans), about).toEqual(expect.arrayContaining(named));
        if (/builds? an index|building index/.test(message)) expect(builds, about).not.toEqual([]);
        const again = /builds index(?:es)? (.*?) of \S+ again/.exec(message)?.[1];
        const indexes = again?.split(/, | and /).map((key) => key.replace('public.', ''));
        if (indexes) expect(indexes.sort(), about).toEqual(builds.map(nameOfBuild).sort());
      }
    }
  });
});

/** `i` of `i on t` */
function nameOfBuild(build: string): string {
  return build.slice(0, build.indexOf(' on '));
}

describe('lint tells', () => {
  test.each(facts)('what the server does with %s', (_, fact) => {
    if (isExpected(fact.statement)) return;
    for (const { major, seen, findings } of runs(fact)) {
      const { locks = {}, rewrites = [], scans = {} } = seen;
      const told = findings.filter(({ severity }) => severity !== 'info');
      const slow = [...rewrites, ...Object.keys(scans)].filter(
        (name) => TABLE.test(name) && KEEPS_WRITERS_OUT.has(locks[name] ?? ''),
      );
      for (const name of slow) {
        expect(
          told.flatMap(({ tables }) => tables),
          `on ${major}`,
        ).toContain(name);
      }
    }
  });
});

/** What the statement is about does not exist, which files cannot tell. */
const NOT_THERE = new Set(['drop policy if exists zz on t']);

const TABLE =
  /^(?:public\.(?:t|t2|t3|r|rp1|tnv|tnn18|tc|td|ix|ty|en18|pt1|ptd|cand|cand2|mv|par)|sub\.q)$/;
const KEEPS_WRITERS_OUT = new Set(['Share', 'ShareRowExclusive', 'Exclusive', 'AccessExclusive']);

/** A domain can be validated in no other way, and a view that nobody may read is refreshed so. */
function isExpected(statement: string): boolean {
  return /^(?:alter domain \w+ validate|refresh materialized view concurrently)/.test(statement);
}
