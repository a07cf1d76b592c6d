import { codeOf } from '../../connection/connection-error.ts';
import type { Session } from '../../connection/session.ts';
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts';

/** What the planner makes of a statement without knowing its parameters. */
export interface GenericPlan {
  cost: number;
  /** Tables that are read from start to end, as they are called in the statement, with the cost of that. */
  scans: { table: string; alias: string; cost: number }[];
}

/** How statements are planned on this server. */
export interface PlannerOptions {
  /** As SQL for `set search_path`; the statements have run with some path of theirs. */
  searchPath: string;
  /** The schema of hypopg; null where it cannot be used. */
  hypopgSchema: string | null;
  timeoutMs: number;
}

/** The first with `explain (generic_plan)`. */
const GENERIC_PLAN_FROM = 160000;

/** Plans statements, and never runs one. */
export interface StatementPlanner {
  /**
   * @param indexes statements that create the hypothetical indexes to plan with
   * @returns null if the server cannot plan it
   */
  plan(statement: string, indexes?: readonly string[]): Promise<GenericPlan | null>;
  /** What hypothetical indexes would take on disk, all together, by hypopg's estimate. */
  estimateBytes(indexes: readonly string[]): Promise<number>;
}

/** Makes a planner of statements as pg_stat_statements keeps them. */
export function createPlanner(session: Session, options: PlannerOptions): StatementPlanner {
  const { searchPath, hypopgSchema, timeoutMs } = options;
  const hypopg = hypopgSchema === null ? '' : `${quoteIdent(hypopgSchema)}.`;
  const begin = [
    'begin read only',
    `set local statement_timeout = ${timeoutMs}`,
    `set local search_path = ${searchPath}`,
  ];
  let count = 0;

  function explain(statement: string): string[] {
    if (session.facts.serverVersion >= GENERIC_PLAN_FROM) {
      return [`explain (generic_plan, format json) ${statement}\n`];
    }
    // A plan that was made is kept, so one name is never planned with two sets of indexes.
    count += 1;
    const name = `evdb_advise_${count}`;
    const nulls = Array.from({ length: countParameters(statement) }, () => 'null').join(', ');
    return [
      'set local plan_cache_mode = force_generic_plan',
      `prepare ${name} as ${statement}\n`,
      `explain (format json) execute ${name}${nulls === '' ? '' : `(${nulls})`}`,
      `deallocate ${name}`,
    ];
  }

  /** The indexes are the session's, not the transaction's. */
  function withIndexes(indexes: readonly string[], work: string[]): string {
    if (hypopg === '' || indexes.length === 0) return [...begin, ...work, 'rollback'].join('; ');
    const made = indexes.map(
      (index) =>
        `do $evdb$ begin perform ${hypopg}hypopg_create_index(${quoteLiteral(index)}); end $evdb$`,
    );
    const reset = `do $evdb$ begin perform ${hypopg}hypopg_reset(); end $evdb$`;
    return [...begin, reset, ...made, ...work, reset, 'rollback'].join('; ');
  }

  return {
    async plan(statement, indexes = []) {
      try {
        const [row] = await session.run(withIndexes(indexes, explain(fitForPlanning(statement))));
        return readPlan(row?.['QUERY PLAN']);
      } catch (error) {
        if (session.isClosed || codeOf(error) === undefined) throw error;
        await session.run('rollback');
        return null;
      }
    },
    async estimateBytes(indexes) {
      const [row] = await session.run(
        withIndexes(indexes, [
          `select pg_catalog.sum(${hypopg}hypopg_relation_size(indexrelid))::float8 as "bytes" from ${hypopg}hypopg()`,
        ]),
      );
      return Number(row?.bytes ?? 0);
    },
  };
}

/** `interval '7 days'` is counted as `interval $1`, which the grammar refuses. */
const TYPED_PARAMETER =
  /\b(interval|date|time|timetz|timestamp|timestamptz|timestamp with(?:out)? time zone)\s+(\$\d+)/gi;

/** The statement as one that can be planned. */
export function fitForPlanning(statement: string): string {
  return statement.replace(TYPED_PARAMETER, '$2::$1');
}

function countParameters(statement: string): number {
  const numbers = [...statement.matchAll(/\$(\d+)/g)].map(([, number]) => Number(number));
  return Math.max(0, ...numbers);
}

interface PlanNode {
  'Node Type': string;
  'Total Cost': number;
  'Relation Name'?: string;
  Alias?: string;
  Plans?: PlanNode[];
}

function readPlan(answer: unknown): GenericPlan | null {
  const [explained] = (typeof answer === 'string' ? JSON.parse(answer) : answer) as {
    Plan: PlanNode;
  }[];
  if (!explained) return null;
  const scans: GenericPlan['scans'] = [];
  const left = [explained.Plan];
  for (let node = left.pop(); node; node = left.pop()) {
    if (node['Node Type'] === 'Seq Scan') {
      const table = node['Relation Name'] ?? '';
      scans.push({ table, alias: node.Alias ?? table, cost: node['Total Cost'] });
    }
    left.push(...(node.Plans ?? []));
  }
  return { cost: explained.Plan['Total Cost'], scans };
}
