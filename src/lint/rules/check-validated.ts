import { quoteWhereNeeded } from '../../catalog/catalog.ts';
import { asKind } from '../../sql/tree.ts';
import { placeOf, touchedFor } from '../created.ts';
import { addNotValid } from '../not-valid.ts';
import { evidenceOf, type LintRule, unknownDomain } from '../rule.ts';
import { IN_LATER_FILE, readsTables } from '../wording.ts';

/** A check that is tried on every row under lock. */
export const checkValidated: LintRule = {
  name: 'check-validated',
  kinds: ['AlterTableStmt', 'AlterDomainStmt'],
  group: 'locks',
  severity: 'error',
  summary: 'adds a check that is not NOT VALID, which reads the whole table under lock',
  check(at) {
    const isDomain = asKind(at.tree, 'AlterDomainStmt')?.subtype === 'C';
    const unknown = isDomain ? unknownDomain(at) : undefined;
    if (
      unknown !== undefined &&
      !asKind(asKind(at.tree, 'AlterDomainStmt')?.def, 'Constraint')?.skip_validation
    ) {
      return [
        {
          message: `adding a check to domain ${unknown} reads every row of each table that uses it, under SHARE: no one can write to them meanwhile`,
          hint: DOMAIN_HINT,
          severity: 'warning',
          tables: [],
        },
      ];
    }
    const reason = isDomain ? 'domain constraint' : 'check constraint';
    const lock = isDomain ? 'Share' : 'AccessExclusive';
    return touchedFor(at, at.impact.scans, [reason]).map((scan) => {
      const name = scan.subject === undefined ? '' : ` ${quoteWhereNeeded(scan.subject)}`;
      const offset = placeOf(at, scan);
      return {
        message: `adding check${name}${isDomain ? ' to the domain' : ''} ${readsTables(at, scan.relations, lock)}`,
        hint: isDomain ? DOMAIN_HINT : HINT,
        severity: scan.isCertain ? 'error' : 'warning',
        offset,
        tables: scan.relations,
        lock,
        evidence: evidenceOf(at, scan.relation),
        fix: addNotValid(at, offset, 'CONSTR_CHECK'),
      };
    });
  },
};

const HINT = `Add it on its own as NOT VALID, which holds for new rows at once, and "validate constraint" ${IN_LATER_FILE}, beside reads and writes.`;
const DOMAIN_HINT = `Add it as NOT VALID, which locks no table and holds for new values at once; validating it later keeps writers out again, so where that takes too long put a check NOT VALID on the tables instead.`;
