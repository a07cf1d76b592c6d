import type { CreateFunctionStmt, FunctionParameter, TypeName } from '@pgsql/types';
import type { Session } from '../../connection/session.ts';
import { quoteLiteral } from '../../sql/quote.ts';
import { asKind } from '../../sql/tree.ts';
import { typeSql } from '../repeatable/objects.ts';

/*
 * Whether `create or replace` takes a function or procedure in the place of the one that is there. The
 * server refuses another type of the result, other names of arguments, and fewer defaults (42P13).
 */

/** What a statement says of its routine; types as SQL. */
export interface WrittenRoutine {
  /** As `to_regprocedure` takes it. */
  name: string;
  result: string;
  isSet: boolean;
  /** The names of what it is called with, '' where there is none. */
  inputs: string[];
  defaults: number;
  /** What it gives back by name. */
  outputs: { name: string; type: string }[];
}

/** Undefined where the statement makes no routine, or takes a type from a column. */
export function readRoutine(
  statement: CreateFunctionStmt | undefined,
): Omit<WrittenRoutine, 'name'> | undefined {
  if (!statement) return undefined;
  const parameters = (statement.parameters ?? []).flatMap(
    (node) => asKind(node, 'FunctionParameter') ?? [],
  );
  const types = [...parameters.map(({ argType }) => argType), statement.returnType];
  if (types.some((type) => type?.pct_type)) return undefined;
  const inputs = parameters.filter(({ mode }) => !isOnlyOutput(mode));
  const outputs = parameters
    .filter(({ mode }) => isOnlyOutput(mode) || mode === 'FUNC_PARAM_INOUT')
    .map(({ name = '', argType }) => ({ name, type: typeSql(argType) }));
  return {
    result: resultOf(statement, outputs),
    isSet: statement.returnType?.setof === true,
    inputs: inputs.map(({ name = '' }) => name),
    defaults: inputs.filter(({ defexpr }) => defexpr !== undefined).length,
    outputs,
  };
}

function isOnlyOutput(mode: FunctionParameter['mode']): boolean {
  return mode === 'FUNC_PARAM_OUT' || mode === 'FUNC_PARAM_TABLE';
}

function resultOf(
  { returnType, is_procedure }: { returnType?: TypeName; is_procedure?: boolean },
  outputs: readonly { type: string }[],
): string {
  if (returnType) return typeSql(returnType);
  const [first, ...others] = outputs;
  if (first === undefined) return 'void';
  return is_procedure || others.length > 0 ? 'record' : first.type;
}

/** True also where there is no such routine, or a type that is not there yet. */
export async function fitsRoutine(session: Session, written: WrittenRoutine): Promise<boolean> {
  const types = [written.result, ...written.outputs.map(({ type }) => type)];
  const [before] = await session.run(`
    select
        p.prorettype::int8::float8 as "result",
        p.proretset as "isSet",
        p.pronargdefaults::int as "defaults",
        pg_catalog.to_json(p.proargnames)::text as "names",
        pg_catalog.to_json(p.proargmodes::text[])::text as "modes",
        pg_catalog.to_json(p.proallargtypes::int8[])::text as "types",
        pg_catalog.to_json(array[${types.map(typeId).join(', ')}])::text as "written"
    from pg_catalog.pg_proc as p
    where p.oid = pg_catalog.to_regprocedure(${quoteLiteral(written.name)})`);
  if (before === undefined) return true;
  const [result, ...outputs] = listOf<number | null>(before.written);
  if (result === null || outputs.includes(null)) return true;
  const { inputs, outputs: known } = argumentsBefore(before);
  return (
    Number(before.result) === result &&
    before.isSet === written.isSet &&
    Number(before.defaults) <= written.defaults &&
    // An argument may get a name, and keeps the one that it has.
    inputs.every((name, index) => name === '' || name === written.inputs[index]) &&
    (result !== RECORD || isSame(known, written, outputs))
  );
}

/** The id of `record`, which says nothing of its columns. */
const RECORD = 2249;

function typeId(type: string): string {
  return `pg_catalog.to_regtype(${quoteLiteral(type)})::pg_catalog.oid::int8`;
}

function listOf<T>(value: unknown): T[] {
  return value === null ? [] : (JSON.parse(String(value)) as T[]);
}

interface Output {
  name: string;
  type: number | undefined;
}

function argumentsBefore(row: Record<string, unknown>): { inputs: string[]; outputs: Output[] } {
  const names = listOf<string>(row.names);
  // Where all are inputs, the catalog keeps no modes.
  const modes = listOf<string>(row.modes);
  const types = listOf<number>(row.types);
  const isIn = (index: number) => !/^[ot]$/.test(modes[index] ?? 'i');
  return {
    inputs: names.filter((_, index) => isIn(index)),
    outputs: modes.flatMap((mode, index) =>
      /^[obt]$/.test(mode) ? [{ name: names[index] ?? '', type: types[index] }] : [],
    ),
  };
}

/** The columns of the row that it gives back. */
function isSame(
  before: readonly Output[],
  { outputs }: WrittenRoutine,
  types: readonly (number | null | undefined)[],
): boolean {
  return (
    before.length === outputs.length &&
    before.every(({ name, type }, index) => name === outputs[index]?.name && type === types[index])
  );
}
