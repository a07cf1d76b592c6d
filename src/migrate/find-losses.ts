import type { Node } from '@pgsql/types';
import type { SqlParser } from '../sql/parser.ts';
import type { Statement } from '../sql/statements.ts';
import { asKind, relationNameOf, stringsOf, type WrittenName, writtenNameOf } from '../sql/tree.ts';

/** What a statement says that it takes away; nothing has been looked up. */
export type LossTarget =
  | { kind: 'relation'; name: WrittenName; how: 'drop' | 'truncate' | 'delete' }
  | { kind: 'column'; name: WrittenName; column: string }
  | { kind: 'schema'; schema: string }
  /** It may take more, and only running it tells what. */
  | { kind: 'unknown'; what: string; line: number };

/** Finds what the statements of a script take away: tables, columns, rows. Pure. */
export function findLosses(statements: readonly Statement[], parser: SqlParser): LossTarget[] {
  return statements.flatMap((statement) => {
    if (!MAY_LOSE.test(statement.command)) return [];
    const tree = parser.parse(statement.text);
    return tree === null
      ? [unknown('a statement that cannot be read', statement)]
      : targetsOf(tree, statement);
  });
}

const MAY_LOSE = /^(?:drop|alter (?:foreign )?table|truncate|delete|with|do)\b/;

function targetsOf(tree: Node, statement: Statement): LossTarget[] {
  const drop = asKind(tree, 'DropStmt');
  if (drop) return dropTargets(drop, statement);
  const alter = asKind(tree, 'AlterTableStmt');
  if (alter?.relation) {
    const name = relationNameOf(alter.relation);
    return (alter.cmds ?? []).flatMap((node): LossTarget[] => {
      const command = asKind(node, 'AlterTableCmd');
      if (command?.subtype !== 'AT_DropColumn' || !command.name) return [];
      return [{ kind: 'column', name, column: command.name }];
    });
  }
  const truncate = asKind(tree, 'TruncateStmt');
  if (truncate) return relationsOf(truncate.relations, 'truncate');
  const remove = asKind(tree, 'DeleteStmt');
  if (remove?.relation) {
    return [{ kind: 'relation', name: relationNameOf(remove.relation), how: 'delete' }];
  }
  const isBlock =
    statement.command === 'do' && /\b(?:drop|truncate|delete)\b/i.test(statement.text);
  return isBlock ? [unknown('a do block that drops or deletes something', statement)] : [];
}

function relationsOf(nodes: readonly Node[] | undefined, how: 'truncate'): LossTarget[] {
  return (nodes ?? []).flatMap((node): LossTarget[] => {
    const relation = asKind(node, 'RangeVar');
    return relation ? [{ kind: 'relation', name: relationNameOf(relation), how }] : [];
  });
}

const WITH_ROWS = new Set(['OBJECT_TABLE', 'OBJECT_MATVIEW']);
/** With `cascade` they take columns of tables along. */
const WITH_COLUMNS = new Set(['OBJECT_TYPE', 'OBJECT_DOMAIN', 'OBJECT_EXTENSION']);

function dropTargets(
  drop: { removeType?: string; behavior?: string; objects?: Node[] },
  statement: Statement,
): LossTarget[] {
  const { removeType = '', behavior, objects = [] } = drop;
  return objects.flatMap((object): LossTarget[] => {
    const items = asKind(object, 'List')?.items ?? [object];
    if (removeType === 'OBJECT_SCHEMA') {
      const [schema] = stringsOf(items);
      return schema ? [{ kind: 'schema', schema }] : [];
    }
    if (WITH_ROWS.has(removeType)) {
      return [{ kind: 'relation', name: writtenNameOf(items), how: 'drop' }];
    }
    const takesColumns = WITH_COLUMNS.has(removeType) && behavior === 'DROP_CASCADE';
    return takesColumns ? [unknown('a drop … cascade that can take columns', statement)] : [];
  });
}

function unknown(what: string, { line }: Statement): LossTarget {
  return { kind: 'unknown', what, line };
}
