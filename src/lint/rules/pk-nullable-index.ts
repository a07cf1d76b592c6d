import { quoteWhereNeeded } from '../../catalog/catalog.ts';
import type { Scan } from '../../impact/impact.ts';
import { commandsOf } from '../../sql/list-items.ts';
import { asKind } from '../../sql/tree.ts';
import { placeOf, type TouchedGroup, touchedFor } from '../created.ts';
import { evidenceOf, type LintRule, type RuleFinding, type StatementInContext } from '../rule.ts';
import { listed, readsTables } from '../wording.ts';
import { notNullHint } from './set-not-null.ts';

/** A primary key over an index that exists, whose columns it first has to make NOT NULL. */
export const pkNullableIndex: LintRule = {
  name: 'pk-nullable-index',
  kinds: ['AlterTableStmt'],
  group: 'locks',
  severity: 'warning',
  summary:
    'makes an index the primary key whose columns may be null, which reads the table under lock',
  check(at) {
    const alter = asKind(at.tree, 'AlterTableStmt');
    if (alter === undefined) return [];
    const usingIndex = new Set(
      commandsOf(alter, at.text).flatMap(({ command, index }) =>
        asKind(command.def, 'Constraint')?.indexname === undefined ? [] : [index],
      ),
    );
    const scans = touchedFor(at, at.impact.scans, ['primary key columns']);
    return [...usingIndex].flatMap((command) => {
      const own = scans.filter((scan) => scan.command === command);
      return own.length === 0 ? [] : [judge(at, own)];
    });
  },
};

function judge(at: StatementInContext, scans: TouchedGroup<Scan>[]): RuleFinding {
  const [scan] = scans as [TouchedGroup<Scan>, ...TouchedGroup<Scan>[]];
  const isCertain = scans.some((one) => one.isCertain);
  const named = scans.flatMap(({ subject }) => (subject === undefined ? [] : [subject]));
  const columns = named.length === 0 ? 'its columns' : listed(named.map(quoteWhereNeeded));
  const sets = isCertain ? 'sets NOT NULL on' : 'sets NOT NULL, where it is missing, on';
  return {
    message: `this primary key ${sets} ${columns}, which ${readsTables(at, scan.relations, 'AccessExclusive')}`,
    hint: `Make the columns NOT NULL before. ${notNullHint(at, scan.relation, named.length === 1 ? columns : '…')}`,
    severity: isCertain ? 'error' : 'warning',
    offset: placeOf(at, scan),
    tables: scan.relations,
    lock: 'AccessExclusive',
    evidence: evidenceOf(at, scan.relation),
  };
}
