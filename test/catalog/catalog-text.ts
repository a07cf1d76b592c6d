import type { Catalog, CatalogConstraint, Relation, UserType } from '../../src/catalog/catalog.ts';
import { showType } from '../../src/catalog/column-type.ts';

/**
 * A catalog as text, a line for each thing, so that two of them can be compared. Sizes are left out,
 * and so are the columns of views, whose types only the database knows.
 *
 * @param options.namesNotNull false where the server has no constraints for what is not null
 */
export function describeCatalog(
  { relations, indexes, types, routines }: Catalog,
  { namesNotNull }: { namesNotNull: boolean },
): string[] {
  const lines = [
    ...[...relations.values()].flatMap((relation) => describeRelation(relation, namesNotNull)),
    ...[...indexes.values()].map((index) =>
      line(`index ${index.key}`, {
        on: index.table,
        columns: index.columns.map((name) => name ?? '(…)'),
        mentions: [...index.mentions].sort(),
        attributes: index.attributes,
        unique: index.isUnique,
        partial: index.isPartial,
        method: index.method,
        identity: index.isIdentity,
        collations: index.collations?.map((name) => name ?? '-'),
        valid: index.isValid,
        parent: index.parent,
      }),
    ),
    ...[...types.values()].map(describeType),
    ...[...routines.values()].map(
      ({ key, volatility, language }) => `routine ${key} ${volatility} ${language}`,
    ),
  ];
  return lines.sort();
}

function describeRelation(relation: Relation, namesNotNull: boolean): string[] {
  const { key, kind } = relation;
  const isView = kind === 'view' || kind === 'materialized view';
  return [
    line(`${kind} ${key}`, {
      parent: relation.parent,
      children: [...relation.children].sort(),
      default: relation.defaultPartition,
      key: relation.partitionKey && [
        relation.partitionKey.strategy,
        ...relation.partitionKey.columns.map((name) => name ?? '(…)'),
      ],
      owner: relation.ownedBy && `${relation.ownedBy.table}.${relation.ownedBy.column}`,
      triggers: [...(relation.triggers ?? [])]
        .map(([name, routine]) => `${name}>${routine}`)
        .sort(),
      dependents: [...relation.dependents].sort(),
      reads: [...(relation.reads ?? [])]
        .map(([table, columns]) => `${table}(${[...columns].sort()})`)
        .sort(),
      indexes: [...relation.indexes].sort(),
      unlogged: relation.isUnlogged,
    }),
    ...(isView ? [] : [...relation.columns.values()]).map((column) =>
      line(`column ${key}.${column.name} ${showType(column.type)}`, {
        notNull: column.isNotNull,
        default: column.hasDefault,
        generated: column.generated,
        collation: column.collation,
      }),
    ),
    ...[...relation.constraints.values()]
      .filter((one) => namesNotNull || one.kind !== 'not null')
      .map((one) => describeConstraint(key, one)),
  ];
}

function describeConstraint(table: string, one: CatalogConstraint): string {
  return line(`constraint ${one.name} of ${table}: ${one.kind}`, {
    columns: one.kind === 'check' ? [...one.columns].sort() : one.columns,
    validated: one.isValidated,
    enforced: one.isEnforced,
    proves: [...one.provesNotNull].sort(),
    references: one.references,
    referenced: one.referencedColumns,
    onDelete: one.onDelete,
    onUpdate: one.onUpdate,
    index: one.index,
    inherited: one.isInherited ?? false,
    own: one.isOwnOnly ?? false,
  });
}

function describeType(type: UserType): string {
  return line(`type ${type.key} ${type.kind}`, {
    labels: type.labels,
    base: type.base && showType(type.base),
    constrained: type.isConstrained,
    notNull: type.isNotNull ?? false,
    checks: [...(type.checks ?? [])]
      .map(([name, { isValidated }]) => `${name} ${isValidated}`)
      .sort(),
    default: type.default !== undefined,
  });
}

function line(head: string, facts: Record<string, unknown>): string {
  const said = Object.entries(facts)
    .filter(([, value]) => value !== undefined && value !== false)
    .filter(([, value]) => !Array.isArray(value) || value.length > 0)
    .map(([name, value]) => (value === true ? name : `${name}=${[value].flat().join(',')}`));
  return [head, ...said].join(' ');
}
