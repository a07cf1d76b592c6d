import type { Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { quoteLiteral } from '../../sql/quote.ts';
import { renderCount } from '../../text/units.ts';

/** The rows of one table, as SQL. */
export interface TableRows {
  /** Qualified, quoted where needed. */
  table: string;
  columns: RowColumn[];
  /** Each value as a literal, or `null`; ordered so that two replays can be compared. */
  rows: { values: string[]; rank: number }[];
}

interface RowColumn {
  /** Quoted where needed. */
  name: string;
  hasDefault: boolean;
  /** `generated always as identity`: a value is only taken where that is said. */
  isAlways: boolean;
}

/** A sequence that is not as it was made. */
export interface SequenceState {
  /** Qualified, quoted where needed. */
  name: string;
  lastValue: string;
  isCalled: boolean;
}

/** All that a database holds beside its structure. */
export interface DatabaseRows {
  tables: TableRows[];
  sequences: SequenceState[];
}

/** Of one table. More belong in a seed, or in a migration of their own. */
const MOST_ROWS = 1000;
const ROWS_A_STATEMENT = 100;

/** As text that does not depend on settings of the session or the server. */
const PLAIN_TEXT = `set search_path = ''; set datestyle = 'ISO'; set intervalstyle = 'postgres'; set extra_float_digits = 1; set bytea_output = 'hex'; set timezone = 'UTC'; set row_security = off`;

interface TableFacts {
  table: string;
  source: string;
  columns: RowColumn[];
  keys: string[];
}

/**
 * Reads what scripts wrote into a scratch database.
 *
 * @param leftOut tables whose rows are not wanted, as `schema.table`
 * @throws {EvdbError} SQUASH_REFUSED with all tables that have too many; USAGE for a table that is not there
 */
export async function readRows(
  session: Session,
  ledgerSchema: string,
  leftOut: readonly string[],
): Promise<DatabaseRows> {
  await session.run(`begin; ${PLAIN_TEXT}`);
  try {
    const inScope = `n.nspname !~ '^pg_' and n.nspname not in ('information_schema', ${quoteLiteral(ledgerSchema)})`;
    await refuseLargeObjects(session);
    const facts = (await session.run(tablesSql(inScope))) as unknown as TableFacts[];
    const unknown = leftOut.filter((name) => !facts.some(({ table }) => table === name));
    if (unknown.length > 0) throw unknownTables(unknown);
    const wanted = facts.filter(({ table }) => !leftOut.includes(table));
    await refuseMany(session, wanted);
    const tables: TableRows[] = [];
    for (const one of wanted) {
      const rows = await session.run(rowsSql(one));
      if (rows.length === 0) continue;
      const { table, columns } = one;
      tables.push({ table, columns, rows: rows as unknown as TableRows['rows'] });
    }
    return { tables, sequences: await readSequences(session, inScope) };
  } finally {
    await session.run('rollback').catch(() => undefined);
  }
}

function unknownTables(names: readonly string[]): EvdbError {
  return new EvdbError('USAGE', `the migrations make no table ${names.join(', ')}`, {
    hint: 'Give --without-rows a table, or schema.table.',
  });
}

/** Tables with their columns that can be written; partitions are read through their table. */
function tablesSql(inScope: string): string {
  return `
select
    pg_catalog.format('%I.%I', n.nspname, c.relname) as "table",
    pg_catalog.concat(case c.relkind when 'r' then 'only ' end, pg_catalog.format('%I.%I', n.nspname, c.relname)) as "source",
    pg_catalog.json_agg(
        pg_catalog.json_build_object('name', pg_catalog.quote_ident(a.attname), 'hasDefault', a.atthasdef or a.attidentity <> '', 'isAlways', a.attidentity = 'a')
        order by a.attnum
    ) as "columns",
    coalesce((
        select pg_catalog.json_agg(pg_catalog.quote_ident(k.attname) order by u.place)
        from pg_catalog.pg_constraint as p
        cross join pg_catalog.unnest(p.conkey) with ordinality as u (attnum, place)
        join pg_catalog.pg_attribute as k on k.attrelid = p.conrelid and k.attnum = u.attnum
        where p.conrelid = c.oid and p.contype = 'p'
    ), '[]') as "keys"
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
where c.relkind in ('r', 'p')
    and not c.relispartition
    and c.relpersistence <> 't'
    and ${inScope}
    and not exists (
        select from pg_catalog.pg_depend as d
        where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.deptype = 'e'
    )
group by n.nspname, c.relname, c.relkind, c.oid
order by 1`;
}

/** What has no default comes first: it does not depend on when a row was written. */
function rowsSql({ source, columns, keys }: TableFacts): string {
  const values = columns.map(({ name }) => `pg_catalog.quote_nullable(t.${name}::text)`);
  const inOrder = [...columns].sort((a, b) => Number(a.hasDefault) - Number(b.hasDefault));
  const order = inOrder.map(({ name }) => `t.${name}::text collate "C"`).join(', ');
  const rank = keys.length > 0 ? keys.map((key) => `t.${key}`).join(', ') : order;
  return `
select
    pg_catalog.json_build_array(${values.join(', ')}) as "values",
    (pg_catalog.row_number() over (order by ${rank}))::int as "rank"
from ${source} as t
order by ${order}`;
}

async function refuseMany(session: Session, tables: readonly TableFacts[]): Promise<void> {
  const counts: { table: string; rows: number }[] = [];
  for (const { table, source } of tables) {
    const [row] = await session.run(`select pg_catalog.count(*)::int as "rows" from ${source}`);
    const rows = Number(row?.rows);
    if (rows > MOST_ROWS) counts.push({ table, rows });
  }
  if (counts.length === 0) return;
  const said = counts.map(({ table, rows }) => `${table} (${renderCount(rows, 'row')})`);
  throw refused(
    `the migrations write too many rows for one file: ${said.join(', ')}; up to ${MOST_ROWS} a table are kept`,
    'Write them in a seed or in a later migration, and leave them out with --without-rows <table>. Databases that have them keep them.',
    { tables: counts },
  );
}

async function refuseLargeObjects(session: Session): Promise<void> {
  const [row] = await session.run(
    'select pg_catalog.count(*)::int as "count" from pg_catalog.pg_largeobject_metadata',
  );
  if (row?.count === 0) return;
  throw refused(
    `the migrations make ${renderCount(Number(row?.count), 'large object')}, which a baseline cannot hold`,
    'Squash up to a version before them.',
  );
}

async function readSequences(session: Session, inScope: string): Promise<SequenceState[]> {
  const found = await session.run(`
select pg_catalog.format('%I.%I', n.nspname, c.relname) as "name", s.seqstart::text as "start"
from pg_catalog.pg_sequence as s
join pg_catalog.pg_class as c on c.oid = s.seqrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where ${inScope}
    and not exists (
        select from pg_catalog.pg_depend as d
        where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.deptype = 'e'
    )
order by 1`);
  const states: SequenceState[] = [];
  for (const { name, start } of found as { name: string; start: string }[]) {
    const [row] = await session.run(
      `select last_value::text as "lastValue", is_called as "isCalled" from ${name}`,
    );
    const { lastValue, isCalled } = row as { lastValue: string; isCalled: boolean };
    if (isCalled || lastValue !== start) states.push({ name, lastValue, isCalled });
  }
  return states;
}

/** A column whose values differ between two replays, and that its default fills. */
export interface LeftToDefault {
  table: string;
  column: string;
}

/**
 * Compares the rows of two replays. What differs in a column with a default is left to that; anything else
 * that differs would be another value in each database.
 *
 * @throws {EvdbError} SQUASH_REFUSED with all that differs
 */
export function settleRows(
  first: DatabaseRows,
  second: DatabaseRows,
): { rows: DatabaseRows; leftToDefault: LeftToDefault[] } {
  const leftToDefault: LeftToDefault[] = [];
  const unsure: string[] = [];
  const others = new Map(second.tables.map((one) => [one.table, one]));
  const tables = first.tables.map((one) => {
    const other = others.get(one.table);
    if (other?.rows.length !== one.rows.length) {
      unsure.push(`${one.table} (${one.rows.length} and ${other?.rows.length ?? 0} rows)`);
      return one;
    }
    const differs = one.columns.map((_, at) =>
      one.rows.some(({ values }, index) => values[at] !== other.rows[index]?.values[at]),
    );
    one.columns.forEach(({ name, hasDefault }, at) => {
      if (!differs[at]) return;
      if (hasDefault) leftToDefault.push({ table: one.table, column: name });
      else unsure.push(`${one.table}.${name}`);
    });
    return withoutColumns(one, differs);
  });
  for (const { table, rows } of second.tables) {
    if (!first.tables.some((one) => one.table === table))
      unsure.push(`${table} (0 and ${rows.length} rows)`);
  }
  if (unsure.length > 0) {
    throw refused(
      `the migrations write rows that differ each time they run: ${unsure.join(', ')}`,
      'Such values cannot be written into a file. Write the rows in a seed or in a later migration, and leave them out with --without-rows <table>.',
      { columns: unsure },
    );
  }
  return { rows: { ...first, tables }, leftToDefault };
}

function withoutColumns(table: TableRows, isLeftOut: readonly boolean[]): TableRows {
  const keep = <T>(list: readonly T[]) => list.filter((_, at) => !isLeftOut[at]);
  return {
    ...table,
    columns: keep(table.columns),
    rows: table.rows.map(({ values, rank }) => ({ values: keep(values), rank })),
  };
}

/** The same columns only as in another reading, to compare the two. */
export function sameColumns(rows: DatabaseRows, as: DatabaseRows): DatabaseRows {
  const wanted = new Map(as.tables.map(({ table, columns }) => [table, columns]));
  const tables = rows.tables.map((one) => {
    const names = wanted.get(one.table)?.map(({ name }) => name);
    return withoutColumns(
      one,
      one.columns.map(({ name }) => names?.includes(name) === false),
    );
  });
  return { ...rows, tables };
}

/** Statements that write the rows and set the sequences. */
export function renderRows({ tables, sequences }: DatabaseRows): string[] {
  const inserts = tables.flatMap(({ table, columns, rows }) => {
    if (columns.length === 0) return rows.map(() => `insert into ${table} default values;`);
    const names = columns.map(({ name }) => name).join(', ');
    const overriding = columns.some(({ isAlways }) => isAlways) ? ' overriding system value' : '';
    const inOrder = [...rows].sort((a, b) => a.rank - b.rank);
    const statements: string[] = [];
    for (let from = 0; from < inOrder.length; from += ROWS_A_STATEMENT) {
      const values = inOrder
        .slice(from, from + ROWS_A_STATEMENT)
        .map(
          (row) => `    (${row.values.map((value) => value.replace(/^NULL$/, 'null')).join(', ')})`,
        );
      statements.push(
        `insert into ${table} (${names})${overriding} values\n${values.join(',\n')};`,
      );
    }
    return statements;
  });
  const settings = sequences.map(
    ({ name, lastValue, isCalled }) =>
      `select pg_catalog.setval(${quoteLiteral(name)}, ${lastValue}, ${isCalled});`,
  );
  return [...inserts, ...settings];
}

/** What cannot become one file. */
export function refused(
  message: string,
  hint: string,
  details: Record<string, unknown> = {},
): EvdbError {
  return new EvdbError('SQUASH_REFUSED', message, { hint, details });
}
