import type {
  AlterDomainStmt,
  AlterTableCmd,
  AlterTableStmt,
  ATAlterConstraint,
  DropStmt,
  TruncateStmt,
} from '@pgsql/types';
import {
  type Catalog,
  type CatalogIndex,
  quoteWhereNeeded,
  resolveKey,
} from '../../catalog/catalog.ts';
import { commandsOf } from '../../sql/list-items.ts';
import { asKind, writtenNameOf } from '../../sql/tree.ts';
import { renderNumber } from '../../text/units.ts';
import { type DroppedObject, droppedObjects } from '../dropped.ts';
import {
  isFresh,
  isSurelyMissing,
  keyOfRange,
  type LintRule,
  offsetOf,
  type RuleFinding,
  relationOf,
  type Severity,
  type StatementInContext,
} from '../rule.ts';
import { sized } from '../wording.ts';

/** Data that is gone for good, and objects that the running application may still use. */
export const destructiveChange: LintRule = {
  name: 'destructive-change',
  kinds: [
    'DropStmt',
    'TruncateStmt',
    'AlterTableStmt',
    'AlterDomainStmt',
    'DropdbStmt',
    'DropOwnedStmt',
  ],
  group: 'data',
  severity: 'error',
  inGatedContract: 'info',
  summary: 'deletes data, or what a running application may still use',
  check(at) {
    const { tree } = at;
    const drop = asKind(tree, 'DropStmt');
    if (drop) return judgeDrop(at, drop);
    const truncate = asKind(tree, 'TruncateStmt');
    if (truncate) return judgeTruncate(at, truncate);
    const alter = asKind(tree, 'AlterTableStmt');
    if (alter) return judgeAlterTable(at, alter);
    const domain = asKind(tree, 'AlterDomainStmt');
    if (domain) return judgeAlterDomain(at, domain);
    const database = asKind(tree, 'DropdbStmt');
    if (database) {
      return [finding(`drops the database ${database.dbname} with everything in it`)];
    }
    const owned = asKind(tree, 'DropOwnedStmt');
    return owned ? [finding('drops everything that the role owns in this database')] : [];
  },
};

function judgeDrop(at: StatementInContext, drop: DropStmt): RuleFinding[] {
  if (drop.removeType === 'OBJECT_INDEX') return judgeUniqueIndexes(at, drop);
  return droppedObjects(at, drop)
    .filter(({ isOwn }) => !isOwn)
    .map((object) => ({
      ...finding(
        `drops ${object.kind} ${object.shown}${unknownOrigin(at, object)}: ${lossOf(at, drop, object)}`,
      ),
      offset: object.offset,
      tables: object.relation === undefined ? [] : [object.relation],
    }));
}

/** Said where the migrations are known, and none of them made it. */
function unknownOrigin(at: StatementInContext, { relation }: DroppedObject): string {
  return relation !== undefined && isSurelyMissing(at, relation)
    ? ', which no migration creates'
    : '';
}

/** With a unique index goes the rule that it keeps, unless another one keeps it too. */
function judgeUniqueIndexes(at: StatementInContext, drop: DropStmt): RuleFinding[] {
  return (drop.objects ?? []).flatMap((node) => {
    const written = writtenNameOf(asKind(node, 'List')?.items);
    const key = resolveKey(at.catalog, written, at.catalog.indexes);
    const index = at.catalog.indexes.get(key);
    if (!index?.isUnique || isFresh(at, index.table) || isFresh(at, key)) return [];
    const isKept = (after: Catalog) =>
      [...(after.relations.get(index.table)?.indexes ?? [])].some(
        (other) => other !== key && keepsUnique(after.indexes.get(other), index),
      );
    if (isKept(at.catalog)) return [];
    const columns = index.columns.map((name) => (name ? quoteWhereNeeded(name) : '…')).join(', ');
    return [
      {
        ...finding(
          `drops unique index ${key}: (${columns}) of ${index.table} is no longer kept unique`,
          'info',
        ),
        tables: [index.table],
        stillHolds: (after: Catalog) => !after.indexes.has(key) && !isKept(after),
      },
    ];
  });
}

/** Whether one unique index rules out all that the other one does. */
function keepsUnique(one: CatalogIndex | undefined, other: CatalogIndex): boolean {
  if (!one?.isUnique || (one.isPartial && !other.isPartial)) return false;
  if (one.isPartial) return one.mentions.join() === other.mentions.join();
  return one.columns.every((name) => name !== undefined && other.columns.includes(name));
}

function lossOf(at: StatementInContext, drop: DropStmt, { kind, relation }: DroppedObject): string {
  const isCascade = drop.behavior === 'DROP_CASCADE';
  const users = 'versions of the application that still use it fail';
  switch (kind) {
    case 'table': {
      const rows = relation === undefined ? undefined : relationOf(at, relation)?.rows;
      const amount = rows === undefined ? 'its rows' : `its ${renderNumber(rows)} rows`;
      return `${amount} are gone, and ${users}`;
    }
    case 'schema':
      return isCascade ? 'everything in it is gone, with all rows' : users;
    case 'type':
    case 'domain':
      return isCascade ? 'every column of that type is gone with its values' : users;
    case 'extension':
      return isCascade ? 'everything that depends on it is gone' : users;
    default:
      return users;
  }
}

