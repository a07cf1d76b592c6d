import { codeOf } from '../../connection/connection-error.ts';
import type { Asked } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts';
import { type Backfill, written } from './statement.ts';

/** The table that a backfill walks, and the key by which it does. */
export interface WalkedTable {
  oid: string;
  /** `public.events`, quoted where that is needed. */
  name: string;
  /** The same, always quoted. */
  quoted: string;
  columns: KeyColumn[];
  /** The unique index of the key. */
  index: string;
}

export interface KeyColumn {
  name: string;
  /** Quoted, with its schema. */
  type: string;
  /** Where the operators of its index are: `pg_catalog`, or the schema of an extension such as citext. */
  operators: string;
}

interface FoundTable {
  oid: string;
  schema: string;
  name: string;
  kind: string;
  hasChildren: boolean;
  indexes: FoundIndex[] | null;
  /** Aggregates and window functions among those that the statement calls. */
  aggregates: string[] | null;
  volatile: string[] | null;
}

interface FoundIndex {
  name: string;
  isPrimary: boolean;
  columns: (KeyColumn & { isNotNull: boolean; options: number })[];
}

/**
 * Asks something by the names that a migration would see, and leaves the session as it was.
 *
 * @param searchPath quoted names, as after `set search_path =`
 */
export async function askInPath(session: Asked, searchPath: string, sql: string) {
  try {
    return await session.run(
      `begin read only; set local search_path = ${searchPath}; ${sql}; commit;`,
    );
  } catch (error) {
    await session.run('rollback').catch(() => undefined);
    throw error;
  }
}

/**
 * Finds the table of a backfill and its key.
 *
 * @throws {EvdbError} BACKFILL_REFUSED where there is no key to walk by, or the statement does not fit it
 */
export async function findWalkedTable(
  session: Asked,
  backfill: Backfill,
  searchPath: string,
): Promise<WalkedTable> {
  const { directive, table } = backfill;
  const [row] = await askInPath(session, searchPath, findTableSql(backfill)).catch(refuseName);
  const found = row as FoundTable | undefined;
  const named = written(directive.table);
  if (!found) {
    throw refused(`there is no table ${written(table)}`, 'Correct the name, or the search path.');
  }
  if (found.kind !== 'r' && found.kind !== 'p') {
    throw refused(
      `${named} is not a table, so it has no key`,
      'Name its table, in the directive and in the statement.',
    );
  }
  if (found.kind === 'r' && found.hasChildren) {
    throw refused(
      `other tables inherit from ${named}, and no key is unique in all of them`,
      'Run the statement in one transaction, without the directive. The tables that inherit may each have a backfill.',
    );
  }
  refuseCalls(found);
  const index = chooseIndex(found.indexes ?? [], directive.by, named);
  const columns = index.columns.map(({ name, type, operators }) => ({ name, type, operators }));
  refuseChangedKey(backfill, columns, named);
  const { oid, schema, name } = found;
  return {
    ...{ oid, columns, index: index.name },
    name: written({ schema, name }),
    quoted: `${quoteIdent(schema)}.${quoteIdent(name)}`,
  };
}

function refuseName(error: unknown): never {
  // a schema, or what stands for one, that is not there
  if (codeOf(error) === '3F000') throw refused((error as Error).message, 'Correct the name.');
  throw error;
}

