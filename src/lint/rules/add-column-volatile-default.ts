import { quoteWhereNeeded } from '../../catalog/catalog.ts';
import { placeOf, touchedFor } from '../created.ts';
import { evidenceOf, type LintRule } from '../rule.ts';
import { IN_LATER_FILE, rewritesTables } from '../wording.ts';

/** A column whose default has another value for each row, so that every row has to be written. */
export const addColumnVolatileDefault: LintRule = {
  name: 'add-column-volatile-default',
  kinds: ['AlterTableStmt'],
  group: 'locks',
  severity: 'error',
  summary: 'adds a column with a volatile default, which rewrites the table',
  check(at) {
    return touchedFor(at, at.impact.rewrites, ['volatile default']).map((rewrite) => {
      const column = quoteWhereNeeded(rewrite.subject ?? '?');
      const expression = rewrite.detail ?? 'default';
      const subject = rewrite.isCertain
        ? `the volatile ${expression} of the new column ${column}`
        : `${expression} of the new column ${column} may be volatile and then`;
      return {
        message: `${subject} ${rewritesTables(at, rewrite.relations)}`,
        hint: `Add the column without the default, set the default in a second statement, and fill the old rows in batches ${IN_LATER_FILE}.`,
        severity: rewrite.isCertain ? 'error' : 'warning',
        offset: placeOf(at, rewrite),
        tables: rewrite.relations,
        lock: 'AccessExclusive',
        evidence: evidenceOf(at, rewrite.relation),
      };
    });
  },
};
