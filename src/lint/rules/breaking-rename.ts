import type { AlterObjectSchemaStmt, Node, RenameStmt } from '@pgsql/types';
import { objectKey, quoteWhereNeeded, resolveKey } from '../../catalog/catalog.ts';
import {
  asKind,
  relationNameOf,
  stringsOf,
  type WrittenName,
  writtenNameOf,
} from '../../sql/tree.ts';
import { creationsOf } from '../created.ts';
import {
  isFresh,
  keyOf,
  type LintRule,
  type RuleFinding,
  type StatementInContext,
} from '../rule.ts';

/** Names that the running version of the application still uses. */
export const breakingRename: LintRule = {
  name: 'breaking-rename',
  kinds: ['RenameStmt', 'AlterObjectSchemaStmt', 'AlterEnumStmt'],
  group: 'compat',
  severity: 'error',
  inGatedContract: 'info',
  summary: 'renames what the running application still uses by its old name',
  check(at) {
    const rename = asKind(at.tree, 'RenameStmt');
    if (rename) return judgeRename(at, rename);
    const move = asKind(at.tree, 'AlterObjectSchemaStmt');
    if (move) return judgeMove(at, move);
    const value = asKind(at.tree, 'AlterEnumStmt');
    if (value?.oldVal === undefined) return [];
    const type = typeKey(at, writtenNameOf(value.typeName));
    if (at.file.freshTypes.has(type)) return [];
    const message = `renames the value '${value.oldVal}' of ${type} to '${value.newVal}': ${OLD_VERSION} the old value`;
    return [finding(message, VALUE_HINT)];
  },
};

function judgeRename(at: StatementInContext, rename: RenameStmt): RuleFinding[] {
  const to = quoteWhereNeeded(rename.newname ?? '?');
  switch (rename.renameType) {
    case 'OBJECT_TABLE':
    case 'OBJECT_FOREIGN_TABLE':
    case 'OBJECT_VIEW':
    case 'OBJECT_MATVIEW':
      return judgeRelation(at, relationNameOf(rename.relation ?? {}), `to ${to}`);
    case 'OBJECT_COLUMN':
      return judgeColumn(at, rename, to);
    case 'OBJECT_ATTRIBUTE': {
      const type = typeKey(at, relationNameOf(rename.relation ?? {}));
      if (at.file.freshTypes.has(type)) return [];
      const attribute = quoteWhereNeeded(rename.subname ?? '?');
      return [named(`attribute ${attribute} of type ${type}`, `to ${to}`)];
    }
    case 'OBJECT_SCHEMA':
      return judgeSchema(at, rename.subname ?? '?', to);
    case 'OBJECT_TYPE':
    case 'OBJECT_DOMAIN':
      return judgeType(at, rename.object, `to ${to}`);
    case 'OBJECT_FUNCTION':
    case 'OBJECT_PROCEDURE':
    case 'OBJECT_ROUTINE':
      return judgeRoutine(at, rename.object, `to ${to}`);
    default:
      return [];
  }
}

function judgeMove(at: StatementInContext, move: AlterObjectSchemaStmt): RuleFinding[] {
  const to = `to schema ${quoteWhereNeeded(move.newschema ?? '?')}`;
  if (isThere(at, move)) return [];
  switch (move.objectType) {
    case 'OBJECT_TABLE':
    case 'OBJECT_FOREIGN_TABLE':
    case 'OBJECT_VIEW':
    case 'OBJECT_MATVIEW':
      return judgeRelation(at, relationNameOf(move.relation ?? {}), to, 'moves');
    case 'OBJECT_TYPE':
    case 'OBJECT_DOMAIN':
      return judgeType(at, move.object, to, 'moves');
    case 'OBJECT_FUNCTION':
    case 'OBJECT_PROCEDURE':
    case 'OBJECT_ROUTINE':
      return judgeRoutine(at, move.object, to, 'moves');
    default:
      return [];
  }
}

/** Whether the relation is in that schema already. */
function isThere(at: StatementInContext, { relation, newschema }: AlterObjectSchemaStmt): boolean {
  if (!relation?.relname || !newschema) return false;
  return keyOf(at, relationNameOf(relation)) === objectKey(newschema, relation.relname);
}

