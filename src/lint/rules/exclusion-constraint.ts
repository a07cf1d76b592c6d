import { quoteWhereNeeded } from '../../catalog/catalog.ts';
import { placeOf, touchedFor } from '../created.ts';
import { evidenceOf, type LintRule } from '../rule.ts';
import { pronounFor, tablesNamed, underLock } from '../wording.ts';

/** An exclusion constraint, which has no form that lets others work meanwhile. */
export const exclusionConstraint: LintRule = {
  name: 'exclusion-constraint',
  kinds: ['AlterTableStmt'],
  group: 'locks',
  severity: 'error',
  summary: 'adds an exclusion constraint, which builds an index and checks every row under lock',
  check(at) {
    return touchedFor(at, at.impact.builds, ['exclusion']).map((build) => {
      const name = build.subject === undefined ? '' : ` ${quoteWhereNeeded(build.subject)}`;
      return {
        message: `adding exclusion constraint${name} builds an index over ${tablesNamed(at, build.relations)} and checks each row against it ${underLock('AccessExclusive', pronounFor(build.relations))}`,
        hint: 'It can be neither NOT VALID nor use an index that exists: create a new table with the constraint, fill it in batches while a trigger keeps it in step, and swap the two.',
        offset: placeOf(at, build),
        tables: build.relations,
        lock: 'AccessExclusive',
        evidence: evidenceOf(at, build.relation),
      };
    });
  },
};
