import { readFileSync } from 'node:fs';
import { beforeAll, expect } from 'vitest';
import {
  type Catalog,
  type CatalogConstraint,
  createCatalog,
  type Relation,
  type UserType,
} from '../../src/catalog/catalog.ts';
import { showType } from '../../src/catalog/column-type.ts';
import { readCatalog } from '../../src/catalog/read/catalog.ts';
import { replayStatement } from '../../src/catalog/replay/replay.ts';
import { loadSqlParser, type SqlParser } from '../../src/sql/parser.ts';
import { splitStatements } from '../../src/sql/statements.ts';
import { test } from '../support/fixture.ts';
import { inspect } from '../support/sessions.ts';

/**
 * A catalog as text, a line for each thing, so that two of them can be compared. Sizes are left out,
 * and so are the columns of views, whose types only the database knows.
 *
 * @param options.namesNotNull false where the server has no constraints for what is not null
 */
function describeCatalog(
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
      rules: [...(relation.rulesRead ?? [])]
        .map(([rule, read]) => `${rule}>${[...read].sort().join('+')}`)
        .sort(),
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

let parser: SqlParser;
beforeAll(async () => {
  parser = await loadSqlParser();
});

const script = (name: string) =>
  readFileSync(new URL(`../support/catalog-scripts/${name}.sql`, import.meta.url), 'utf8');

function replay(text: string): Catalog {
  const catalog = createCatalog();
  for (const statement of splitStatements(text)) {
    const tree = parser.parse(statement.text);
    if (tree === null) throw new Error(`does not parse: ${statement.text}`);
    replayStatement(catalog, tree, statement.text);
  }
  return catalog;
}

/** The statements up to a comment that names a newer server. */
function forServer(text: string, serverVersion: number): string {
  return serverVersion >= 180_000 ? text : (text.split('-- From PostgreSQL 18 on')[0] ?? '');
}

test.for(['tables', 'changes', 'partitions', 'objects', 'names'])(
  'replaying gives the catalog of a database that ran it: %s',
  async (name, { emptyDb }) => {
    const [{ version }] = (await emptyDb.sql`
      select current_setting('server_version_num')::int as version`) as [{ version: number }];
    const text = forServer(script(name), version);
    await emptyDb.sql.unsafe(text).simple();
    const real = await inspect(emptyDb.url, (session) => readCatalog(session));
    const namesNotNull = version >= 180_000;
    expect(describeCatalog(replay(text), { namesNotNull })).toEqual(
      describeCatalog(real, { namesNotNull }),
    );
  },
);
