import type { CreateSchemaStmt, Node } from '@pgsql/types';
import { asKind, relationNameOf, schemaNameOf } from '../sql/tree.ts';
import { type Catalog, findRelation, objectKey, TEMPORARY_SCHEMA } from './catalog.ts';
import { replayAlterTable } from './replay-alter.ts';
import { dropRelation } from './replay-drop.ts';
import { replayDrop } from './replay-drop-statement.ts';
import { replayIndex } from './replay-index.ts';
import { createRelation, newRelationName } from './replay-relation.ts';
import { replayRename, replaySetSchema } from './replay-rename.ts';
import { replayRoutine, replayRoutineChange, replayTrigger } from './replay-routine.ts';
import { replaySetConfig, replaySetting } from './replay-settings.ts';
import { replayTable } from './replay-table.ts';
import {
  addType,
  replayComposite,
  replayDomain,
  replayDomainChange,
  replayEnum,
  replayEnumChange,
  replayRange,
} from './replay-type.ts';
import {
  replayPolicy,
  replayPolicyChange,
  replayPublication,
  replayPublicationChange,
  replayRule,
} from './replay-uses.ts';
import { replaySelectInto, replayTableAs, replayView } from './replay-view.ts';

/**
 * Changes a catalog in place as a statement of a migration changes a database that accepts it.
 * Names are those of PostgreSQL 18, with a constraint for each column that is not null; what it does
 * not know changes nothing. A changed search path stays until the caller sets it back, as
 * `set local` does at the end of a transaction.
 *
 * @param text the statement, kept as the definition of a function
 * @example
 * const parser = await loadParser();
 * replayStatement(catalog, parser.parse(text), text)
 */
export function replayStatement(catalog: Catalog, tree: Node, text: string): void {
  for (const [kind, fields] of Object.entries(tree)) {
    REPLAYS[kind]?.(catalog, fields, text);
    if (MAY_FILL.has(kind)) catalog.unfilled.clear();
  }
}

/** What may write rows into any table, by itself or by a function, and what gives its name to another. */
const MAY_FILL = new Set([
  ...['RenameStmt', 'AlterObjectSchemaStmt'],
  ...['InsertStmt', 'CopyStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'],
  ...['SelectStmt', 'DoStmt', 'CallStmt', 'ExecuteStmt', 'CreateTableAsStmt'],
]);

// biome-ignore lint/suspicious/noExplicitAny: each takes the fields of its own kind
type Replay = (catalog: Catalog, fields: any, text: string) => void;

const REPLAYS: Record<string, Replay> = {
  AlterDomainStmt: replayDomainChange,
  AlterEnumStmt: replayEnumChange,
  AlterFunctionStmt: replayRoutineChange,
  AlterObjectSchemaStmt: replaySetSchema,
  AlterPolicyStmt: replayPolicyChange,
  AlterPublicationStmt: replayPublicationChange,
  AlterSeqStmt: (catalog, { sequence, options }) => {
    const relation = sequence && findRelation(catalog, relationNameOf(sequence));
    if (relation) own(catalog, relation.key, options);
  },
  AlterTableStmt: replayAlterTable,
  CompositeTypeStmt: replayComposite,
  CreateDomainStmt: replayDomain,
  CreateEnumStmt: replayEnum,
  CreateForeignTableStmt: (catalog, { base }) => replayTable(catalog, base, 'foreign table'),
  CreateFunctionStmt: replayRoutine,
  CreatePolicyStmt: replayPolicy,
  CreatePublicationStmt: replayPublication,
  CreateRangeStmt: replayRange,
  CreateSchemaStmt: replaySchema,
  CreateSeqStmt: (catalog, { sequence, options }) => {
    const { key } = newRelationName(catalog, sequence);
    if (catalog.relations.has(key)) return;
    catalog.relations.set(key, createRelation(key, 'sequence', sequence));
    own(catalog, key, options);
  },
  CreateStmt: (catalog, statement) => replayTable(catalog, statement),
  CreateTableAsStmt: replayTableAs,
  CreateTrigStmt: replayTrigger,
  DefineStmt: (catalog, { kind, defnames }) => {
    if (kind === 'OBJECT_TYPE') addType(catalog, defnames, 'base');
  },
  DiscardStmt: (catalog, { target }) => {
    if (target === 'DISCARD_ALL' || target === 'DISCARD_TEMP') discardTemporary(catalog);
  },
  DropStmt: replayDrop,
  IndexStmt: replayIndex,
  RenameStmt: replayRename,
  RuleStmt: replayRule,
  SelectStmt: (catalog, statement) => {
    if (statement.intoClause) {
      replaySelectInto(catalog, statement.intoClause, { SelectStmt: statement });
    } else replaySetConfig(catalog, statement.targetList);
  },
  VariableSetStmt: replaySetting,
  ViewStmt: replayView,
};

/** `owned by` of a sequence. */
function own(catalog: Catalog, key: string, options: readonly Node[] | undefined): void {
  const sequence = catalog.relations.get(key);
  for (const node of options ?? []) {
    const option = asKind(node, 'DefElem');
    if (option?.defname !== 'owned_by' || sequence === undefined) continue;
    const names = (asKind(option.arg, 'List')?.items ?? []).map(
      (item) => asKind(item, 'String')?.sval ?? '',
    );
    const [column = '', name, schema] = names.reverse();
    // A single word is `none`.
    const table = name === undefined ? undefined : findRelation(catalog, { schema, name });
    delete sequence.ownedBy;
    if (table) sequence.ownedBy = { table: table.key, column };
  }
}

/** What stands inside `create schema` is made in it. */
function replaySchema(catalog: Catalog, statement: CreateSchemaStmt, text: string): void {
  const outer = catalog.searchPath;
  catalog.searchPath = [schemaNameOf(statement), ...outer];
  for (const node of statement.schemaElts ?? []) replayStatement(catalog, node, text);
  catalog.searchPath = outer;
}

function discardTemporary(catalog: Catalog): void {
  const prefix = objectKey(TEMPORARY_SCHEMA, 'x').slice(0, -1);
  for (const key of [...catalog.relations.keys()]) {
    if (key.startsWith(prefix)) dropRelation(catalog, key);
  }
}