function findTableSql({ table, calls, orderCalls }: Backfill): string {
  const { schema, name } = table;
  const written = `${schema === undefined ? '' : `${quoteIdent(schema)}.`}${quoteIdent(name)}`;
  const among = (names: string[]) =>
    names.length === 0 ? 'false' : `p.proname in (${names.map(quoteLiteral).join(', ')})`;
  return `select
    c.oid::text as "oid",
    n.nspname as "schema",
    c.relname as "name",
    c.relkind as "kind",
    exists (select from pg_catalog.pg_inherits where inhparent = c.oid) as "hasChildren",
    (
        select pg_catalog.json_agg(pg_catalog.json_build_object(
            'name', ic.relname,
            'isPrimary', i.indisprimary,
            'columns', (
                select pg_catalog.json_agg(pg_catalog.json_build_object(
                    'name', a.attname,
                    'type', pg_catalog.quote_ident(tn.nspname) || '.' || pg_catalog.quote_ident(t.typname),
                    'operators', coalesce((
                        select pon.nspname
                        from pg_catalog.pg_opclass as oc
                        join pg_catalog.pg_amop as ao on ao.amopfamily = oc.opcfamily
                            and ao.amoplefttype = oc.opcintype and ao.amoprighttype = oc.opcintype
                            and ao.amopstrategy = 5
                        join pg_catalog.pg_operator as po on po.oid = ao.amopopr
                        join pg_catalog.pg_namespace as pon on pon.oid = po.oprnamespace
                        where oc.oid = i.indclass[k.place - 1]
                    ), 'pg_catalog'),
                    'isNotNull', a.attnotnull,
                    'options', i.indoption[k.place - 1]
                ) order by k.place)
                from pg_catalog.unnest(i.indkey::smallint[]) with ordinality as k (attnum, place)
                join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attnum = k.attnum
                join pg_catalog.pg_type as t on t.oid = a.atttypid
                join pg_catalog.pg_namespace as tn on tn.oid = t.typnamespace
                where k.place <= i.indnkeyatts
            )
        ) order by i.indisprimary desc, ic.relname)
        from pg_catalog.pg_index as i
        join pg_catalog.pg_class as ic on ic.oid = i.indexrelid
        where i.indrelid = c.oid
            and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
    ) as "indexes",
    (select pg_catalog.json_agg(distinct p.proname) from pg_catalog.pg_proc as p where ${among(calls)} and p.prokind in ('a', 'w')) as "aggregates",
    (select pg_catalog.json_agg(distinct p.proname) from pg_catalog.pg_proc as p where ${among(orderCalls)} and p.provolatile = 'v') as "volatile"
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where c.oid = pg_catalog.to_regclass(${quoteLiteral(written)})`;
}

function refuseCalls({ aggregates, volatile }: FoundTable): void {
  if (aggregates?.[0]) {
    throw refused(
      `${aggregates[0]}() is an aggregate: each batch would compute its own`,
      'Run the statement in one transaction, without the directive.',
    );
  }
  if (volatile?.[0]) {
    throw refused(
      `the order by ${volatile[0]}() changes each time`,
      'Remove the `order by`: the rows are inserted in batches.',
    );
  }
}

function chooseIndex(indexes: FoundIndex[], by: string[], table: string): FoundIndex {
  const isSound = ({ columns }: FoundIndex) => columns.every(({ isNotNull }) => isNotNull);
  if (by.length === 0) {
    const primary = indexes.find(({ isPrimary }) => isPrimary);
    if (primary) return primary;
    const other = indexes.find(isSound);
    throw refused(
      `${table} has no primary key`,
      other
        ? `Name its unique key: -- evdb: backfill ${table} by ${namesOf(other)}`
        : 'A backfill needs a unique key whose columns are not null. Create one first.',
    );
  }
  const wanted = by.join('\0');
  const found = indexes.filter(
    ({ columns }) => columns.map(({ name }) => name).join('\0') === wanted,
  );
  const sound = found.find(isSound);
  if (sound) return sound;
  const list = by.map((name) => written({ schema: undefined, name })).join(', ');
  const nullable = found[0]?.columns.find(({ isNotNull }) => !isNotNull);
  if (nullable) {
    throw refused(
      `${nullable.name} of ${table} may be null, and rows without a key would be left out`,
      `Use another key, or set the column not null first.`,
    );
  }
  const other = indexes.find(
    ({ columns }) => columns.length === by.length && columns.every(({ name }) => by.includes(name)),
  );
  const primary = indexes.some(({ isPrimary }) => isPrimary)
    ? `Use its primary key (-- evdb: backfill ${table}), or make`
    : 'Make';
  throw refused(
    `${table} has no unique index on (${list})`,
    other
      ? `There is one in a different order: -- evdb: backfill ${table} by ${namesOf(other)}`
      : `${primary} the index first: create unique index concurrently on ${table} (${list});`,
  );
}

function namesOf({ columns }: FoundIndex): string {
  return columns.map(({ name }) => written({ schema: undefined, name })).join(', ');
}

function refuseChangedKey({ setColumns }: Backfill, columns: KeyColumn[], table: string): void {
  const changed = columns.find(({ name }) => setColumns.includes(name));
  if (!changed) return;
  throw refused(
    `the statement changes ${changed.name}, which is the key of ${table} that the backfill walks`,
    'Rows would move between batches. Use another unique key, or run the statement in one transaction.',
  );
}

/** An error that says why a backfill does not run. */
export function refused(message: string, hint: string): EvdbError {
  return new EvdbError('BACKFILL_REFUSED', message, { hint });
}

/** A range of keys: after `after`, up to and including `upTo`. */
export interface KeyRange {
  /** Null from the first row on. */
  after: string[] | null;
  upTo: string[];
}

