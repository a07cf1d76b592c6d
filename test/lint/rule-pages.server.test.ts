import postgres from 'postgres';
import { beforeAll, describe, expect, inject } from 'vitest';
import { isStronger, type LockMode } from '../../src/impact/impact.ts';
import { migrateUp } from '../../src/index.ts';
import { lintScripts } from '../../src/lint/engine.ts';
import type { Severity } from '../../src/lint/rule.ts';
import { LINT_RULES } from '../../src/lint/rules.ts';
import { loadSqlParser, type SqlParser } from '../../src/sql/parser.ts';
import { splitStatements } from '../../src/sql/statements.ts';
import { closeSql, withEmptyDatabase } from '../support/databases.ts';
import type { Observation } from '../support/lock-facts/facts.ts';
import { observe } from '../support/lock-facts/observe.ts';
import { test } from '../support/migrate-kit.ts';
import { type FlatFinding, flat, listRulePages, type RulePage, readRulePage } from './lint-kit.ts';

/** Tables of the schema `public` with columns, constraints and indexes: one line for each. */
async function readTableStructure(sql: postgres.Sql): Promise<string[]> {
  const rows = await sql<{ line: string }[]>`
    select format('%s %s %s', c.relkind, c.relpersistence, c.relname) as line
    from pg_class as c
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'S')
    union all
    select format(
      '%s.%s %s %s %s', a.attrelid::regclass, a.attname, format_type(a.atttypid, a.atttypmod),
      case when a.attnotnull then 'not null' end, pg_get_expr(d.adbin, d.adrelid)
    )
    from pg_attribute as a
    join pg_class as c on c.oid = a.attrelid
    left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where c.relnamespace = 'public'::regnamespace
      and c.relkind in ('r', 'p')
      and a.attnum > 0
      and not a.attisdropped
    union all
    select format('%s %s %s', o.conrelid::regclass, o.conname, pg_get_constraintdef(o.oid))
    from pg_constraint as o
    where o.connamespace = 'public'::regnamespace and o.conrelid <> 0
    union all
    select format('%s %s', pg_get_indexdef(i.indexrelid), i.indisvalid)
    from pg_index as i
    join pg_class as c on c.oid = i.indrelid
    where c.relnamespace = 'public'::regnamespace
    order by line`;
  return rows.map(({ line }) => line);
}

let serverVersion = 0;
let parser: SqlParser;
const names = new Set(LINT_RULES.map(({ name }) => name));
const pages = listRulePages()
  .filter((rule) => names.has(rule))
  .map((rule) => [rule, readRulePage(rule)] as const);

beforeAll(async () => {
  parser = await loadSqlParser();
});

const isNoTransaction = (sql: string) => sql.startsWith('-- evdb: no-transaction');

/** What lint says of scripts that run one after the other, behind the page's setup. */
function lint(page: RulePage, scripts: { name: string; sql: string }[]): FlatFinding[] {
  const all = [{ name: '001_setup', sql: page.setup }, ...scripts];
  const { findings } = lintScripts(
    all.map(({ name, sql }, index) => ({
      path: `${name}.sql`,
      text: sql,
      direction: 'up',
      isTransactional: !isNoTransaction(sql),
      isBackfill: sql.startsWith('-- evdb: backfill'),
      isJudged: index > 0,
    })),
    {
      parser,
      settings: { serverVersion },
      isHistoryWhole: true,
      choices: { rules: turnedOn(page.rule), groups: {}, only: [] },
    },
  );
  return findings.map(flat);
}

/** A rule that is off by default is tried all the same. */
function turnedOn(name: string): Record<string, Severity> {
  const rule = LINT_RULES.find((one) => one.name === name);
  return rule?.isOptional ? { [name]: rule.severity } : {};
}

