import type { Node } from '@pgsql/types';
import { findRelation, type ObjectKey, resolveKey } from '../../catalog/catalog.ts';
import { columnOf } from '../../catalog/expression.ts';
import { offsetOfByte } from '../../sql/position.ts';
import { findBody } from '../../sql/routine.ts';
import { splitStatements } from '../../sql/statements.ts';
import {
  asKind,
  kindOf,
  relationNameOf,
  stringsOf,
  type TreeObject,
  visitObjects,
  walkTree,
  writtenNameOf,
} from '../../sql/tree.ts';
import { type LintRule, offsetOf, type RuleFinding, type StatementInContext } from '../rule.ts';

/** A new label of an enum that is used before it is committed (SQLSTATE 55P04). */
export const enumValueSameTx: LintRule = {
  name: 'enum-value-same-tx',
  group: 'tx',
  severity: 'error',
  summary: 'uses a new enum value in the transaction that adds it',
  check(at) {
    const { enumValues, isTransactional } = at.file;
    if (!isTransactional || enumValues.size === 0) return [];
    const [read, run] = [readPartsOf(at), runPartsOf(at)];
    return [...enumValues].flatMap(([type, labels]) => [
      ...read.flatMap((part) => literalsIn(at, part, { type, labels })),
      ...run.flatMap((part) => callsIn(at, part, { type, labels })),
    ]);
  },
};

/** A part of a statement. */
interface Part {
  tree: unknown;
  /** In UTF-16 units of the statement's text. */
  placeOf(location?: number): number;
  /** Whether it is of a function's body, where a bare constant is text. */
  isInBody?: boolean;
}

interface NewLabels {
  type: ObjectKey;
  labels: readonly string[];
}

/** What the server reads, and with it every constant: also the body of a new function in SQL. */
function readPartsOf(at: StatementInContext): Part[] {
  const { tree, text, file } = at;
  const whole = { tree, placeOf: (location?: number) => offsetOf(at, location) };
  const made = asKind(tree, 'CreateFunctionStmt');
  const body = made && !made.sql_body && file.checksBodies ? findBody(text, tree) : undefined;
  if (body?.language !== 'sql') return [whole];
  const inside = splitStatements(body.source).map((one) => ({
    tree: at.parse(one.text),
    placeOf: (location = 0) => body.placeOf(one.start + offsetOfByte(one.text, location)),
    isInBody: true,
  }));
  return [whole, ...inside];
}

const RUN = new Set(['SelectStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt']);

/** What is computed while the statement runs, and not only kept for later, as what a view says. */
function runPartsOf(at: StatementInContext): Part[] {
  const placeOf = (location?: number) => offsetOf(at, location);
  return runTreesOf(at.tree).map((tree) => ({ tree, placeOf }));
}

function runTreesOf(tree: Node): unknown[] {
  if (RUN.has(kindOf(tree))) return [tree];
  const filled = asKind(tree, 'CreateTableAsStmt');
  if (filled) return filled.into?.skipData ? [] : [filled.query];
  return (asKind(tree, 'AlterTableStmt')?.cmds ?? []).flatMap((node) => {
    const { subtype, def } = asKind(node, 'AlterTableCmd') ?? {};
    if (subtype === 'AT_AddColumn' || subtype === 'AT_AlterColumnType') return [def];
    const isAdded = subtype === 'AT_AddConstraint';
    return isAdded && !asKind(def, 'Constraint')?.skip_validation ? [def] : [];
  });
}

function keyOfType({ catalog }: StatementInContext, names: readonly Node[] | undefined): ObjectKey {
  return resolveKey(catalog, writtenNameOf(names), catalog.types);
}

function literalsIn(at: StatementInContext, part: Part, added: NewLabels): RuleFinding[] {
  const { type, labels } = added;
  if (!mayMean(at, part, type)) return [];
  const found: RuleFinding[] = [];
  walkTree(part.tree, (kind, fields) => {
    const text = (fields as { sval?: { sval?: string } }).sval?.sval;
    if (kind !== 'A_Const' || text === undefined) return;
    const label = labels.find((one) => text === one || elementsOf(text).includes(one));
    if (label === undefined) return;
    const offset = part.placeOf(fields.location as number | undefined);
    found.push(unsafe(`'${label}'`, { type, label, offset }));
  });
  return found;
}