function judgeTruncate(at: StatementInContext, truncate: TruncateStmt): RuleFinding[] {
  const andOthers =
    truncate.behavior === 'DROP_CASCADE' ? ', and those of every table that references it' : '';
  return (truncate.relations ?? []).flatMap((node) => {
    const range = asKind(node, 'RangeVar');
    const key = keyOfRange(at, range);
    if (range === undefined || isFresh(at, key)) return [];
    return [
      {
        ...finding(
          `deletes all rows of ${sized(at, key)}${andOthers}${isSurelyMissing(at, key) ? '; no migration creates it' : ''}`,
        ),
        offset: offsetOf(at, range.location),
        tables: [key],
        lock: 'AccessExclusive' as const,
      },
    ];
  });
}

function judgeAlterTable(at: StatementInContext, alter: AlterTableStmt): RuleFinding[] {
  if (alter.objtype === 'OBJECT_TYPE') return judgeAttributes(at, alter);
  const table = keyOfRange(at, alter.relation);
  if (isFresh(at, table)) return [];
  return commandsOf(alter, at.text).flatMap(({ command, offset }) => {
    const found = judgeCommand(at, table, command);
    return found === undefined ? [] : [{ ...found, offset, tables: [table] }];
  });
}

function judgeCommand(
  at: StatementInContext,
  table: string,
  { subtype, name = '', def }: AlterTableCmd,
): RuleFinding | undefined {
  const shown = quoteWhereNeeded(name || '?');
  switch (subtype) {
    case 'AT_DropColumn':
      return finding(
        `drops column ${shown} of ${sized(at, table)}: its values are gone, and versions of the application that still name it fail`,
      );
    case 'AT_DropNotNull':
      return finding(
        `lets ${table}.${shown} be null: versions of the application that rely on a value may find none`,
        'info',
      );
    case 'AT_DropConstraint':
      if (isProvenOtherwise(at, table, name)) return undefined;
      return finding(
        `drops constraint ${shown} of ${table}: its rule is no longer enforced`,
        'info',
      );
    case 'AT_AlterConstraint': {
      const { ATAlterConstraint: change } = def as { ATAlterConstraint?: ATAlterConstraint };
      if (!change?.alterEnforceability || change.is_enforced) return undefined;
      return finding(
        `no longer enforces constraint ${quoteWhereNeeded(change.conname ?? '?')} of ${table}: its rule is no longer enforced`,
        'info',
      );
    }
    default:
      return undefined;
  }
}

/** The check that stood in for a `not null` is not missed once the columns are `not null`. */
function isProvenOtherwise(at: StatementInContext, table: string, name: string): boolean {
  const relation = relationOf(at, table);
  const constraint = relation?.constraints.get(name);
  return (
    constraint?.kind === 'check' &&
    constraint.provesNotNull.length > 0 &&
    constraint.columns.every(
      (column) =>
        constraint.provesNotNull.includes(column) && relation?.columns.get(column)?.isNotNull,
    )
  );
}

function judgeAttributes(at: StatementInContext, alter: AlterTableStmt): RuleFinding[] {
  const type = resolveKey(
    at.catalog,
    { schema: alter.relation?.schemaname, name: alter.relation?.relname ?? '' },
    at.catalog.types,
  );
  if (at.file.freshTypes.has(type)) return [];
  return commandsOf(alter, at.text)
    .filter(({ command }) => command.subtype === 'AT_DropColumn')
    .map(({ command, offset }) => ({
      ...finding(
        `drops attribute ${quoteWhereNeeded(command.name ?? '')} of type ${type}: its values are gone`,
      ),
      offset,
    }));
}

function judgeAlterDomain(at: StatementInContext, alter: AlterDomainStmt): RuleFinding[] {
  const written = writtenNameOf(alter.typeName);
  const domain = resolveKey(at.catalog, written, at.catalog.types);
  if (at.file.freshTypes.has(domain)) return [];
  if (alter.subtype === 'X') {
    return [
      finding(
        `drops constraint ${alter.name} of domain ${domain}: its rule is no longer enforced`,
        'info',
      ),
    ];
  }
  return alter.subtype === 'N' ? [finding(`lets values of domain ${domain} be null`, 'info')] : [];
}

function finding(message: string, severity: Severity = 'error'): RuleFinding {
  return {
    message,
    hint: severity === 'info' ? INFO_HINT : HINT,
    severity,
    tables: [],
  };
}

const HINT =
  'Release a version of the application that no longer uses it first; then say so: "-- evdb: ignore destructive-change: <why nobody needs it>".';
const INFO_HINT =
  'Make sure that every version of the application that still runs can live without it.';