describe.each(pages)('the page about %s', (rule, page) => {
  const major = () => Math.floor(serverVersion / 10_000);
  const goodScripts = () => page.good.filter(({ runsOn }) => runsOn(major()));

  test('shows a dangerous form that is found at its line, and does what the finding says', async ({
    stage,
    skip,
  }) => {
    serverVersion = await readServerVersion(stage.sql);
    if (!page.bad.runsOn(major())) skip('the server has no such statement');
    const findings = lint(page, [{ name: '002_bad', sql: page.bad.sql }]).filter(
      (finding) => finding.rule === rule,
    );
    expect(findings.map(({ line }) => line)).toEqual([page.bad.line]);
    await stage.sql.unsafe(page.setup).simple();
    if (page.bad.fails !== undefined) {
      const failure = await run(stage.sql, page.bad.sql).catch(({ code }) => code);
      expect(failure).toBe(page.bad.fails);
      return;
    }
    const [finding] = findings;
    if (finding && !isNoTransaction(page.bad.sql)) {
      expectEffect(finding, await observeAt(stage.url, page.bad.sql, finding.line));
    }
    await run(stage.sql, page.bad.sql);
  });

  test('shows a safe way that evdb applies and in which nothing is found', async ({ stage }) => {
    serverVersion = await readServerVersion(stage.sql);
    const findings = lint(page, goodScripts());
    expect(findings.filter((one) => one.rule === rule || one.severity === 'error')).toEqual([]);
    await stage.migration('001_setup', page.setup);
    for (const { name, sql } of goodScripts()) await stage.migration(name, sql);
    const { steps } = await migrateUp(stage.options);
    expect(steps).toHaveLength(goodScripts().length + 1);
    if (!page.bad.isSame) return;
    expect(await readTableStructure(stage.sql)).toEqual(await structureAfterBad(page));
  });
});

async function readServerVersion(sql: postgres.Sql): Promise<number> {
  const [row] = await sql`select current_setting('server_version_num')::int as version`;
  return row?.version as number;
}

/** In one transaction as the runner does, or statement by statement. */
async function run(sql: postgres.Sql, script: string): Promise<void> {
  if (isNoTransaction(script)) {
    for (const { text } of splitStatements(script)) await sql.unsafe(text).simple();
    return;
  }
  await sql.begin(async (transaction) => {
    for (const { text } of splitStatements(script)) await transaction.unsafe(text).simple();
  });
}

interface Effect {
  /** Of the statement at the line. */
  own: Observation;
  /** Of the migration up to it. */
  upToIt: Observation;
}

async function observeAt(url: string, script: string, line: number): Promise<Effect> {
  const statements = splitStatements(script);
  const index = statements.findLastIndex((statement) => statement.line <= line);
  const texts = statements.slice(0, index + 1).map(({ text }) => text);
  const notices: string[] = [];
  const sql = postgres(url, { max: 1, onnotice: ({ message = '' }) => notices.push(message) });
  const see = (setup: string[], statement: string[]) =>
    observe(
      sql,
      { database: 'plain', setup: setup.join(';'), statement: statement.join(';'), results: [] },
      notices,
    );
  try {
    return { own: await see(texts.slice(0, -1), texts.slice(-1)), upToIt: await see([], texts) };
  } finally {
    await closeSql(sql);
  }
}

/** The message speaks of locks, rewrites, scans and builds: the server has to do the same. */
function expectEffect({ message, tables, lock }: FlatFinding, { own, upToIt }: Effect): void {
  const { rewrites = [], scans = {}, builds = [] } = own;
  const { locks = {} } = upToIt;
  if (lock === undefined) return;
  expect(strongestOf(tables.map((table) => locks[table]))).toBe(lock);
  if (/\brewrites (?!nothing)/.test(message)) {
    expect(rewrites).toEqual(expect.arrayContaining(tables));
  } else expect(rewrites).toEqual([]);
  if (/reads every row|looks every row/.test(message)) {
    expect(Object.keys(scans)).toEqual(expect.arrayContaining(tables));
  }
  if (/builds? an index|building index/.test(message)) expect(builds).not.toEqual([]);
}

function strongestOf(modes: (LockMode | undefined)[]): LockMode | undefined {
  return modes.reduce((best, one) =>
    one !== undefined && (best === undefined || isStronger(one, best)) ? one : best,
  );
}

function structureAfterBad(page: RulePage): Promise<string[]> {
  return withEmptyDatabase(inject('adminUrl'), async (sql) => {
    await sql.unsafe(page.setup).simple();
    await run(sql, page.bad.sql);
    return readTableStructure(sql);
  });
}
