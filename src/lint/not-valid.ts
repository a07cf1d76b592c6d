import type { AlterTableStmt } from '@pgsql/types';
import { quoteWhereNeeded } from '../catalog/catalog.ts';
import { advance, openCursor } from '../sql/lexer.ts';
import { type AlterTableCommand, commandsOf } from '../sql/list-items.ts';
import { asKind, relationNameOf } from '../sql/tree.ts';
import { type Fix, keyOfRange, relationOf, type StatementInContext } from './rule.ts';

/** A subcommand of `alter table` that a fix can surely rewrite. */
export interface AlterItem {
  alter: AlterTableStmt;
  command: AlterTableCommand['command'];
  /** As it is written, without the comma behind it. */
  text: string;
  /** In UTF-16 units of the script. */
  start: number;
  end: number;
}

/**
 * The subcommand that a finding points at; undefined where nothing is sure: in a body or a down
 * script, with `if exists`, and on what may be no plain table.
 *
 * @param offset of the finding
 */
export function alterItemAt(at: StatementInContext, offset = 0): AlterItem | undefined {
  const alter = asKind(at.tree, 'AlterTableStmt');
  if (at.isEmbedded || alter === undefined) return undefined;
  const isPlain = relationOf(at, keyOfRange(at, alter.relation))?.kind === 'table';
  if (!isPlain || alter.missing_ok || at.file.direction === 'down') return undefined;
  const item = commandsOf(alter, at.text).findLast((one) => one.offset <= offset);
  if (item === undefined) return undefined;
  const end = endOfItem(at.text, item.offset);
  return {
    ...{ alter, command: item.command, text: at.text.slice(item.offset, end) },
    ...{ start: at.start + item.offset, end: at.start + end },
  };
}

/** Where the item of a list ends that starts at `from`. */
function endOfItem(text: string, from: number): number {
  const cursor = openCursor(text);
  cursor.end = from;
  let end = from;
  let depth = 0;
  while (advance(cursor)) {
    const token = text.slice(cursor.start, cursor.end);
    if (depth === 0 && token === ',') break;
    if (token === '(' || token === '[') depth++;
    if (token === ')' || token === ']') depth--;
    end = cursor.end;
  }
  return end;
}

/**
 * Adds a constraint `not valid`, and validates it in a later migration: the fix of a rule
 * about constraints that are tried on every row at once.
 *
 * @param kind as the grammar names it, such as `CONSTR_CHECK`
 */
export function addNotValid(
  at: StatementInContext,
  offset: number | undefined,
  kind: string,
): Fix | undefined {
  const item = alterItemAt(at, offset);
  const constraint = asKind(item?.command.def, 'Constraint');
  const name = constraint?.conname;
  if (item?.command.subtype !== 'AT_AddConstraint' || constraint?.contype !== kind || !name) {
    return undefined;
  }
  if (isNamedLater(at, name)) return undefined;
  return {
    description: 'add it not valid and validate it in a later migration',
    edits: [{ start: item.end, end: item.end, text: ' not valid' }],
    follows: [validateLater(item, name, `${item.text} not valid`)],
  };
}

/** Whether a later statement may rest on the constraint. */
function isNamedLater({ file, statement }: StatementInContext, name: string): boolean {
  return file.statements.some(
    ({ index, text }) => index > statement.index && text.toLowerCase().includes(name.toLowerCase()),
  );
}

/**
 * What a migration behind this one does, and how it is undone.
 *
 * @param added the subcommand that adds the constraint not valid
 */
export function validateLater({ alter }: AlterItem, name: string, added: string) {
  // As the statement names it, so that it means the same one behind it.
  const { schema, name: relation } = relationNameOf(alter.relation ?? {});
  const table = [...(schema === undefined ? [] : [schema]), relation].map(quoteWhereNeeded);
  const shown = quoteWhereNeeded(name);
  return {
    up: `alter table ${table.join('.')} validate constraint ${shown}`,
    down: `alter table ${table.join('.')}\n  drop constraint ${shown},\n  ${added}`,
  };
}