/** The elements of an array that is written as a string: `{sad, "very happy"}`. */
function elementsOf(text: string): string[] {
  const inner = /^\{(.*)\}$/s.exec(text.trim())?.[1] ?? '';
  return inner.split(',').map((one) => one.trim().replace(/^"(.*)"$/s, '$1'));
}

/** Calls that find a label by its place in the enum. */
function callsIn(at: StatementInContext, part: Part, { type, labels }: NewLabels): RuleFinding[] {
  const found: RuleFinding[] = [];
  walkTree(part.tree, (kind, fields) => {
    if (kind !== 'FuncCall') return;
    const name = stringsOf(fields.funcname as Node[]).at(-1) ?? '';
    const args = (fields.args as Node[] | undefined) ?? [];
    if (!name.startsWith('enum_') || !args.some((one) => isOf(at, part, one, type))) return;
    const label = answersOf(at, { name, args, type }, labels).find((one) => labels.includes(one));
    if (label === undefined) return;
    const offset = part.placeOf(fields.location as number | undefined);
    found.push(unsafe(`${name}()`, { type, label, offset }));
  });
  return found;
}

/** The labels that a call gives, as far as they are known; one that may be the last is among them. */
function answersOf(
  { catalog }: StatementInContext,
  { name, args, type }: { name: string; args: readonly Node[]; type: ObjectKey },
  added: readonly string[],
): readonly string[] {
  const labels = catalog.types.get(type)?.labels ?? added;
  if (name === 'enum_first') return labels === added ? [] : labels.slice(0, 1);
  if (name === 'enum_last') return labels.slice(-1);
  if (name !== 'enum_range') return [];
  const [from, to] = args.map((one) => labels.indexOf(constantIn(one) ?? ''));
  if (args.length === 1 || from === undefined || to === undefined) return labels;
  return labels.slice(Math.max(from, 0), to < 0 ? undefined : to + 1);
}

function constantIn(argument: Node): string | undefined {
  return asKind(asKind(argument, 'TypeCast')?.arg ?? argument, 'A_Const')?.sval?.sval;
}

/** Whether an argument surely is of the type: it is cast to it, or a column that has it. */
function isOf(at: StatementInContext, part: Part, argument: Node, type: ObjectKey): boolean {
  const cast = asKind(argument, 'TypeCast');
  if (cast) return keyOfType(at, cast.typeName?.names) === type;
  const column = columnOf(argument);
  if (column === undefined) return false;
  let isColumn = false;
  visitObjects(part.tree, (fields) => {
    if (typeof fields.relname !== 'string') return;
    const relation = findRelation(at.catalog, relationNameOf(fields));
    isColumn ||= relation?.columns.get(column)?.type.name === type;
  });
  return isColumn;
}

function unsafe(
  what: string,
  { type, label, offset }: { type: ObjectKey; label: string; offset: number },
): RuleFinding {
  const which = what.endsWith('()') ? `${what}, which gives '${label}',` : what;
  return {
    message: `uses ${which} in the transaction that adds it to ${type}: PostgreSQL refuses that as an unsafe use of a new value`,
    hint: 'Move what uses the value into a later migration.',
    offset,
    tables: [],
  };
}

/** False only where every table is known, none has a column of the type, and nothing else names it. */
function mayMean(at: StatementInContext, { tree, isInBody }: Part, type: ObjectKey): boolean {
  let tables = 0;
  let mayBe = false;
  visitObjects(tree, (fields) => {
    if (typeof fields.relname === 'string') {
      tables++;
      mayBe ||= mayHave(at, fields, type);
    } else if (Array.isArray(fields.names)) {
      mayBe ||= keyOfType(at, fields.names as Node[]) === type;
    } else if (Array.isArray(fields.funcname)) mayBe = true;
  });
  return mayBe || (tables === 0 && !isInBody);
}

function mayHave(at: StatementInContext, range: TreeObject, type: ObjectKey): boolean {
  const relation = findRelation(at.catalog, relationNameOf(range));
  const columns = [...(relation?.columns.values() ?? [])];
  return relation === undefined || columns.some((column) => column.type.name === type);
}
