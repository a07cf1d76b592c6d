import type { FunctionParameter, Node, RangeVar, TypeName } from '@pgsql/types';
import { quoteIdent } from '../../sql/quote.ts';
import { asKind, isArrayType, relationNameOf, stringsOf, writtenNameOf } from '../../sql/tree.ts';

/** What a statement of a repeatable makes. */
export interface MadeObject {
  kind: 'view' | 'materialized view' | 'function' | 'procedure' | 'aggregate' | MadePart;
  /** As it is written; undefined where the statement says none. */
  schema: string | undefined;
  name: string;
  /** Of a routine: the types of its arguments, as SQL. */
  args?: string[];
  /** Of a routine: how many of them a call may leave out, and whether it may have more. */
  defaults?: number;
  isVariadic?: boolean;
  /** Of a trigger, rule or policy: the relation that it belongs to. */
  on?: { schema: string | undefined; name: string };
  /** The statement that makes it, from 0. */
  statementIndex: number;
}

/** They belong to a relation, but for an event trigger. */
type MadePart = 'trigger' | 'rule' | 'policy' | 'event trigger';

/** What a statement names. */
export interface NeededObject {
  kind: 'relation' | 'routine' | 'all relations' | 'all routines';
  schema: string | undefined;
  name: string;
  /** Of a call: how many arguments; undefined where any number fits. */
  argCount?: number;
  /**
   * Whether it only counts for the order: what a PL/pgSQL body names is looked up when it runs, and any word
   * of it may be the name.
   */
  isSoft: boolean;
}

/** Views and what is like them, which have rows and a row type. */
export function isRelation({ kind }: Pick<MadeObject, 'kind'>): boolean {
  return kind === 'view' || kind === 'materialized view';
}

export function isRoutine({ kind }: Pick<MadeObject, 'kind'>): boolean {
  return kind === 'function' || kind === 'procedure' || kind === 'aggregate';
}

/** The same for the same object, however it is written. */
export function madeKey(made: Omit<MadeObject, 'statementIndex'>, targetSchema: string): string {
  const name = `${made.schema ?? targetSchema}.${made.name}`;
  if (isRelation(made)) return `relation ${name}`;
  if (isRoutine(made)) return `routine ${name}(${(made.args ?? []).map(plainType).join(', ')})`;
  if (made.kind === 'event trigger') return `event trigger ${made.name}`;
  const { on } = made;
  return `${made.kind} ${made.name} on ${on?.schema ?? targetSchema}.${on?.name}`;
}

/** `int4` of `pg_catalog.int4`: the same type may be written with its schema or without. */
function plainType(type: string): string {
  const own = /^(?:.*\.)?([^.]+)$/.exec(type)?.[1] ?? type;
  return own.replace(/^"([a-z_][a-z0-9_]*)"/, '$1');
}

/** What people call it: `function app.total(int4)`. */
export function describeMade(made: Omit<MadeObject, 'statementIndex'>): string {
  const { kind, schema, name, args, on } = made;
  const written = schema === undefined ? name : `${schema}.${name}`;
  const types = isRoutine(made) ? `(${(args ?? []).map(plainType).join(', ')})` : '';
  const place = on ? ` on ${on.schema === undefined ? '' : `${on.schema}.`}${on.name}` : '';
  return `${kind} ${written}${types}${place}`;
}

/** The name as SQL, with the types of a routine. */
export function writtenMade(made: MadeObject, targetSchema: string): string {
  const name = `${quoteIdent(made.schema ?? targetSchema)}.${quoteIdent(made.name)}`;
  return isRoutine(made) ? `${name}(${(made.args ?? []).join(', ')})` : name;
}

/** The statement that removes it. */
export function dropMadeSql(made: MadeObject, targetSchema: string): string {
  const { kind, name, on } = made;
  if (kind === 'event trigger') return `drop event trigger if exists ${quoteIdent(name)}`;
  if (on === undefined) return `drop ${kind} if exists ${writtenMade(made, targetSchema)}`;
  const table = `${quoteIdent(on.schema ?? targetSchema)}.${quoteIdent(on.name)}`;
  return `drop ${kind} if exists ${quoteIdent(name)} on ${table}`;
}

/** A type as SQL, without what does not count for the name of a routine. */
export function typeSql(type: TypeName | undefined): string {
  const names = stringsOf(type?.names).map(quoteIdent).join('.');
  return type && isArrayType(type) ? `${names}[]` : names;
}

/** The arguments by which a routine is called. */
export function argumentsOf(parameters: readonly Node[] | undefined) {
  const inputs = (parameters ?? [])
    .map((node) => asKind(node, 'FunctionParameter'))
    .filter((one): one is FunctionParameter => one !== undefined && !isOutput(one));
  return {
    args: inputs.map(({ argType }) => typeSql(argType)),
    defaults: inputs.filter(({ defexpr }) => defexpr !== undefined).length,
    isVariadic: inputs.some(({ mode }) => mode === 'FUNC_PARAM_VARIADIC'),
  };
}

const isOutput = ({ mode }: FunctionParameter) =>
  mode === 'FUNC_PARAM_OUT' || mode === 'FUNC_PARAM_TABLE';

/** The kinds that a repeatable may drop, by how the grammar calls them. */
const DROPPED: Record<string, MadeObject['kind']> = {
  OBJECT_VIEW: 'view',
  OBJECT_MATVIEW: 'materialized view',
  OBJECT_FUNCTION: 'function',
  OBJECT_PROCEDURE: 'procedure',
  OBJECT_ROUTINE: 'function',
  OBJECT_AGGREGATE: 'aggregate',
  OBJECT_TRIGGER: 'trigger',
  OBJECT_RULE: 'rule',
  OBJECT_POLICY: 'policy',
  OBJECT_EVENT_TRIGGER: 'event trigger',
};

/** What a `drop` removes; undefined for kinds that belong in a migration. */
export function droppedObjects(
  objects: readonly Node[] | undefined,
  removeType: string | undefined,
): Omit<MadeObject, 'statementIndex'>[] | undefined {
  const kind = DROPPED[removeType ?? ''];
  return kind && (objects ?? []).map((object) => droppedObject(object, kind));
}

function droppedObject(object: Node, kind: MadeObject['kind']): Omit<MadeObject, 'statementIndex'> {
  if (kind === 'event trigger') {
    return { kind, schema: undefined, name: stringsOf([object])[0] ?? '' };
  }
  const routine = asKind(object, 'ObjectWithArgs');
  if (routine) {
    const types = (routine.objargs ?? []).map((node) => typeSql(asKind(node, 'TypeName')));
    const args = routine.args_unspecified ? {} : { args: types };
    return { kind, ...writtenNameOf(routine.objname), ...args };
  }
  const items = asKind(object, 'List')?.items;
  if (kind === 'view' || kind === 'materialized view') return { kind, ...writtenNameOf(items) };
  return { kind, schema: undefined, name: stringsOf(items).at(-1) ?? '', on: ownerOf(items) };
}

/** The relation in `relation.trigger`. */
export function ownerOf(items: readonly Node[] | undefined) {
  return writtenNameOf(items?.slice(0, -1));
}

/** Part of a relation, such as a trigger. */
export function madePart(
  kind: MadeObject['kind'],
  name: string | undefined,
  relation: RangeVar | undefined,
  statementIndex: number,
): MadeObject {
  const on = relationNameOf(relation ?? {});
  return { kind, schema: undefined, name: name ?? '', on, statementIndex };
}
