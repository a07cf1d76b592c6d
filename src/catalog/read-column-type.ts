import type { Row } from '../connection/session.ts';
import { type ColumnType, objectKey } from './catalog.ts';

/** The columns of a query that `readColumnType` needs, with `TYPE_JOINS` beside them. */
export const TYPE_COLUMNS = (modifier: string): string => `
        coalesce(en.nspname, tn.nspname)::text as "typeSchema",
        coalesce(e.typname, t.typname)::text as "typeName",
        e.oid is not null as "isArray",
        ${modifier} as "modifier"`;

/** Joins the type of an id, and its element where it is an array. */
export const TYPE_JOINS = (id: string): string => `
    join pg_catalog.pg_type as t on t.oid = ${id}
    join pg_catalog.pg_namespace as tn on tn.oid = t.typnamespace
    left join pg_catalog.pg_type as e
        on e.oid = t.typelem
        and t.typsubscript = 'pg_catalog.array_subscript_handler'::pg_catalog.regproc
    left join pg_catalog.pg_namespace as en on en.oid = e.typnamespace`;

/** A type of the database, in the catalog's terms. */
export function readColumnType(row: Row): ColumnType {
  const schema = String(row.typeSchema);
  const name = String(row.typeName);
  return {
    name: schema === 'pg_catalog' ? name : objectKey(schema, name),
    modifiers: modifiersOf(name, Number(row.modifier)),
    isArray: row.isArray === true,
  };
}

const HEADER = 4;
const FULL_INTERVAL = 0x7fff;

function modifiersOf(name: string, modifier: number): number[] {
  if (modifier < 0) return [];
  switch (name) {
    case 'varchar':
    case 'bpchar':
      return [modifier - HEADER];
    case 'numeric': {
      const packed = modifier - HEADER;
      // A scale of 11 bits with a sign.
      return [(packed >> 16) & 0xffff, ((packed & 0x7ff) ^ 0x400) - 0x400];
    }
    case 'interval': {
      const range = (modifier >> 16) & FULL_INTERVAL;
      const precision = modifier & 0xffff;
      return range === FULL_INTERVAL ? [precision] : [range, precision];
    }
    default:
      return [modifier];
  }
}
