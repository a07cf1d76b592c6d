import type { AlterTableStmt } from '@pgsql/types';
import { quoteWhereNeeded, resolveKey } from '../catalog/catalog.ts';
import { advance, isWord, openCursor } from '../sql/lexer.ts';
import { type AlterTableCommand, commandsOf } from '../sql/list-items.ts';
import { asKind, relationNameOf, writtenNameOf } from '../sql/tree.ts';
import {
  type Fix,
  keyOfRange,
  type RuleFinding,
  relationOf,
  type StatementInContext,
} from './rule.ts';

/** What surely mends a finding and is more than one edit, undefined where nothing is sure. */
export function fixOf(
  rule: string,
  { offset = 0 }: RuleFinding,
  at: StatementInContext,
): Fix | undefined {
  if (at.isEmbedded) return undefined;
  if (rule === 'index-drop-reindex-blocking') return dropConcurrently(at);
  const makeFix = FIXES[rule];
  const alter = asKind(at.tree, 'AlterTableStmt');
  if (makeFix === undefined || alter === undefined) return undefined;
  const isPlain = relationOf(at, keyOfRange(at, alter.relation))?.kind === 'table';
  if (!isPlain || alter.missing_ok || at.file.direction === 'down') return undefined;
  const item = commandsOf(alter, at.text).findLast((one) => one.offset <= offset);
  if (item === undefined) return undefined;
  return makeFix({ at, alter, item, end: endOfItem(at.text, item.offset) });
}

/** Only an index of a plain table, on its own, and without all that depends on it. */
function dropConcurrently(at: StatementInContext): Fix | undefined {
  const drop = asKind(at.tree, 'DropStmt');
  if (drop?.objects?.length !== 1 || drop.behavior === 'DROP_CASCADE') return undefined;
  const written = writtenNameOf(asKind(drop.objects[0], 'List')?.items);
  const { indexes, relations } = at.catalog;
  const index = indexes.get(resolveKey(at.catalog, written, indexes));
  if (index === undefined || relations.get(index.table)?.kind !== 'table') return undefined;
  const cursor = openCursor(at.text);
  while (advance(cursor) && !isWord(cursor, 'index'));
  const place = at.start + cursor.end;
  return {
    description: 'drop it concurrently, in a no-transaction migration',
    edits: [{ start: place, end: place, text: ' concurrently' }],
    ...(at.file.isTransactional && { moves: [at.statement.index] }),
  };
}

interface Place {
  at: StatementInContext;
  alter: AlterTableStmt;
  item: AlterTableCommand;
  /** Behind the last token of the subcommand. */
  end: number;
}

const FIXES: Record<string, (place: Place) => Fix | undefined> = {
  'check-validated': (place) => addNotValid(place, 'CONSTR_CHECK'),
  'fk-validated': (place) => addNotValid(place, 'CONSTR_FOREIGN'),
  'set-not-null': notNullNotValid,
};

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

function addNotValid(place: Place, wanted: string): Fix | undefined {
  const { at, alter, item, end } = place;
  const constraint = asKind(item.command.def, 'Constraint');
  const name = constraint?.conname;
  if (item.command.subtype !== 'AT_AddConstraint' || constraint?.contype !== wanted || !name) {
    return undefined;
  }
  if (isNamedLater(at, name)) return undefined;
  const table = writeTable(alter);
  const definition = at.text.slice(item.offset, end);
  const shown = quoteWhereNeeded(name);
  return {
    description: 'add it not valid and validate it in a migration behind this one',
    edits: [{ start: at.start + end, end: at.start + end, text: ' not valid' }],
    follows: [
      {
        up: `alter table ${table} validate constraint ${shown}`,
        down: `alter table ${table}\n  drop constraint ${shown},\n  ${definition} not valid`,
      },
    ],
  };
}

const NOT_NULL_VERSION = 180_000;
const MAX_NAME_BYTES = 63;

/** From PostgreSQL 18 on `set not null` makes a constraint, under this name. */
function notNullNotValid(place: Place): Fix | undefined {
  const { at, alter, item, end } = place;
  const column = item.command.name;
  const isOld = at.settings.serverVersion < NOT_NULL_VERSION;
  if (item.command.subtype !== 'AT_SetNotNull' || column === undefined || isOld) return undefined;
  const name = `${alter.relation?.relname}_${column}_not_null`;
  const definition = at.text.slice(item.offset, end);
  const isTaken = relationOf(at, keyOfRange(at, alter.relation))?.constraints.has(name);
  if (Buffer.byteLength(name) > MAX_NAME_BYTES || isTaken || /--|\/\*/.test(definition)) {
    return undefined;
  }
  const [table, shown] = [writeTable(alter), quoteWhereNeeded(name)];
  const added = `add constraint ${shown} not null ${quoteWhereNeeded(column)} not valid`;
  return {
    description: 'add the constraint not valid and validate it in a migration behind this one',
    edits: [{ start: at.start + item.offset, end: at.start + end, text: added }],
    follows: [
      {
        up: `alter table ${table} validate constraint ${shown}`,
        down: `alter table ${table}\n  drop constraint ${shown},\n  ${added}`,
      },
    ],
  };
}

/** As the statement names it, so that it means the same one behind it. */
function writeTable({ relation }: AlterTableStmt): string {
  const { schema, name } = relationNameOf(relation ?? {});
  return [...(schema === undefined ? [] : [schema]), name].map(quoteWhereNeeded).join('.');
}

/** Whether a later statement may rest on the constraint. */
function isNamedLater({ file, statement }: StatementInContext, name: string): boolean {
  return file.statements.some(
    ({ index, text }) => index > statement.index && text.toLowerCase().includes(name.toLowerCase()),
  );
}
