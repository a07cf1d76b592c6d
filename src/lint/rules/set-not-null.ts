import { quoteWhereNeeded } from '../../catalog/catalog.ts';
import { asKind } from '../../sql/tree.ts';
import { placeOf, touchedFor } from '../created.ts';
import { alterItemAt, validateLater } from '../not-valid.ts';
import {
  evidenceOf,
  type Fix,
  keyOfRange,
  type LintRule,
  type RuleFinding,
  relationOf,
  type StatementInContext,
  unknownDomain,
} from '../rule.ts';
import { IN_LATER_FILE, readsTables } from '../wording.ts';

/** A column that is read through under lock, to see whether it holds a null. */
export const setNotNull: LintRule = {
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
      const offset = placeOf(at, scan);
      const unless = scan.isCertain ? '' : ', unless a validated check proves it,';
      return {
        message: `making ${column} NOT NULL${unless} ${readsTables(at, scan.relations, 'AccessExclusive')}`,
        hint: notNullHint(at, scan.relation, column),
        severity: scan.isCertain ? 'error' : 'warning',
        offset,
        tables: scan.relations,
        lock: 'AccessExclusive',
        evidence: evidenceOf(at, scan.relation),
        fix: addNotNullNotValid(at, offset),
      };
    });
  },
};

const NOT_NULL_VERSION = 180_000;
const MAX_NAME_BYTES = 63;

/** From PostgreSQL 18 on `set not null` makes a constraint, under this name. */
function addNotNullNotValid(at: StatementInContext, offset: number | undefined): Fix | undefined {
  const item = alterItemAt(at, offset);
  const column = item?.command.name;
  const isOld = at.settings.serverVersion < NOT_NULL_VERSION;
  if (item?.command.subtype !== 'AT_SetNotNull' || column === undefined || isOld) return undefined;
  const { relation } = item.alter;
  const name = `${relation?.relname}_${column}_not_null`;
  const isTaken = relationOf(at, keyOfRange(at, relation))?.constraints.has(name);
  if (Buffer.byteLength(name) > MAX_NAME_BYTES || isTaken || /--|\/\*/.test(item.text)) {
    return undefined;
  }
  const added = `add constraint ${quoteWhereNeeded(name)} not null ${quoteWhereNeeded(column)} not valid`;
  return {
    description: 'add the constraint not valid and validate it in a later migration',
    edits: [{ start: item.start, end: item.end, text: added }],
    follows: [validateLater(item, name, added)],
  };
}

/** A domain has no form that is not valid at first. */
function judgeDomain(at: StatementInContext): RuleFinding[] {
  const unknown = unknownDomain(at);
  if (unknown !== undefined) {
    return [
      {
        message: `making domain ${unknown} NOT NULL reads every row of each table that uses it, under SHARE: no one can write to them meanwhile`,
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
  return settings.serverVersion >= NOT_NULL_VERSION
    ? `Write "alter table ${table} add constraint … not null ${column} not valid", and "validate constraint" ${IN_LATER_FILE}.`
    : `Add "check (${column} is not null) not valid", validate it ${IN_LATER_FILE}, then set NOT NULL, which reads nothing any more, and drop the check.`;
}
