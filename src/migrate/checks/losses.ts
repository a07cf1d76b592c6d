import type { Node } from '@pgsql/types';
import { readClusterSizes } from '../../citus/sizes.ts';
import { codeOf, isConnectionLoss } from '../../connection/connection-error.ts';
import type { Session } from '../../connection/session.ts';
import { loadSqlParser, type SqlParser } from '../../sql/parser.ts';
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts';
import type { Statement } from '../../sql/statements.ts';
import {
  asKind,
  relationNameOf,
  stringsOf,
  type WrittenName,
  writtenNameOf,
} from '../../sql/tree.ts';
import { type MigrateDownOptions, planMigrateDown, planMigrateRedo } from '../apply/commands.ts';
import { searchPathSql } from '../apply/worker-session.ts';
import { ledgerKey } from '../options.ts';
import type { MigrationStep } from '../plan/prepare.ts';
import { withSession } from '../plan/read.ts';

/** Something that rolling back would lose. */
export interface RollbackLoss {
  /** `rows` are truncated or deleted, the others dropped. */
  kind: 'table' | 'column' | 'rows' | 'unknown';
  /** `public.users`, `public.users.email`; for `unknown` the kind of statement. */
  object: string;
  /** Rows of a table, values of a column; for `delete` all rows of the table. Null if unknown. */
  count: number | null;
  /** Whether they were counted; otherwise it is the planner's estimate. */
  isExact: boolean;
  /** Of the statement, for `unknown`. */
  place?: string;
}

/** What would be rolled back, and how long to count rows. */
export interface ReadLossesOptions extends MigrateDownOptions {
  command: 'down' | 'redo';
  /**
   * How long counting may take in total, in ms; default 3000. What is not counted then is
   * estimated.
   */
  countBudgetMs?: number | undefined;
}

/**
 * Finds out which tables, columns and rows `down` or `redo` would lose, and how many rows they
 * contain. Writes nothing, and waits for no lock. Finds only what the statements themselves say.
 *
 * @throws {EvdbError} those of `planMigrateDown`
 * @example
 * const losses = await readLosses({ ...options, command: 'down', steps: 2 });
 */
export async function readLosses(options: ReadLossesOptions): Promise<RollbackLoss[]> {
  const plan = await (options.command === 'down'
    ? planMigrateDown(options)
    : planMigrateRedo(options));
  const steps = plan.steps.filter(({ direction }) => direction === 'down');
  const parser = await loadSqlParser();
  const found = steps.flatMap((step) =>
    findLosses(step.statements, parser).map((target) => ({ target, step })),
  );
  if (found.length === 0) return [];
  return withSession(options, async (session) => {
    const relations = await findRelations(session, found, options);
    return countAll(session, relations, options.countBudgetMs ?? 3000);
  });
}

interface Found {
  target: LossTarget;
  step: MigrationStep;
}

interface Doomed extends RollbackLoss {
  oid?: number;
  /** The column that is counted. */
  column?: string;
}

/** Looks the names up as the migration would; what is not there is not lost. */
async function findRelations(
  session: Session,
  found: Found[],
  options: ReadLossesOptions,
): Promise<Doomed[]> {
  const { targetSchema } = ledgerKey(options);
  await session.run(
    `set search_path = ${searchPathSql({ targetSchema, searchPath: options.searchPath ?? [] })}`,
  );
  const doomed: Doomed[] = [];
  for (const { target, step } of found) {
    if (target.kind === 'unknown') {
      const place = `${step.script.path}:${target.line}`;
      doomed.push({ kind: 'unknown', object: target.what, count: null, isExact: false, place });
    } else {
      for (const row of await lookUp(session, target)) doomed.push(doomedOf(target, row));
    }
  }
  return withoutRepeats(doomed);
}

interface RelationRow {
  oid: number;
  name: string;
  /** Quoted where needed. */
  column: string | null;
}

async function lookUp(
  session: Session,
  target: Exclude<LossTarget, { kind: 'unknown' }>,
): Promise<RelationRow[]> {
  const column = target.kind === 'column' ? target.column : undefined;
  const rows = await session.run(`
    select c.oid as "oid",
        pg_catalog.format('%I.%I', n.nspname, c.relname) as "name",
        ${column === undefined ? 'null' : 'pg_catalog.quote_ident(a.attname)'} as "column"
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    ${column === undefined ? '' : `join pg_catalog.pg_attribute as a on a.attrelid = c.oid and not a.attisdropped and a.attname = ${quoteLiteral(column)}`}
    where ${target.kind === 'schema' ? `n.nspname = ${quoteLiteral(target.schema)} and c.relkind in ('r', 'p') and not c.relispartition` : `c.oid = pg_catalog.to_regclass(${quoteLiteral(quoteName(target.name))}) and c.relkind in ('r', 'p', 'm', 'f')`}
    order by 2`);
  return rows as unknown as RelationRow[];
}

