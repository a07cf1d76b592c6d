import type { AlterTableCmd, AlterTableStmt } from '@pgsql/types';
import { advance, type Cursor, isPunctuation, openCursor } from './lexer.ts';
import { offsetOfByte } from './position.ts';
import { asKind } from './tree.ts';

/** A subcommand of an `alter table` and where it stands. */
export interface AlterTableCommand {
  command: AlterTableCmd;
  /** From 0. */
  index: number;
  /** In UTF-16 units of the statement's text; the tree itself has no place for most of them. */
  offset: number;
}

/**
 * The subcommands of an `alter table`, each with the place where it starts.
 *
 * @param text the statement's text, from which the tree was made
 */
export function commandsOf(statement: AlterTableStmt, text: string): AlterTableCommand[] {
  let commands = KNOWN.get(statement);
  if (commands === undefined) {
    commands = findCommands(statement, text);
    KNOWN.set(statement, commands);
  }
  return commands;
}

/** Many rules ask for those of the same statement. */
const KNOWN = new WeakMap<AlterTableStmt, AlterTableCommand[]>();

function findCommands(statement: AlterTableStmt, text: string): AlterTableCommand[] {
  const start = offsetOfByte(text, statement.relation?.location ?? 0);
  const offsets = itemOffsets(text, endOfName(text, start));
  return (statement.cmds ?? []).flatMap((node, index) => {
    const command = asKind(node, 'AlterTableCmd');
    return command ? [{ command, index, offset: offsets[index] ?? start }] : [];
  });
}

/**
 * Where the items of a comma-separated list start, in UTF-16 units; commas inside of parentheses
 * and brackets separate nothing.
 *
 * @param from where the first item, or the white space before it, starts
 */
export function itemOffsets(text: string, from: number): number[] {
  const cursor = cursorAt(text, from);
  const offsets: number[] = [];
  let depth = 0;
  let isNext = true;
  while (advance(cursor)) {
    if (isNext) offsets.push(cursor.start);
    isNext = depth === 0 && isPunctuation(cursor, ',');
    if (isPunctuation(cursor, '(') || isPunctuation(cursor, '[')) depth++;
    else if (isPunctuation(cursor, ')') || isPunctuation(cursor, ']')) depth--;
  }
  return offsets;
}

function cursorAt(text: string, at: number): Cursor {
  const cursor = openCursor(text);
  cursor.end = Math.max(cursor.end, at);
  return cursor;
}

/** Where the name that starts at `at` ends, `schema.` before and `*` behind it included. */
function endOfName(text: string, at: number): number {
  const cursor = cursorAt(text, at);
  let end = at;
  let isName = true;
  while (advance(cursor)) {
    const isDot = isPunctuation(cursor, '.');
    if (!isName && !isDot) break;
    end = cursor.end;
    isName = isDot;
  }
  return text.slice(cursor.start, cursor.end) === '*' ? cursor.end : end;
}
