import { quoteWhereNeeded } from '../../catalog/catalog.ts';
import type { Rewrite } from '../../impact/impact.ts';
import { placeOf, type TouchedGroup, touchedFor } from '../created.ts';
import { evidenceOf, type LintRule, type StatementInContext } from '../rule.ts';
import { IN_LATER_FILE, rewritesTables } from '../wording.ts';

/** A column whose kind alone makes PostgreSQL write every row. */
export const addColumnRewrite: LintRule = {
  name: 'add-column-rewrite',
  kinds: ['AlterTableStmt'],
  group: 'locks',
  severity: 'error',
  summary:
    'adds a serial, identity, stored generated or constrained domain column, which rewrites the table',
  check(at) {
    return touchedFor(at, at.impact.rewrites, [
      'serial',
      'identity',
      'stored generated column',
      'constrained domain',
    ]).map((rewrite) => {
      const column = quoteWhereNeeded(rewrite.subject ?? '?');
      const unless = rewrite.isCertain ? '' : ', if the type is a domain with a constraint,';
      return {
        message: `adding column ${column} ${kindOf(rewrite)}${unless} ${rewritesTables(at, rewrite.relations)}`,
        hint: hintFor(at, rewrite),
        severity: rewrite.isCertain ? 'error' : 'warning',
        offset: placeOf(at, rewrite),
        tables: rewrite.relations,
        lock: 'AccessExclusive',
        evidence: evidenceOf(at, rewrite.relation),
      };
    });
  },
};

function kindOf({ reason, detail }: TouchedGroup<Rewrite>): string {
  switch (reason) {
    case 'serial':
      return `as ${detail ?? 'serial'}`;
    case 'identity':
      return 'as identity';
    case 'stored generated column':
      return 'as a stored generated column';
    default:
      return detail === undefined ? 'of a constrained domain' : `of domain ${detail}`;
  }
}

function hintFor({ settings }: StatementInContext, { reason }: TouchedGroup<Rewrite>): string {
  switch (reason) {
    case 'serial':
    case 'identity':
      return `Add a plain column, create a sequence and set nextval() of it as default in a second statement, and fill the old rows in batches ${IN_LATER_FILE}.`;
    case 'stored generated column':
      return settings.serverVersion >= 180_000
        ? 'Make it "generated always as (…) virtual", which is computed when it is read and rewrites nothing.'
        : `Add a plain column that a trigger keeps up to date, and fill the old rows in batches ${IN_LATER_FILE}.`;
    default:
      return `Add the column with the domain's base type, and the rule as a check NOT VALID that is validated ${IN_LATER_FILE}.`;
  }
}