function quoteName({ schema, name }: WrittenName): string {
  return schema === undefined ? quoteIdent(name) : `${quoteIdent(schema)}.${quoteIdent(name)}`;
}

function doomedOf(target: LossTarget, { oid, name, column }: RelationRow): Doomed {
  const isRows = target.kind === 'relation' && target.how !== 'drop';
  return {
    kind: column !== null ? 'column' : isRows ? 'rows' : 'table',
    object: column === null ? name : `${name}.${column}`,
    ...{ count: null, isExact: false, oid },
    ...(column !== null && { column }),
  };
}

/** A table that goes takes its columns and rows with it; what is said twice is lost once. */
function withoutRepeats(doomed: Doomed[]): Doomed[] {
  const tables = new Set(doomed.filter(({ kind }) => kind === 'table').map(({ oid }) => oid));
  const seen = new Set<string>();
  return doomed.filter(({ kind, object, oid, place }) => {
    const key = `${kind} ${object} ${place ?? ''}`;
    if (seen.has(key) || (kind !== 'table' && oid !== undefined && tables.has(oid))) return false;
    seen.add(key);
    return true;
  });
}

async function countAll(
  session: Session,
  doomed: Doomed[],
  budgetMs: number,
): Promise<RollbackLoss[]> {
  const endsAt = performance.now() + budgetMs;
  const losses: RollbackLoss[] = [];
  for (const { oid, column, ...loss } of doomed) {
    if (oid === undefined) losses.push(loss);
    else losses.push({ ...loss, ...(await count(session, { oid, column }, endsAt)) });
  }
  return losses;
}

/** Counts within the time that is left; where that, a lock or a privilege is in the way, estimates. */
async function count(
  session: Session,
  { oid, column }: { oid: number; column: string | undefined },
  endsAt: number,
): Promise<Pick<RollbackLoss, 'count' | 'isExact'>> {
  const leftMs = Math.floor(endsAt - performance.now());
  if (leftMs > 0) {
    try {
      const [name] = await session.run(
        `select pg_catalog.format('%I.%I', n.nspname, c.relname) as "name" from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace where c.oid = ${oid}`,
      );
      const rows = await session.run(
        `begin read only; set local statement_timeout = ${leftMs}; set local lock_timeout = 100; set local row_security = off; select pg_catalog.count(${column ?? '*'})::float8 as "count" from ${name?.name}; commit`,
      );
      return { count: Number(rows[0]?.count), isExact: true };
    } catch (error) {
      await session.run('rollback');
      if (isConnectionLoss(error) || codeOf(error) === undefined) throw error;
    }
  }
  return { count: await estimate(session, oid, column), isExact: false };
}

async function estimate(
  session: Session,
  oid: number,
  column: string | undefined,
): Promise<number | null> {
  // The coordinator's own table has no rows, whatever is lost.
  const shards = (await readClusterSizes(session)).find((one) => one.oid === oid);
  if (shards) return shards.rows;
  const [row] = await session.run(`
    select pg_catalog.sum(c.reltuples)::float8 as "count", pg_catalog.min(c.reltuples) < 0 as "isUnknown"
    from pg_catalog.pg_class as c
    where c.relkind in ('r', 'm')
        and (c.oid = ${oid} or c.oid in (select relid from pg_catalog.pg_partition_tree(${oid})))`);
  if (row?.count === null || row?.count === undefined || row.isUnknown === true) return null;
  const [stats] =
    column === undefined
      ? []
      : await session.run(`
    select s.null_frac as "nulls"
    from pg_catalog.pg_stats as s
    join pg_catalog.pg_class as c on c.relname = s.tablename
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = s.schemaname
    where c.oid = ${oid} and pg_catalog.quote_ident(s.attname) = ${quoteLiteral(column)}`);
  return Math.round(Number(row.count) * (1 - Number(stats?.nulls ?? 0)));
}

/** What a statement says that it takes away; nothing has been looked up. */
type LossTarget =
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
