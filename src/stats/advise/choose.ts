import type { GenericPlan, StatementPlanner } from './plan-statement.ts';
import type { AdvisedTable } from './table-facts.ts';

/** A statement that some index may help. */
export interface AdvisedStatement {
  queryId: string | null;
  /** As it is planned. */
  text: string;
  query: string;
  calls: number;
  totalMs: number;
  shareOfTime: number;
  tables: Set<AdvisedTable>;
  /** The indexes that its conditions and its order ask for. */
  wanted: CandidateIndex[];
  plan: GenericPlan;
}

/** An index that is not there. */
export interface CandidateIndex {
  table: AdvisedTable;
  columns: string[];
}

/** What an index does for a statement, beside those that were chosen before it. */
export interface StatementGain {
  statement: AdvisedStatement;
  costBefore: number;
  costAfter: number;
}

/** A candidate that plans get cheaper with. */
export interface ChosenIndex extends CandidateIndex {
  gains: StatementGain[];
  estimatedBytes: number;
}

/** Bounds the work: a plan takes about a millisecond, and each choice needs one for each pair. */
const MOST_CHOSEN = 10;
/** What saves a statement less than this part of its cost is not worth an index. */
const LEAST_GAIN = 0.1;
/** A shorter index that gives so much of the gain is the better one. */
const NEARLY_AS_GOOD = 0.9;

/** SQL that creates the index on each part of its table, as hypopg takes it. */
function hypotheticalSql({ table, columns }: CandidateIndex): string[] {
  const list = columns.map((column) => `"${column.replaceAll('"', '""')}"`).join(', ');
  return table.parts.map((part) => `create index on ${part} (${list})`);
}

/**
 * Chooses the indexes that save most time, one after the other, each judged with those that were
 * chosen before it.
 */
export async function chooseIndexes(
  planner: StatementPlanner,
  statements: readonly AdvisedStatement[],
  candidates: readonly CandidateIndex[],
): Promise<ChosenIndex[]> {
  const chosen: ChosenIndex[] = [];
  const costs = new Map(statements.map((statement) => [statement, statement.plan.cost]));
  let left = [...candidates];
  const judged = new Map<CandidateIndex, StatementGain[]>();
  let changed: ReadonlySet<AdvisedStatement> = new Set(statements);
  while (left.length > 0 && chosen.length < MOST_CHOSEN) {
    for (const candidate of left) {
      const readers = statements.filter(({ tables }) => tables.has(candidate.table));
      // A choice changes what others can still save only for the statements that it helped.
      if (judged.has(candidate) && !readers.some((statement) => changed.has(statement))) continue;
      judged.set(candidate, await gainsOf(planner, { candidate, chosen, readers, costs }));
    }
    const best = bestOf(left, judged);
    if (best === undefined) break;
    const gains = judged.get(best) ?? [];
    const estimatedBytes = await planner.estimateBytes(hypotheticalSql(best));
    chosen.push({ ...best, gains, estimatedBytes });
    for (const { statement, costAfter } of gains) costs.set(statement, costAfter);
    changed = new Set(gains.map(({ statement }) => statement));
    left = left.filter((one) => one !== best && !isPrefix(one, best));
  }
  return chosen;
}

interface Judging {
  candidate: CandidateIndex;
  chosen: readonly CandidateIndex[];
  readers: readonly AdvisedStatement[];
  costs: ReadonlyMap<AdvisedStatement, number>;
}

async function gainsOf(
  planner: StatementPlanner,
  { candidate, chosen, readers, costs }: Judging,
): Promise<StatementGain[]> {
  const indexes = [...chosen, candidate].flatMap(hypotheticalSql);
  const gains: StatementGain[] = [];
  for (const statement of readers) {
    const costBefore = costs.get(statement) ?? 0;
    const plan = await planner.plan(statement.text, indexes);
    if (plan === null || plan.cost > costBefore * (1 - LEAST_GAIN)) continue;
    gains.push({ statement, costBefore, costAfter: plan.cost });
  }
  return gains;
}

/** The time that an index saves, if time were as the planner's cost. */
function savedMs(gains: readonly StatementGain[]): number {
  return gains.reduce(
    (sum, { statement, costBefore, costAfter }) =>
      sum + (statement.totalMs * (costBefore - costAfter)) / statement.plan.cost,
    0,
  );
}

function bestOf(
  candidates: readonly CandidateIndex[],
  judged: ReadonlyMap<CandidateIndex, StatementGain[]>,
): CandidateIndex | undefined {
  const saved = (one: CandidateIndex) => savedMs(judged.get(one) ?? []);
  const [best] = [...candidates].sort((a, b) => saved(b) - saved(a));
  if (best === undefined || saved(best) <= 0) return undefined;
  const shorter = candidates
    .filter((one) => isPrefix(one, best) && saved(one) >= saved(best) * NEARLY_AS_GOOD)
    .sort((a, b) => a.columns.length - b.columns.length);
  return shorter[0] ?? best;
}

/** Whether an index has the first columns of another one, or the same. */
export function isPrefix(one: CandidateIndex, of: CandidateIndex): boolean {
  return (
    one.table.oid === of.table.oid &&
    one.columns.length <= of.columns.length &&
    one.columns.every((column, at) => column === of.columns[at])
  );
}