/** The condition for a range, such as `"e"."id" > '5'::"pg_catalog"."int8" and …`. */
export function rangeSql(columns: KeyColumn[], alias: string, { after, upTo }: KeyRange): string {
  const compare = (how: '<' | '>', key: string[]) =>
    comparisonSql(
      columns.map(({ name, type, operators }, index) => ({
        column: `${quoteIdent(alias)}.${quoteIdent(name)}`,
        value: `${quoteLiteral(key[index] ?? '')}::${type}`,
        operators,
      })),
      how,
    );
  const upper = compare('<', upTo);
  return after === null ? upper : `${compare('>', after)} and ${upper}`;
}

interface ComparedColumn {
  column: string;
  value: string;
  operators: string;
}

/**
 * Whether a key is greater than another one, or less or equal, by the operators that its index has.
 * PostgreSQL finds operators by the search path: without citext's schema it compares citext as text.
 */
function comparisonSql(columns: ComparedColumn[], how: '<' | '>'): string {
  const [first, ...others] = columns;
  if (!first) return 'true';
  const operator = (said: string, { operators }: ComparedColumn) =>
    operators === 'pg_catalog' ? said : `operator(${quoteIdent(operators)}.${said})`;
  if (others.every(({ operators }) => operators === first.operators)) {
    const [keys, values] = [columns.map((one) => one.column), columns.map((one) => one.value)];
    return `${rowOf(keys)} ${operator(how === '<' ? '<=' : '>', first)} ${rowOf(values)}`;
  }
  // A row has one operator for all columns. The first line is what the index is searched by.
  const said = (operation: string) =>
    `${first.column} ${operator(operation, first)} ${first.value}`;
  return `${said(`${how}=`)}
    and (${said(how)} or ${comparisonSql(others, how)})`;
}

/** The range as it is shown, with names for its ends. */
export function shownRange(columns: KeyColumn[], alias: string): string {
  const name = (of: string) => written({ schema: undefined, name: of });
  const key = rowOf(columns.map((column) => `${name(alias)}.${name(column.name)}`));
  const ends = (end: string) =>
    rowOf(columns.map((column) => (columns.length === 1 ? `$${end}` : `$${end}_${column.name}`)));
  return `${key} > ${ends('cursor')} and ${key} <= ${ends('end')}`;
}

function rowOf(parts: string[]): string {
  return parts.length === 1 ? (parts[0] ?? '') : `(${parts.join(', ')})`;
}

/** Whatever a session sets, these are written so that any session reads the same. */
const EXACT = `set local datestyle = 'ISO, YMD';
set local intervalstyle = 'postgres';
set local extra_float_digits = 1;
set local bytea_output = 'hex';`;

/** The last key of the table as it is now; null where it is empty. */
export async function readEnd(session: Asked, table: WalkedTable): Promise<string[] | null> {
  const { columns, quoted } = table;
  const order = columns.map(({ name }) => `t.${quoteIdent(name)} desc`).join(', ');
  const [row] = await askInPath(
    session,
    'pg_catalog, pg_temp',
    `${EXACT} select pg_catalog.json_build_array(${textsOf(columns)}) as "key" from ${quoted} as t order by ${order} limit 1`,
  );
  return (row?.key as string[] | undefined) ?? null;
}

function textsOf(columns: KeyColumn[]): string {
  return columns.map(({ name }) => `t.${quoteIdent(name)}::text`).join(', ');
}

/** The last key of a batch, and how many rows it passes. */
export interface BatchEnd {
  rows: number;
  upTo: string[];
}

/** The next rows after `after`: how many there are of at most `rows`, and the last key among them. */
export async function readBatchEnd(
  session: Asked,
  { columns, quoted }: WalkedTable,
  range: KeyRange,
  rows: number,
): Promise<BatchEnd> {
  const names = columns.map(({ name }) => `t.${quoteIdent(name)}`);
  const next = `from ${quoted} as t where ${rangeSql(columns, 't', range)}
    order by ${names.join(', ')}`;
  // After the last row the rest of the range belongs to the batch too: then the rows are counted.
  const [row] = await askInPath(
    session,
    'pg_catalog, pg_temp',
    `${EXACT} with last as (
    select pg_catalog.json_build_array(${textsOf(columns)}) as "key" ${next} offset ${rows - 1} limit 1
)
select
    (select "key" from last) as "last",
    case
        when exists (select from last) then ${rows}
        else (select pg_catalog.count(*)::int from (select ${next} limit ${rows}) as t)
    end as "rows"`,
  );
  const found = row as { rows: number; last: string[] | null };
  return { rows: found.rows, upTo: found.last ?? range.upTo };
}

/** As people write a key: `id = 42`. */
export function describeKey({ columns }: WalkedTable, key: string[]): string {
  return columns
    .map(({ name }, index) => `${written({ schema: undefined, name })} = ${key[index]}`)
    .join(', ');
}
