import type { Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { advance, isPunctuation, isWord, openCursor } from '../../sql/lexer.ts';
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts';
import type { WrittenName } from '../../sql/tree.ts';
import type { LoneStatement, ReindexScope } from './lone-statement.ts';

/** What became of a statement that was begun outside of a transaction. */
type Fate = 'done' | 'not-done' | 'half-done' | 'unknown';

type Of<Kind extends LoneStatement['kind']> = Extract<LoneStatement, { kind: Kind }>;

/** An index as the catalog has it. */
interface IndexState {
  oid: string;
  /** Qualified and quoted, ready for a statement. */
  name: string;
  isValid: boolean;
  /** Another session that is building an index on the same table, perhaps this one. */
  builderPid: number | null;
}

/**
 * Asks the catalog what became of a statement that was begun and is not known to have ended, and
 * clears away what it left behind where it has to run again.
 *
 * @param session the one that goes on with the script: not in a transaction, without timeouts
 * @throws {EvdbError} LOCKED where another session may be building the same index
 */
export async function probeStatement(
  session: Session,
  lone: LoneStatement,
  statementText: string,
): Promise<Fate> {
  switch (lone.kind) {
    case 'create-index':
      return probeIndexBuild(session, lone, statementText);
    case 'drop-index':
      return (await exists(session, `${relationSql(lone.index)} is not null`))
        ? 'not-done'
        : 'done';
    case 'reindex': {
      const leftovers = await listReindexLeftovers(session, lone.scope);
      await dropEach(session, leftovers);
      return 'not-done';
    }
    case 'detach':
      return probeDetach(session, lone);
    case 'existence': {
      const isThere = await exists(session, globalSql(lone));
      return isThere === lone.isWanted ? 'done' : 'not-done';
    }
    case 'repeatable':
      return 'not-done';
    default:
      return 'unknown';
  }
}

async function probeIndexBuild(
  session: Session,
  lone: Of<'create-index'>,
  text: string,
): Promise<Fate> {
  const { table, name } = lone;
  const named = name === undefined ? undefined : await findIndex(session, table, name);
  const found = name === undefined ? await listValidIndexes(session, table) : [named];
  const candidates = found.filter((index) => index?.isValid === true) as IndexState[];
  const oids = candidates.map(({ oid }) => oid);
  const same = await findSameIndex(session, { ...lone, text }, oids);
  if (same === undefined) return 'unknown';
  if (same !== null) return 'done';
  const invalid =
    name === undefined ? await listSameInvalid(session, lone, text) : [named].filter(isInvalid);
  await dropEach(session, invalid);
  return 'not-done';
}

function isInvalid(index: IndexState | undefined): index is IndexState {
  return index?.isValid === false;
}

/** Without a name only the definition tells which of the table's invalid indexes was ours. */
async function listSameInvalid(
  session: Session,
  lone: Of<'create-index'>,
  text: string,
): Promise<IndexState[]> {
  const invalid = await listInvalidIndexes(session, lone.table);
  const oids = invalid.map(({ oid }) => oid);
  const same = await findSameIndex(session, { ...lone, text }, oids);
  return invalid.filter(({ oid }) => oid === same);
}

async function probeDetach(session: Session, lone: Of<'detach'>): Promise<Fate> {
  const [row] = await session.run(`
select
    ${relationSql(lone.partition)} is not null as "exists",
    (
        select inhdetachpending from pg_catalog.pg_inherits
        where inhrelid = ${relationSql(lone.partition)} and inhparent = ${relationSql(lone.parent)}
    ) as "isPending"`);
  if (row?.isPending === true) return 'half-done';
  return row?.exists === true && row.isPending === null ? 'done' : 'not-done';
}

function globalSql({ catalog, name }: Of<'existence'>): string {
  const [table, column] = catalog.split('.');
  const own =
    table === 'pg_subscription'
      ? ' and subdbid = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())'
      : '';
  return `exists (select from pg_catalog.${table} where ${column} = ${quoteLiteral(name)}${own})`;
}

async function exists(session: Session, condition: string): Promise<boolean> {
  const [row] = await session.run(`select ${condition} as "isTrue"`);
  return row?.isTrue === true;
}

async function dropEach(session: Session, indexes: IndexState[]): Promise<void> {
  for (const index of indexes) await dropInvalidIndex(session, index);
}

interface Care {
  worker: Session;
  /** Whether the runner was asked to stop. */
  isAborted: () => boolean;
  /** Called where an invalid index could not be dropped. */
  onLeftBehind: () => void;
}

/** How long clearing away may take when somebody wants the runner to stop. */
const HASTE = '2s';

/**
 * Runs a statement that builds indexes without blocking anybody, so that none stays invalid: `if
 * not exists` would accept one of a build that failed, which is dropped first; and what a failure
 * leaves is dropped afterwards.
 */
export async function withIndexCare<T>(
  lone: LoneStatement,
  care: Care,
  run: () => Promise<T>,
): Promise<T> {
  if (lone.kind !== 'create-index' && lone.kind !== 'reindex') return run();
  const { worker } = care;
  if (lone.kind === 'create-index') await dropMasked(lone, worker);
  const before = await listInvalid(lone, worker);
  try {
    const result = await run();
    await refuseInvalid(lone, worker);
    return result;
  } catch (error) {
    if (!worker.isClosed) await dropNew(lone, before, care).catch(care.onLeftBehind);
    throw error;
  }
}

type IndexBuild = Extract<LoneStatement, { kind: 'create-index' | 'reindex' }>;

type IndexCreation = Extract<LoneStatement, { kind: 'create-index' }>;

async function dropMasked(
  { table, name, ifNotExists }: IndexCreation,
  worker: Session,
): Promise<void> {
  if (!ifNotExists || name === undefined) return;
  const found = await findIndex(worker, table, name);
  if (found?.isValid === false) await dropInvalidIndex(worker, found);
}

function listInvalid(lone: IndexBuild, worker: Session): Promise<IndexState[]> {
  return lone.kind === 'reindex'
    ? listReindexLeftovers(worker, lone.scope)
    : listInvalidIndexes(worker, lone.table);
}

/** The server has said that it is done, so this would be a surprise; it must not pass unseen. */
async function refuseInvalid(lone: IndexBuild, worker: Session): Promise<void> {
  if (lone.kind !== 'create-index' || lone.name === undefined) return;
  const found = await findIndex(worker, lone.table, lone.name);
  if (found?.isValid !== false) return;
  throw new EvdbError('MIGRATION_FAILED', `the index ${found.name} is not valid`, {
    hint: `It is not used by queries. Drop it (drop index concurrently ${found.name};) and run the command again.`,
  });
}

async function dropNew(lone: IndexBuild, before: IndexState[], care: Care): Promise<void> {
  const known = new Set(before.map(({ oid }) => oid));
  if (care.isAborted()) await care.worker.run(`set lock_timeout = '${HASTE}'`);
  for (const index of await listInvalid(lone, care.worker)) {
    if (!known.has(index.oid)) await dropInvalidIndex(care.worker, index);
  }
}

/** The oid of a relation as the session's search_path finds it; null where there is none. */
function relationSql({ schema, name }: WrittenName): string {
  const written = [...(schema === undefined ? [] : [schema]), name].map(quoteIdent).join('.');
  return `pg_catalog.to_regclass(${quoteLiteral(written)})`;
}

/** Finds the index of a name that a table has or would get: indexes live in its schema. */
async function findIndex(
  session: Session,
  table: WrittenName,
  name: string,
): Promise<IndexState | undefined> {
  const [found] = await listIndexes(
    session,
    `c.relname = ${quoteLiteral(name)}::pg_catalog.name
    and c.relnamespace = (select relnamespace from pg_catalog.pg_class where oid = ${relationSql(table)})`,
  );
  return found;
}

/** The valid indexes of a table, oldest first. */
function listValidIndexes(session: Session, table: WrittenName): Promise<IndexState[]> {
  return listIndexes(session, `i.indrelid = ${relationSql(table)} and i.indisvalid`);
}

/** The invalid indexes of a table. */
function listInvalidIndexes(session: Session, table: WrittenName): Promise<IndexState[]> {
  return listIndexes(session, `i.indrelid = ${relationSql(table)} and not i.indisvalid`);
}

/** What an interrupted `reindex concurrently` leaves: new indexes that were never used, and old ones. */
function listReindexLeftovers(session: Session, scope: ReindexScope): Promise<IndexState[]> {
  return listIndexes(
    session,
    `not i.indisvalid and c.relname ~ '_cc(new|old)[0-9]*$' and ${inScope(scope)}`,
  );
}

function inScope(scope: ReindexScope): string {
  switch (scope.of) {
    case 'index':
      return `i.indrelid in (
        select parent.indrelid from pg_catalog.pg_index as parent
        where parent.indexrelid = ${relationSql(scope.relation)}
            or parent.indexrelid in (select relid from pg_catalog.pg_partition_tree(${relationSql(scope.relation)}))
    )`;
    case 'table':
      return `i.indrelid in (
        select member.oid from pg_catalog.pg_class as root
        join pg_catalog.pg_class as member
            on member.oid in (root.oid, root.reltoastrelid)
            or member.oid in (select relid from pg_catalog.pg_partition_tree(root.oid))
        where root.oid = ${relationSql(scope.relation)}
    )`;
    case 'schema':
      return `n.nspname = ${quoteLiteral(scope.name)}`;
    case 'database':
      return 'true';
  }
}

async function listIndexes(session: Session, where: string): Promise<IndexState[]> {
  const rows = await session.run(`
select
    i.indexrelid::text as "oid",
    pg_catalog.format('%I.%I', n.nspname, c.relname) as "name",
    i.indisvalid as "isValid",
    (
        select pg_catalog.min(l.pid)
        from pg_catalog.pg_locks as l
        join pg_catalog.pg_stat_progress_create_index as building on building.pid = l.pid
        where l.locktype = 'relation'
            and l.database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
            and l.relation = i.indrelid
            and l.mode = 'ShareUpdateExclusiveLock'
            and l.granted
            and l.pid <> pg_catalog.pg_backend_pid()
    ) as "builderPid"
from pg_catalog.pg_index as i
join pg_catalog.pg_class as c on c.oid = i.indexrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where c.relkind = 'i' and ${where}
order by i.indexrelid`);
  return rows as unknown as IndexState[];
}

/**
 * Drops an invalid index without blocking anybody.
 *
 * @throws {EvdbError} LOCKED where somebody may be building it right now
 */
async function dropInvalidIndex(session: Session, index: IndexState): Promise<void> {
  if (index.builderPid !== null) {
    throw new EvdbError(
      'LOCKED',
      `the index ${index.name} is not valid yet, and pid ${index.builderPid} is building an index on its table`,
      { hint: 'Run the command again when that is done.', details: { pid: index.builderPid } },
    );
  }
  await session.run(`drop index concurrently if exists ${index.name}`);
}

/** All that makes an index what it is, but its name and its table's. */
const SHAPE = `
select pg_catalog.concat_ws(
    E'\\n',
    am.amname, i.indisunique, pg_catalog.to_jsonb(i) ->> 'indnullsnotdistinct', i.indnkeyatts,
    i.indcollation, i.indclass, i.indoption, c.reloptions,
    pg_catalog.pg_get_expr(i.indpred, i.indrelid),
    (
        select pg_catalog.string_agg(pg_catalog.pg_get_indexdef(i.indexrelid, n, false), E'\\n' order by n)
        from pg_catalog.generate_series(1, i.indnatts::integer) as n
    )
) as "shape"
from pg_catalog.pg_index as i
join pg_catalog.pg_class as c on c.oid = i.indexrelid
join pg_catalog.pg_am as am on am.oid = c.relam`;

/** How long the copy of the table's columns may wait for whoever is changing them. */
const LOCK_TIMEOUT = '5s';

/**
 * Finds among indexes of a table the one that a `create index` would make: it is made on an empty
 * copy of the table, compared by the catalog, and rolled back.
 *
 * @param session not inside a transaction, with the search_path of the statement
 * @returns null where there is none; undefined where the server would not make the copy
 */
async function findSameIndex(
  session: Session,
  statement: { text: string; table: WrittenName; isUnique: boolean },
  oids: string[],
): Promise<string | null | undefined> {
  if (oids.length === 0) return null;
  const { schema, name } = statement.table;
  const table = [...(schema === undefined ? [] : [schema]), name].map(quoteIdent).join('.');
  const unique = statement.isUnique ? 'unique ' : '';
  try {
    await session.run(`begin read write;
set local lock_timeout = '${LOCK_TIMEOUT}';
create temporary table evdb_copy (like ${table});`);
    await session.run(
      `create ${unique}index evdb_copy_index on pg_temp.evdb_copy ${afterTable(statement.text)}`,
    );
    const [wanted] = await session.run(
      `${SHAPE} where i.indexrelid = 'pg_temp.evdb_copy_index'::pg_catalog.regclass`,
    );
    const found =
      await session.run(`${SHAPE.replace('select', 'select i.indexrelid::text as "oid",')}
where i.indexrelid in (${oids.join(', ')})
order by i.indexrelid`);
    return (found.find(({ shape }) => shape === wanted?.shape)?.oid as string | undefined) ?? null;
  } catch (error) {
    if (session.isClosed) throw error;
    return undefined;
  } finally {
    if (!session.isClosed) await session.run('rollback');
  }
}

/** What follows the table's name in `create index … on [only] table …`. */
function afterTable(statementText: string): string {
  const cursor = openCursor(statementText);
  while (advance(cursor) && !isWord(cursor, 'on'));
  advance(cursor);
  if (isWord(cursor, 'only')) advance(cursor);
  let end = cursor.end;
  while (advance(cursor) && isPunctuation(cursor, '.')) {
    advance(cursor);
    end = cursor.end;
  }
  return statementText.slice(end);
}
