import { quoteWhereNeeded } from '../../catalog/catalog.ts';
import { asKind } from '../../sql/tree.ts';
import { placeOf, touchedFor } from '../created.ts';
import {
  evidenceOf,
  type Rule,
  type RuleFinding,
  type StatementInContext,
  unknownDomain,
} from '../rule.ts';
import { IN_LATER_FILE, readsTables } from '../wording.ts';

/** A column that is read through under lock, to see whether it holds a null. */
export const setNotNull: Rule = {
  name: 'set-not-null',
  kinds: ['AlterTableStmt', 'AlterDomainStmt'],
  group: 'locks',
  severity: 'error',
  summary: 'makes a column NOT NULL, which reads the whole table under lock',
  check(at) {
    const domain = asKind(at.tree, 'AlterDomainStmt');
    if (domain?.subtype === 'O') return judgeDomain(at);
    const scans = touchedFor(at, at.impact.scans, ['set not null', 'not null constraint']);
    return scans.map((scan) => {
      const column = quoteWhereNeeded(scan.subject ?? '?');
      const unless = scan.isCertain ? '' : ', unless a validated check proves it,';
      return {
        message: `making ${column} NOT NULL${unless} ${readsTables(at, scan.relations, 'AccessExclusive')}`,
        hint: notNullHint(at, scan.relation, column),
        severity: scan.isCertain ? 'error' : 'warning',
        offset: placeOf(at, scan),
        tables: scan.relations,
        lock: 'AccessExclusive',
        evidence: evidenceOf(at, scan.relation),
      };
    });
  },
};

/** A domain has no form that is not valid at first. */
function judgeDomain(at: StatementInContext): RuleFinding[] {
  const unknown = unknownDomain(at);
  if (unknown !== undefined) {
    return [
      {
        message: `making domain ${unknown} NOT NULL reads every row of each table that uses it, under SHARE: nobody can write them meanwhile`,
        hint: DOMAIN_HINT,
        severity: 'warning',
        tables: [],
      },
    ];
  }
  return touchedFor(at, at.impact.scans, ['domain constraint']).map((scan) => ({
    message: `making the domain NOT NULL ${readsTables(at, scan.relations, 'Share')}`,
    hint: DOMAIN_HINT,
    severity: scan.isCertain ? 'error' : 'warning',
    tables: scan.relations,
    lock: 'Share',
    evidence: evidenceOf(at, scan.relation),
  }));
}

const DOMAIN_HINT = `Add "check (value is not null) not valid" to the domain, which locks no table, or make the columns NOT NULL one by one ${IN_LATER_FILE}.`;

/** The steps by which a column becomes NOT NULL without a scan under a strong lock. */
export function notNullHint(
  { settings }: StatementInContext,
  table: string,
  column: string,
): string {
  return settings.serverVersion >= 180_000
    ? `Write "alter table ${table} add constraint … not null ${column} not valid", and "validate constraint" ${IN_LATER_FILE}.`
    : `Add "check (${column} is not null) not valid", validate it ${IN_LATER_FILE}, then set NOT NULL, which reads nothing any more, and drop the check.`;
}
