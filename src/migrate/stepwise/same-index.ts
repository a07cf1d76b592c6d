import type { Session } from '../../connection/session.ts';
import { advance, isPunctuation, isWord, openCursor } from '../../sql/lexer.ts';
import { quoteIdent } from '../../sql/quote.ts';
import type { WrittenName } from '../../sql/tree.ts';

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
export async function findSameIndex(
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
