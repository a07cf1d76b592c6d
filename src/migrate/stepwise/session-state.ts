import type { Node } from '@pgsql/types';
import { EvdbError } from '../../errors.ts';
import type { SqlParser } from '../../sql/parser.ts';
import type { Statement } from '../../sql/statements.ts';
import { asKind, stringsOf, walkTree } from '../../sql/tree.ts';
import { commandLine } from '../../text/command-line.ts';
import { fullName } from '../plan.ts';
import type { Step } from '../prepare.ts';

/**
 * The statements that only made settings of the session. They went with the session that was
 * interrupted, so a new one has to make them again before it goes on.
 */
export function settingsOf(statements: Statement[], parser: SqlParser): Statement[] {
  return statements.filter((statement) => {
    if (SETTINGS.has(statement.command)) return true;
    return statement.command === 'select' && isSetConfig(parser.parse(statement.text));
  });
}

const SETTINGS = new Set(['set', 'reset', 'load', 'prepare', 'deallocate']);

/** As pg_dump begins its scripts: `select pg_catalog.set_config('search_path', '', false)`. */
function isSetConfig(tree: Node | null): boolean {
  const { targetList = [], fromClause } = asKind(tree ?? undefined, 'SelectStmt') ?? {};
  const call = asKind(asKind(targetList[0], 'ResTarget')?.val, 'FuncCall');
  if (targetList.length !== 1 || fromClause || !call) return false;
  const isConstant = (call.args ?? []).every((arg) => asKind(arg, 'A_Const') !== undefined);
  return stringsOf(call.funcname).at(-1) === 'set_config' && isConstant;
}

/**
 * What the statements ahead may read from temporary tables cannot be brought back.
 *
 * @throws {EvdbError} INCOMPLETE_MIGRATION
 */
export function refuseTemporaryObjects(step: Step, done: Statement[], parser: SqlParser): void {
  const made = done.find(({ text }) => TEMPORARY.test(text) && makesTemporary(parser.parse(text)));
  if (made === undefined) return;
  throw new EvdbError(
    'INCOMPLETE_MIGRATION',
    `${fullName(step)} stopped half way, and what its statement ${made.index + 1} made was temporary and is gone`,
    {
      hint: `Take it back with \`${commandLine('migrate down')}\`, which runs its down script, and apply it again with \`${commandLine('migrate up')}\`.`,
      details: { version: step.version, file: step.script.path, line: made.line },
    },
  );
}

const TEMPORARY = /\b(?:temp|temporary|pg_temp)\b/i;
const CREATING = new Set(['CreateStmt', 'CreateTableAsStmt', 'ViewStmt', 'CreateSeqStmt']);

function makesTemporary(tree: Node | null): boolean {
  if (tree === null) return false;
  const [kind = ''] = Object.keys(tree);
  const makes = CREATING.has(kind) || asKind(tree, 'SelectStmt')?.intoClause !== undefined;
  if (!makes) return false;
  let isTemporary = false;
  walkTree(tree, (_, fields) => {
    isTemporary ||= isTemporaryName(fields.relation) || isTemporaryName(fields.view);
    isTemporary ||= isTemporaryName(fields.sequence) || isTemporaryName(relationOf(fields.into));
    isTemporary ||= isTemporaryName(relationOf(fields.intoClause));
    return false;
  });
  return isTemporary;
}

function relationOf(into: unknown): unknown {
  return (into as { rel?: unknown } | undefined)?.rel;
}

function isTemporaryName(relation: unknown): boolean {
  const { relpersistence, schemaname } = (relation ?? {}) as Record<string, unknown>;
  return relpersistence === 't' || schemaname === 'pg_temp';
}
