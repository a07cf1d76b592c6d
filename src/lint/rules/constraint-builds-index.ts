import { quoteWhereNeeded } from '../../catalog/catalog.ts';
import { placeOf, touchedFor } from '../created.ts';
import { evidenceOf, type LintRule, relationOf, type StatementInContext } from '../rule.ts';
import { IN_NO_TRANSACTION_FILE, pronounFor, tablesNamed, underLock } from '../wording.ts';

/** A unique constraint or primary key that builds its index while no one can use the table. */
export const constraintBuildsIndex: LintRule = {
  name: 'constraint-builds-index',
  kinds: ['AlterTableStmt'],
  group: 'locks',
  severity: 'error',
  summary: 'adds a unique constraint or primary key that builds its index under lock',
  check(at) {
    return touchedFor(at, at.impact.builds, ['unique', 'primary key']).map((build) => {
      const kind = build.reason === 'unique' ? 'unique constraint' : 'primary key';
      const lock = at.impact.locks.find(({ relation }) => relation === build.relation)?.mode;
      const mode = lock === 'Share' ? lock : 'AccessExclusive';
      const name = build.subject === undefined ? '' : ` ${quoteWhereNeeded(build.subject)}`;
      return {
        message: `adding ${kind}${name} builds an index over ${tablesNamed(at, build.relations)} ${underLock(mode, pronounFor(build.relations))}`,
        hint: hintFor(at, build.relation, build.reason),
        offset: placeOf(at, build),
        tables: build.relations,
        lock: mode,
        evidence: evidenceOf(at, build.relation),
      };
    });
  },
};

function hintFor(at: StatementInContext, table: string, reason: string): string {
  const relation = relationOf(at, table);
  if (relation?.kind === 'partitioned table' || relation?.parent !== undefined) {
    return `Build the unique index concurrently on each partition ${IN_NO_TRANSACTION_FILE}, create it "on only" the partitioned table, and attach them.`;
  }
  const first = reason === 'unique' ? '' : ' Its columns have to be NOT NULL before.';
  return `Build the index with "create unique index concurrently" ${IN_NO_TRANSACTION_FILE}, then add the constraint "using index".${first}`;
}
