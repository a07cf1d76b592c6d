import type { Session } from '../../connection/session.ts';
import { quoteLiteral } from '../../sql/quote.ts';
import {
  dropInvalidIndex,
  findIndex,
  type IndexState,
  listInvalidIndexes,
  listReindexLeftovers,
  listValidIndexes,
  relationSql,
} from './index-state.ts';
import type { LoneStatement } from './lone-statement.ts';
import { findSameIndex } from './same-index.ts';

/** What became of a statement that was begun outside of a transaction. */
export type Fate = 'done' | 'not-done' | 'half-done' | 'unknown';

type Of<Kind extends LoneStatement['kind']> = Extract<LoneStatement, { kind: Kind }>;

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
