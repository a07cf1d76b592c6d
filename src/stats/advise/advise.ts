import type { Node } from '@pgsql/types';
import type { Session } from '../../connection/session.ts';
import type { ReportNote, ReportView, StatsReport } from '../../report/columns.ts';
import { loadSqlParser } from '../../sql/parser.ts';
import { quoteIdent } from '../../sql/quote.ts';
import { splitStatements } from '../../sql/statements.ts';
import { kindOf } from '../../sql/tree.ts';
import { commandLine } from '../../text/command-line.ts';
import { renderCount } from '../../text/units.ts';
import { requireSchema } from '../catalog-queries.ts';
import { readCounterAge } from '../counted-since.ts';
import { readMissingForeignKeyIndexes } from '../missing-fk.ts';
import { type QueryStatsRow, readQueries } from '../queries.ts';
import { candidateColumns, type HasColumn, readUses, type StatementUses } from './candidates.ts';
import { type AdvisedStatement, type CandidateIndex, chooseIndexes } from './choose.ts';
import { createPlanner, fitForPlanning, type StatementPlanner } from './plan-statement.ts';
import {
  type AdviceFacts,
  chosenRows,
  foreignKeyRows,
  type IndexAdviceRow,
  nameIndexes,
  scanRows,
} from './rows.ts';
import {
  type AdvisedTable,
  type ForeignCode,
  readForeignCode,
  readTableFacts,
  writtenKey,
} from './table-facts.ts';

/** What is looked at, and how its names are found. */
export interface ReadIndexAdviceOptions {
  /** Only indexes on tables of this schema; default: every schema that is not PostgreSQL's own. */
  schema?: string | undefined;
  /** How many statements of pg_stat_statements are planned, those with the most time; default 200. */
  limit?: number | undefined;
  /** The schemas in which statements find names; default: the `search_path` of the role. */
  searchPath?: readonly string[] | undefined;
}

/** Which indexes would help, and how that was found out. */
export interface IndexAdvice extends StatsReport<IndexAdviceRow> {
  /**
   * `hypotheticalIndexes`: statements were planned as if the indexes were there. `scans`: hypopg is
   * missing, so that the rows are candidates, and nobody knows what they gain.
   */
  method: 'hypotheticalIndexes' | 'scans';
  /** How many statements were planned. */
  planned: number;
  /** How many could not be, and why. */
  notPlanned: { reason: string; count: number }[];
}

/** No index helps to read what fits into a few blocks. */
const LEAST_ROWS = 1000;
const MOST_CANDIDATES = 40;
const MOST_PARTS = 32;
const PLAN_TIMEOUT_MS = 1_000;

/**
 * Finds out which indexes would help the statements that took the most time. Statements are only
 * planned, never run, without values for their parameters. Where hypopg is installed, candidates are
 * made as hypothetical indexes in this session alone, and judged by what plans cost with them.
 *
 * @param session from `withInspection`
 * @throws {EvdbError} USAGE if the schema does not exist, QueryError if the server refuses a statement
 * @example
 * const { rows, method } = await withInspection(connection, (session) => readIndexAdvice(session));
 */
export async function readIndexAdvice(
  session: Session,
  options: ReadIndexAdviceOptions = {},
): Promise<IndexAdvice> {
  await requireSchema(session, options);
  const { limit = 200, schema } = options;
  const counted = await readQueries(session, { limit });
  const searchPath = options.searchPath?.map(quoteIdent).join(', ') || 'default';
  const parsed = await parseStatements(counted.rows);
  const names = parsed.flatMap(({ uses }) => uses.relations);
  const tables = await readTableFacts(session, names, { searchPath });
  const resolved = await resolveStatements(parsed, tables);
  const hypopgSchema = await findHypopg(session);
  const planner = createPlanner(session, { searchPath, hypopgSchema, timeoutMs: PLAN_TIMEOUT_MS });
  const code = await readForeignCode(session);
  // With it off, a string could end elsewhere than the grammar says, and what follows would run.
  if (!session.facts.isPooled) await session.run('set standard_conforming_strings = on');
  const planning = await planAll(session, { planner, resolved, code });
  const facts: AdviceFacts = { updates: updatesOf(resolved, tables) };
  const candidates = candidatesOf(planning.statements, schema);
  const found =
    hypopgSchema === null
      ? scanRows(planning.statements, candidates, facts)
      : chosenRows(await chooseIndexes(planner, planning.statements, candidates), facts);
  const keys = await readMissingForeignKeyIndexes(session, { schema, precision: 'estimate' });
  const rows = await nameIndexes(session, [
    ...found,
    ...foreignKeyRows(keys.rows, found, LEAST_ROWS),
  ]);
  const { countedSince } = await readCounterAge(session);
  return {
    rows,
    countedSince: counted.countedSince ?? countedSince,
    notes: [...counted.notes, ...notesOn(session, rows, hypopgSchema, planning)],
    method: hypopgSchema === null ? 'scans' : 'hypotheticalIndexes',
    planned: planning.statements.length,
    notPlanned: planning.notPlanned,
  };
}

