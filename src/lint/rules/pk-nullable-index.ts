import { quoteWhereNeeded } from '../../catalog/catalog.ts';
import { commandsOf } from '../../sql/list-items.ts';
import { asKind } from '../../sql/tree.ts';
import type { Rule } from '../rule.ts';
import { evidenceOf } from '../subject.ts';
import { placeOf, touchedFor } from '../touched.ts';
import { listed, readsTables } from '../wording.ts';
import { notNullHint } from './set-not-null.ts';

/** A primary key over an index that exists, whose columns it first has to make NOT NULL. */
export const pkNullableIndex: Rule = {
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
    return touchedFor(at, at.impact.scans, ['primary key columns'])
      .filter(({ command }) => command !== undefined && usingIndex.has(command))
      .map((scan) => {
        const columns = scan.subject === undefined ? 'its columns' : quoteWhereNeeded(scan.subject);
        const unless = scan.isCertain
          ? 'sets NOT NULL on'
          : 'sets NOT NULL, where it is missing, on';
        return {
          message: `this primary key ${unless} ${listed([columns])}, which ${readsTables(at, scan.relations, 'AccessExclusive')}`,
          hint: `Make the columns NOT NULL before. ${notNullHint(at, scan.relation, scan.subject === undefined ? '…' : columns)}`,
          severity: scan.isCertain ? 'error' : 'warning',
          offset: placeOf(at, scan),
          tables: scan.relations,
          lock: 'AccessExclusive',
          evidence: evidenceOf(at, scan.relation),
        };
      });
  },
};
