import type { Node } from '@pgsql/types';
import { asKind, stringsOf, type WrittenName } from '../sql/tree.ts';

/** A call that distributes something, as a migration writes it: `select create_reference_table('t')`. */
export interface CitusCall {
  kind: 'distributed' | 'reference' | 'undistribute' | 'tenant';
  /** The table, or the schema of a tenant as `name`. */
  target: WrittenName;
  /** The distribution column; undefined for a single shard. */
  column?: string | undefined;
}

const KINDS: Readonly<Record<string, CitusCall['kind']>> = {
  create_distributed_table: 'distributed',
  create_distributed_table_concurrently: 'distributed',
  create_reference_table: 'reference',
  undistribute_table: 'undistribute',
  citus_schema_distribute: 'tenant',
};

/** The calls of a `select` whose arguments are written out; pure. */
export function readCitusCalls(tree: Node): CitusCall[] {
  const { targetList = [] } = asKind(tree, 'SelectStmt') ?? {};
  return targetList.flatMap((node): CitusCall[] => {
    const call = asKind(asKind(node, 'ResTarget')?.val, 'FuncCall');
    const kind = KINDS[stringsOf(call?.funcname).at(-1) ?? ''];
    if (call === undefined || kind === undefined) return [];
    const given = call.args ?? [];
    const named = (name: string, place: number) => {
      const found = given
        .map((one) => asKind(one, 'NamedArgExpr'))
        .find((one) => one?.name === name);
      const positional = asKind(given[place], 'NamedArgExpr') ? undefined : given[place];
      return constantText(found?.arg ?? positional);
    };
    const target = named(kind === 'tenant' ? 'schemaname' : 'table_name', 0);
    if (target === undefined) return [];
    const column = kind === 'distributed' ? named('distribution_column', 1) : undefined;
    return [{ kind, target: nameOf(target), ...(column !== undefined && { column }) }];
  });
}

function constantText(node: Node | undefined): string | undefined {
  const inner = asKind(node, 'TypeCast')?.arg ?? node;
  return asKind(inner, 'A_Const')?.sval?.sval;
}

/** As `regclass` reads it. */
function nameOf(text: string): WrittenName {
  const parts = text.match(/"(?:[^"]|"")*"|[^".\s]+/g) ?? [];
  const [name = '', schema] = parts
    .map((part) =>
      part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part.toLowerCase(),
    )
    .reverse();
  return { schema, name };
}