/** The schema of the extension; null where it is not, and behind a pooler, whose session is not ours. */
async function findHypopg(session: Session): Promise<string | null> {
  if (session.facts.isPooled) return null;
  const [row] = await session.run(`
select n.nspname as "schema"
from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = e.extnamespace
where e.extname = 'hypopg'`);
  return row === undefined ? null : String(row.schema);
}

interface ParsedStatement {
  row: QueryStatsRow;
  text: string;
  /** Undefined for what is no single statement on data, which nothing is advised for. */
  tree: Node | undefined;
  uses: StatementUses;
}

const ON_DATA = new Set(['SelectStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt']);
const KNOWS_NOTHING: HasColumn = () => false;

async function parseStatements(rows: readonly QueryStatsRow[]): Promise<ParsedStatement[]> {
  const parser = await loadSqlParser();
  return rows.flatMap((row) => {
    const [statement, another] = splitStatements(row.query ?? '');
    // What is sent to be planned has to be one statement and nothing behind it.
    if (statement === undefined || another) return [];
    const text = fitForPlanning(statement.text);
    const tree = parser.parse(text) ?? undefined;
    if (tree && !ON_DATA.has(kindOf(tree))) return [];
    const uses = readUses(tree ?? ({} as Node), KNOWS_NOTHING);
    return [{ row, text, tree, uses }];
  });
}

interface ResolvedStatement extends ParsedStatement {
  /** Those of user tables, with the columns that indexes could be on. */
  tableUses: { table: AdvisedTable; columns: string[][] }[];
  views: AdvisedTable[];
}

async function resolveStatements(
  parsed: readonly ParsedStatement[],
  tables: ReadonlyMap<string, AdvisedTable>,
): Promise<ResolvedStatement[]> {
  const hasColumn: HasColumn = (relation, column) =>
    tables.get(writtenKey(relation))?.columns.has(column) === true;
  return parsed.map((statement) => {
    if (!statement.tree) return { ...statement, tableUses: [], views: [] };
    const uses = readUses(statement.tree, hasColumn);
    const tableUses = uses.uses.flatMap((use) => {
      const table = tables.get(writtenKey(use.relation));
      if (!table || table.kind === 'v') return [];
      const isIndexable = (column: string) => table.columns.get(column)?.isSortable === true;
      const kept = {
        ...use,
        equal: use.equal.filter((column) => isIndexable(column) && !findsOneRow(table, column)),
        range: use.range.filter(isIndexable),
        sort: use.sort.every(isIndexable) ? use.sort : [],
      };
      const distinct = (column: string) => table.columns.get(column)?.distinct ?? 0;
      return [{ table, columns: candidateColumns(kept, distinct) }];
    });
    const views = uses.relations.flatMap((name) => {
      const view = tables.get(writtenKey(name));
      return view?.kind === 'v' ? [view] : [];
    });
    return { ...statement, uses, tableUses, views };
  });
}

/** Whether nothing can find rows by it better than the index that is there. */
function findsOneRow({ indexes }: AdvisedTable, column: string): boolean {
  return indexes.some(
    ({ isUnique, columns }) => isUnique && columns.length === 1 && columns[0] === column,
  );
}

interface Planning {
  statements: AdvisedStatement[];
  notPlanned: IndexAdvice['notPlanned'];
}

async function planAll(
  session: Session,
  asked: { planner: StatementPlanner; resolved: readonly ResolvedStatement[]; code: ForeignCode },
): Promise<Planning> {
  const statements: Planning['statements'] = [];
  const reasons = new Map<string, number>();
  for (const one of asked.resolved) {
    // What has nothing to be advised on is no loss.
    const isOfInterest =
      one.tree === undefined || one.tableUses.some(({ columns }) => columns.length);
    if (!isOfInterest) continue;
    const refusal = whyNotPlanned(session, one, asked.code);
    const plan = refusal === undefined ? await asked.planner.plan(one.text) : null;
    if (plan === null) {
      const reason =
        refusal ?? 'the server cannot plan them without their values or their search_path';
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
      continue;
    }
    const { queryId, calls, totalMs, shareOfTime } = one.row;
    statements.push({
      ...{ queryId, calls, totalMs, shareOfTime, plan },
      ...{ text: one.text, query: one.row.query ?? '' },
      tables: new Set(one.tableUses.map(({ table }) => table)),
      wanted: one.tableUses.flatMap(({ table, columns }) =>
        columns.map((list) => ({ table, columns: list })),
      ),
    });
  }
  const notPlanned = [...reasons].map(([reason, count]) => ({ reason, count }));
  return { statements, notPlanned };
}

