import { quoteIdent } from '../../sql/quote.ts';
import { describeCount } from '../../text/units.ts';
import type { DoctorCheck, DoctorFinding } from './check.ts';
import { readUpkeep, type TableUpkeep } from './dead-rows.ts';

const LATE = 2;
const FEW_ROWS = 10_000;

/** Tables that changed so much since the last analyze that plans are guesses. */
export function judgeStaleStatistics(rows: TableUpkeep[]): DoctorFinding[] {
  return rows
    .filter(
      ({ changedSinceAnalyze, analyzeAt }) =>
        changedSinceAnalyze > analyzeAt * LATE && changedSinceAnalyze >= FEW_ROWS,
    )
    .map(({ schema, table, changedSinceAnalyze, liveRows }) => ({
      status: 'warning',
      object: `${schema}.${table}`,
      reason: `${changedSinceAnalyze} rows of ${schema}.${table} changed since it was analyzed (${liveRows} rows then)`,
      fix: `analyze ${quoteIdent(schema)}.${quoteIdent(table)};`,
    }));
}

export const STALE_STATISTICS: DoctorCheck = {
  name: 'stale-statistics',
  group: 'vacuum',
  async examine(_session, context) {
    const rows = await context.once(readUpkeep);
    const due = rows.filter((row) => row.changedSinceAnalyze > row.analyzeAt).length;
    return {
      findings: judgeStaleStatistics(rows),
      summary:
        due === 0 ? 'no table waits for analyze' : `${describeCount(due, 'table')} due for analyze`,
    };
  },
};
