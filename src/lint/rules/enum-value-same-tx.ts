import { findRelation, type ObjectKey, resolveKey } from '../../catalog/catalog.ts';
import {
  relationNameOf,
  type TreeObject,
  visitObjects,
  walkTree,
  writtenNameOf,
} from '../../sql/tree.ts';
import { type LintRule, offsetOf, type RuleFinding, type StatementInContext } from '../rule.ts';

/** A new label of an enum that is used before it is committed (SQLSTATE 55P04). */
export const enumValueSameTx: LintRule = {
  name: 'enum-value-same-tx',
  group: 'tx',
  severity: 'error',
  summary: 'uses a new enum value in the transaction that adds it',
  check(at) {
    const { enumValues, isTransactional } = at.file;
    if (!isTransactional || enumValues.size === 0) return [];
    return [...enumValues].flatMap(([type, labels]) => judge(at, type, labels));
  },
};

function judge(at: StatementInContext, type: ObjectKey, labels: readonly string[]): RuleFinding[] {
  if (!mayMean(at, type)) return [];
  const found: RuleFinding[] = [];
  walkTree(at.tree, (kind, fields) => {
    const label = (fields as { sval?: { sval?: string } }).sval?.sval;
    if (kind !== 'A_Const' || label === undefined || !labels.includes(label)) return;
    found.push({
      message: `uses '${label}' in the transaction that adds it to ${type}: PostgreSQL refuses that as an unsafe use of a new value`,
      hint: 'Move what uses the value into a later migration.',
      offset: offsetOf(at, fields.location as number | undefined),
      tables: [],
    });
  });
  return found;
}

/** False only where every table is known, none has a column of the type, and nothing else names it. */
function mayMean(at: StatementInContext, type: ObjectKey): boolean {
  let tables = 0;
  let mayBe = false;
  visitObjects(at.tree, (fields) => {
    if (typeof fields.relname === 'string') {
      tables++;
      mayBe ||= mayHave(at, fields, type);
    } else if (Array.isArray(fields.names)) {
      const named = resolveKey(at.catalog, writtenNameOf(fields.names), at.catalog.types);
      mayBe ||= named === type;
    } else if (Array.isArray(fields.funcname)) mayBe = true;
  });
  return mayBe || tables === 0;
}

function mayHave(at: StatementInContext, range: TreeObject, type: ObjectKey): boolean {
  const relation = findRelation(at.catalog, relationNameOf(range));
  const columns = [...(relation?.columns.values() ?? [])];
  return relation === undefined || columns.some((column) => column.type.name === type);
}