/** The planner calls immutable functions, so what belongs to others must not be planned as oneself. */
function whyNotPlanned(
  { facts }: Session,
  { tree, uses, views }: ResolvedStatement,
  code: ForeignCode,
): string | undefined {
  if (tree === undefined) return 'their text is cut or unknown to the grammar';
  const isForeign =
    [...uses.functions].some((name) => code.functions.has(name)) ||
    [...uses.operators].some((name) => code.operators.has(name)) ||
    views.some(({ isOwnerTrusted }) => !isOwnerTrusted);
  if (isForeign) return 'they use functions, operators or views of other roles';
  // Its sessions are not ours: prepared statements would stay there, and settings are those of others.
  if (facts.isPooled) return 'a pooler is in between';
  return undefined;
}

function candidatesOf(
  statements: Planning['statements'],
  schema: string | undefined,
): CandidateIndex[] {
  const found = new Map<string, CandidateIndex>();
  for (const { wanted } of [...statements].sort((a, b) => b.totalMs - a.totalMs)) {
    for (const { table, columns } of wanted) {
      const isOutside = schema !== undefined && table.schema !== schema;
      if (isOutside || table.rows < LEAST_ROWS || table.parts.length > MOST_PARTS) continue;
      const isThere = table.indexes.some((index) =>
        columns.every((column, at) => column === index.columns[at]),
      );
      if (!isThere) found.set(JSON.stringify([table.oid, columns]), { table, columns });
    }
  }
  return [...found.values()].slice(0, MOST_CANDIDATES);
}

/** How often statements set the columns of a table, by its oid. */
function updatesOf(
  resolved: readonly ResolvedStatement[],
  tables: ReadonlyMap<string, AdvisedTable>,
): AdviceFacts['updates'] {
  return resolved.flatMap(({ row, uses }) =>
    uses.updates.flatMap(({ relation, columns }) => {
      const table = tables.get(writtenKey(relation));
      return table ? [{ oid: table.oid, columns, calls: row.calls }] : [];
    }),
  );
}

function notesOn(
  { facts }: Session,
  rows: readonly IndexAdviceRow[],
  hypopgSchema: string | null,
  { statements, notPlanned }: Planning,
): ReportNote[] {
  const notes: ReportNote[] = [];
  if (statements.length > 0) {
    notes.push({
      level: 'info',
      text: `${renderCount(statements.length, 'statement was', 'statements were')} planned without values, and none was run`,
    });
  }
  for (const { reason, count } of notPlanned) {
    notes.push({
      level: 'unknown',
      text: `${renderCount(count, 'statement was', 'statements were')} not planned: ${reason}`,
    });
  }
  if (hypopgSchema === null) {
    notes.push({
      level: 'unknown',
      text: facts.isPooled
        ? 'a pooler is in between, so hypothetical indexes cannot be made: these are candidates, and what they gain is unknown'
        : 'the extension hypopg is not installed in this database: these are candidates, and what they gain is unknown',
      hint: facts.isPooled
        ? 'Connect to the server itself (migrationUrl).'
        : 'Install its package on the server (Debian: postgresql-<major>-hypopg), then run in this database: create extension hypopg;',
    });
  }
  const redundant = [...new Set(rows.flatMap(({ redundantIndexes }) => redundantIndexes))];
  if (redundant.length > 0) {
    notes.push({
      level: 'info',
      text: `${redundant.join(', ')} would become redundant: a new index begins with the same columns`,
      hint: `Create the new one first; \`${commandLine('stats duplicates')}\` then shows what to drop.`,
    });
  }
  if (rows.some(({ basis }) => basis === 'plans')) {
    notes.push({
      level: 'info',
      text: 'the gain is in the cost that the planner estimates, not in time',
      hint: 'Measure the statements before and after.',
    });
  }
  return notes;
}

export const ADVISE_VIEW: ReportView<IndexAdviceRow> = {
  title: 'Indexes that would help',
  columns: [
    { header: 'table', value: (row) => `${row.schema}.${row.table}` },
    { header: 'columns', value: (row) => row.columns.join(', ') },
    { header: 'found by', value: (row) => BASIS[row.basis], priority: 2 },
    { header: 'gain', unit: 'ratio', value: (row) => row.gain },
    { header: 'of time', unit: 'ratio', value: (row) => row.shareOfTime, priority: 1 },
    { header: 'statements', unit: 'count', value: (row) => row.statements.length, priority: 4 },
    { header: 'size', unit: 'bytes', value: (row) => row.estimatedBytes, priority: 3 },
    { header: 'writes', unit: 'count', value: (row) => row.tableWrites, priority: 5 },
    { header: 'column updates', unit: 'count', value: (row) => row.columnUpdates, priority: 7 },
    {
      header: 'makes redundant',
      value: (row) => (row.redundantIndexes.length === 0 ? null : row.redundantIndexes.join(', ')),
      priority: 6,
    },
    { header: 'create', value: (row) => row.createSql, text: 'wraps' },
  ],
  empty: (report) => {
    const { planned } = report as IndexAdvice;
    if (planned === 0)
      return 'no statement could be examined, and every foreign key of a large table has an index';
    return 'no index was found that would make the statements cheaper';
  },
};

const BASIS = { plans: 'plans', scan: 'a scan', foreignKey: 'foreign key' } as const;