function judgeRelation(
  at: StatementInContext,
  written: WrittenName,
  to: string,
  verb = 'renames',
): RuleFinding[] {
  const key = keyOf(at, written);
  if (isFresh(at, key) || standsInFor(at, written)) return [];
  return [{ ...named(key, to, verb), hint: TABLE_HINT, tables: [key], lock: 'AccessExclusive' }];
}

function judgeColumn(at: StatementInContext, rename: RenameStmt, to: string): RuleFinding[] {
  const written = relationNameOf(rename.relation ?? {});
  const key = keyOf(at, written);
  if (isFresh(at, key) || standsInFor(at, written)) return [];
  const column = quoteWhereNeeded(rename.subname ?? '?');
  return [
    {
      ...named(`column ${column} of ${key}`, `to ${to}`),
      hint: COLUMN_HINT,
      tables: [key],
      lock: 'AccessExclusive',
    },
  ];
}

function judgeSchema(at: StatementInContext, name: string, to: string): RuleFinding[] {
  const made = creationsOf(at.file, ['schema'], { schema: undefined, name });
  if (made.some((index) => index < at.statement.index)) return [];
  return [named(`schema ${quoteWhereNeeded(name)}`, `to ${to}`)];
}

function judgeType(
  at: StatementInContext,
  object: Node | undefined,
  to: string,
  verb = 'renames',
): RuleFinding[] {
  const type = typeKey(at, writtenNameOf(asKind(object, 'List')?.items));
  if (at.file.freshTypes.has(type)) return [];
  return [named(`type ${type}`, to, verb)];
}

function judgeRoutine(
  at: StatementInContext,
  object: Node | undefined,
  to: string,
  verb = 'renames',
): RuleFinding[] {
  const names = asKind(object, 'ObjectWithArgs')?.objname;
  const written = writtenNameOf(names);
  // Made before it is the file's own, made after it stands in under the old name.
  if (creationsOf(at.file, ['function', 'procedure'], written).length > 0) return [];
  const shown = stringsOf(names).map(quoteWhereNeeded).join('.');
  return [{ ...named(`function ${shown}`, to, verb), hint: FUNCTION_HINT }];
}

function typeKey(at: StatementInContext, { schema, name }: WrittenName): string {
  return schema === undefined
    ? resolveKey(at.catalog, { schema, name }, at.catalog.types)
    : objectKey(schema, name);
}

function named(what: string, to: string, verb = 'renames'): RuleFinding {
  return finding(`${verb} ${what} ${to}: ${OLD_VERSION} the old name`, HINT);
}

function finding(message: string, hint: string): RuleFinding {
  return {
    message,
    hint,
    tables: [],
  };
}

const OLD_VERSION = 'versions of the application that still run fail on';
const HINT =
  'Add the new one beside the old one, move the application over, and drop the old one later.';
const TABLE_HINT =
  'Create a view with the old name in the same migration (simple views can be written to), and drop it once nobody uses it.';
const COLUMN_HINT =
  'Add a column with the new name, keep both in step by a trigger, move the application over, and drop the old one later.';
const FUNCTION_HINT =
  'Create a function with the old name that calls the new one in the same migration, and drop it later.';
const VALUE_HINT =
  'Add the new value, let the application accept both, update the rows in batches, and leave the old value unused.';

/**
 * Whether the file makes a view that keeps an old name working: one with the table's name, or
 * with a name that the table had earlier in the file.
 */
function standsInFor({ file, statement }: StatementInContext, table: WrittenName): boolean {
  const names = [table];
  for (const tree of file.trees.slice(0, statement.index).reverse()) {
    const rename = asKind(tree ?? undefined, 'RenameStmt');
    if (rename?.relation && rename.renameType === 'OBJECT_TABLE') {
      const before = relationNameOf(rename.relation);
      const isIt = rename.newname === names.at(-1)?.name;
      if (isIt) names.push({ schema: before.schema ?? table.schema, name: before.name });
    }
  }
  return names.some((name) => creationsOf(file, ['view'], name).length > 0);
}
