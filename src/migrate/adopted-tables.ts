import { codeOf } from '../connection/connection-error.ts';
import type { Session } from '../connection/session.ts';
import { quoteIdent, quoteLiteral } from '../sql/quote.ts';
import type { Structure, StructureObject } from '../structure/structure.ts';
import { ledgerKey, type MigrateOptions } from './options.ts';

/**
 * The tables in which tools kept their migrations that were adopted since, qualified and quoted as
 * in a structure. The history says it, so it holds for adoptions of any time; one that was undone
 * gave its table back.
 */
export async function readAdoptedTables(
  session: Session,
  options: MigrateOptions,
): Promise<string[]> {
  const history = `${quoteIdent(ledgerKey(options).ledgerSchema)}.history`;
  try {
    const [ledger] = await session.run(
      `select pg_catalog.to_regclass(${quoteLiteral(history)}) is not null as "exists"`,
    );
    if (ledger?.exists !== true) return [];
    const rows = await session.run(`
      select distinct pg_catalog.format('%I.%I', n.nspname, c.relname) as "table"
      from ${history} as h
      cross join lateral (
          select case when h.detail like '{%' then h.detail::json ->> 'table' end as name
      ) as recorded
      join pg_catalog.pg_class as c on c.relkind in ('r', 'p')
      join pg_catalog.pg_namespace as n
          on n.oid = c.relnamespace and pg_catalog.concat(n.nspname, '.', c.relname) = recorded.name
      where h.action = 'adopted'
          and h.version is null
          and not exists (
              select
              from ${history} as later
              where later.id > h.id
                  and later.target_schema = h.target_schema
                  and later.action = 'adopted'
                  and later.version is null
                  and later.detail like 'undone%'
          )
      order by 1`);
    return rows.map(({ table }) => String(table));
  } catch (error) {
    // who may not read the history sees a difference more
    if (codeOf(error) === '42501') return [];
    throw error;
  }
}

/**
 * Leaves out tables with all that is theirs, where the other side does not have them; a schema that
 * the other side does not have either goes as a whole, because the tool made it.
 */
export function withoutTables(
  structure: Structure,
  other: Structure,
  tables: readonly string[],
): { structure: Structure; left: string[] } {
  const others = new Set(other.objects.map(({ kind, name }) => `${kind} ${name}`));
  const left = tables.filter(
    (name) => !others.has(`table ${name}`) && structure.objects.some((one) => isTable(one, name)),
  );
  if (left.length === 0) return { structure, left };
  const schemas = left.map(schemaOf).filter((schema) => !others.has(`schema ${schema}`));
  const gone = new Set([
    ...left.map((name) => `table ${name}`),
    ...schemas.map((schema) => `schema ${schema}`),
  ]);
  const isGone = ({ kind, name, of, parts }: StructureObject) =>
    gone.has(`${kind} ${name}`) ||
    (of !== undefined && gone.has(of)) ||
    left.some((table) => parts['owned by']?.startsWith(`${table}.`)) ||
    schemas.some((schema) => name.startsWith(`${schema}.`));
  // of columns there are identities, so what is theirs goes in the next round
  let objects = structure.objects;
  for (let before = -1; before !== gone.size; ) {
    before = gone.size;
    for (const object of objects.filter(isGone)) gone.add(`${object.kind} ${object.name}`);
    objects = objects.filter((object) => !isGone(object));
  }
  return { structure: { ...structure, objects }, left };
}

const isTable = ({ kind, name }: StructureObject, table: string) =>
  kind === 'table' && name === table;

function schemaOf(table: string): string {
  return /^(?:"(?:[^"]|"")*"|[^".]+)/.exec(table)?.[0] ?? table;
}
