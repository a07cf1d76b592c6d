import { evidenceOf, type LintRule } from '../rule.ts';

/** What PostgreSQL refuses whatever the rows are, or leaves undone without a word. */
export const willFail: LintRule = {
  name: 'will-fail',
  group: 'tx',
  severity: 'error',
  summary: 'is refused by PostgreSQL, or does not do what it says',
  check(at) {
    return at.impact.refusals
      .filter((one) => !one.isOnlyInTransaction || at.file.isTransactional || at.isEmbedded)
      .map(({ sqlstate, message, hint, relation, offset }) => ({
        message: sqlstate === null ? message : `fails here (SQLSTATE ${sqlstate}): ${message}`,
        hint,
        // A condition or a handler in the body may know better, and a table may be as it should be.
        severity: at.isEmbedded || sqlstate === null ? ('warning' as const) : ('error' as const),
        tables: relation === undefined ? [] : [relation],
        ...(offset !== undefined && { offset }),
        evidence: relation === undefined ? ('static' as const) : evidenceOf(at, relation),
      }));
  },
};
