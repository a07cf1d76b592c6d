import type { AlterPolicyStmt, CreatePolicyStmt, RuleStmt } from '@pgsql/types';
import { relationNameOf } from '../../sql/tree.ts';
import { type Catalog, type ColumnUse, findRelation, type Relation } from '../catalog.ts';
import { columnsIn } from '../expression.ts';
import { rangesIn, relationsRead } from '../query-relations.ts';

/** Notes that something uses columns of a table, which then stay and keep their types. */
export function useColumns(relation: Relation, use: ColumnUse): void {
  relation.uses ??= new Map();
  const own = `${use.kind} ${use.name}`;
  relation.uses.set(use.owner ? `${own} of ${use.owner.key}` : own, use);
}

/**
 * Notes what a query or expression uses of the relations that it names. A column whose name several
 * of them have is left out: what it belongs to is not known.
 *
 * @param own the table that the expression is about, which it need not name
 */
export function noteUses(
  catalog: Catalog,
  { kind, name }: Pick<ColumnUse, 'kind' | 'name'>,
  expression: unknown,
  own?: Relation,
): void {
  const read = new Set([...(own ? [own] : []), ...relationsRead(catalog, expression)]);
  const mentioned = columnsIn(expression);
  // Without a query in it, it can only mean its own table.
  const isSure = own !== undefined && rangesIn(expression).length === 0;
  if (own && (kind === 'policy' || kind === 'rule')) noteReads(own, `${kind} ${name}`, read);
  for (const relation of read) {
    const columns = mentioned.filter((column) => {
      const holders = [...read].filter((one) => one.columns.has(column));
      return holders.length === 1 && holders[0] === relation;
    });
    if (columns.length > 0 || relation === own) {
      const owner = own && relation !== own ? { owner: own } : {};
      useColumns(relation, { kind, name, columns: new Set(columns), ...owner, isSure });
    }
  }
}

/** Notes what a policy or a rule of a table reads, with which it goes away. */
export function noteReads(own: Relation, rule: string, read: Iterable<Relation>): void {
  for (const relation of read) {
    if (relation === own) continue;
    own.rulesRead ??= new Map();
    own.rulesRead.set(rule, (own.rulesRead.get(rule) ?? new Set()).add(relation.key));
    relation.everLinked?.add(own);
  }
}

/** Forgets a trigger, policy or rule of a table, and what it used of others. */
export function forgetUse(catalog: Catalog, own: Relation, rule: string): void {
  for (const [relation, key] of usesOfOthers(catalog, own, rule)) relation.uses?.delete(key);
  own.uses?.delete(rule);
  own.rulesRead?.delete(rule);
}

/** Where a policy or rule of a table uses columns of others. */
function usesOfOthers({ relations }: Catalog, own: Relation, rule: string) {
  const found: [relation: Relation, key: string, use: ColumnUse][] = [];
  for (const other of own.rulesRead?.get(rule) ?? []) {
    const relation = relations.get(other);
    for (const [key, use] of relation?.uses ?? []) {
      const isIt = use.owner === own && `${use.kind} ${use.name}` === rule;
      if (relation && isIt) found.push([relation, key, use]);
    }
  }
  return found;
}

/** Gives what uses columns of a table another name. */
export function renameUse(
  catalog: Catalog,
  relation: Relation,
  kind: ColumnUse['kind'],
  { from, to }: { from: string; to: string },
): void {
  for (const [other, key, use] of usesOfOthers(catalog, relation, `${kind} ${from}`)) {
    other.uses?.delete(key);
    useColumns(other, { ...use, name: to });
  }
  const read = relation.rulesRead?.get(`${kind} ${from}`);
  if (read && relation.rulesRead?.delete(`${kind} ${from}`)) {
    relation.rulesRead.set(`${kind} ${to}`, read);
  }
  const use = relation.uses?.get(`${kind} ${from}`);
  if (use && relation.uses?.delete(`${kind} ${from}`)) useColumns(relation, { ...use, name: to });
}

/** Forgets what something used, wherever that was. */
export function dropUses({ relations }: Catalog, kind: ColumnUse['kind'], name: string): void {
  for (const { uses } of relations.values()) uses?.delete(`${kind} ${name}`);
}

/** `create policy` */
export function replayPolicy(catalog: Catalog, statement: CreatePolicyStmt): void {
  const { table, policy_name: name = '', qual, with_check } = statement;
  const relation = table && findRelation(catalog, relationNameOf(table));
  if (relation) noteUses(catalog, { kind: 'policy', name }, [qual, with_check], relation);
}

/** `alter policy`, whose expressions take the place of those before. */
export function replayPolicyChange(catalog: Catalog, statement: AlterPolicyStmt): void {
  const { table, policy_name: name = '', qual, with_check } = statement;
  const relation = table && findRelation(catalog, relationNameOf(table));
  // What the other expression uses, where only one is changed, is not kept apart.
  if (relation && (qual ?? with_check)) {
    forgetUse(catalog, relation, `policy ${name}`);
    noteUses(catalog, { kind: 'policy', name }, [qual, with_check], relation);
  }
}

/** `create rule` */
export function replayRule(catalog: Catalog, statement: RuleStmt): void {
  const { relation: range, rulename: name = '', whereClause, actions } = statement;
  const relation = range && findRelation(catalog, relationNameOf(range));
  if (relation === undefined) return;
  forgetUse(catalog, relation, `rule ${name}`);
  noteUses(catalog, { kind: 'rule', name }, [whereClause, actions], relation);
}
