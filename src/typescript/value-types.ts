import { VALUE_CODEC } from '../pool/values.ts';
import { harmlessJson } from '../text/harmless.ts';
import type { Oid, TypeCatalog, TypeFacts } from './read.ts';

/** A type of values, as it is read and as it may be written; null is not in it. */
export interface ValueType {
  read: string;
  write: string;
}

/** How a name or a label is written in TypeScript, in single quotes. */
export function quote(text: string): string {
  const inner = harmlessJson(JSON.stringify(text)).slice(1, -1);
  return `'${inner.replaceAll('\\"', '"').replaceAll("'", "\\'")}'`;
}

const both = (type: string): ValueType => ({ read: type, write: type });
const NUMBER = both('number');
const TEXT = both('string');
/** A number of JavaScript would round them, but may be given. */
const EXACT = { read: 'string', write: 'string | number | bigint' };
const MOMENT = { read: 'Date', write: 'Date | string' };
const JSON_VALUE = { read: 'Json', write: 'JsonInput' };

/**
 * Types of PostgreSQL itself that are more than text to the pool, see `pool/values.ts`, by the oids
 * that they have on every server. A test reads a value of each by the pool.
 */
const SCALARS = new Map<Oid, ValueType>([
  [16, both('boolean')],
  [17, { read: 'Buffer', write: 'Uint8Array' }],
  [20, EXACT],
  [21, NUMBER],
  [23, NUMBER],
  [26, NUMBER],
  [114, JSON_VALUE],
  [700, NUMBER],
  [701, NUMBER],
  [1082, { read: 'string', write: 'Date | string' }],
  [1114, MOMENT],
  [1184, MOMENT],
  [1700, EXACT],
  // what a function returns that returns nothing
  [2278, both("''")],
  [3802, JSON_VALUE],
]);

/** Any type: `anyelement` and others. */
const UNKNOWN = both('unknown');

/** Gives the types of values by the types of a database. */
export class ValueTypes {
  readonly #types: TypeCatalog['types'];
  /** The names of enums, domains, tables, views and composite types, by oids of types. */
  readonly #aliases: ReadonlyMap<Oid, string>;

  constructor(types: TypeCatalog['types'], aliases: ReadonlyMap<Oid, string>) {
    this.#types = types;
    this.#aliases = aliases;
  }

  /** As a column has it, or a function that returns one value. */
  of(oid: Oid): ValueType {
    const scalar = SCALARS.get(oid);
    if (scalar) return scalar;
    const type = this.#types.get(oid);
    if (type === undefined) return TEXT;
    if (type.element !== 0) return this.#ofArray(type);
    const alias = this.#aliases.get(oid);
    switch (type.kind) {
      case 'enum':
        return both(alias ?? this.bodyOf(type));
      case 'domain':
        return this.#ofDomain(type, alias);
      case 'pseudo':
        return /^any/.test(type.name) ? UNKNOWN : TEXT;
      default:
        // Composite values and ranges too: the pool leaves them the text that the server sends.
        return TEXT;
    }
  }

  /** What the alias of an enum or a domain stands for. */
  bodyOf(type: TypeFacts): string {
    if (type.kind === 'domain') return this.of(type.base).read;
    const labels = type.labels ?? [];
    return labels.length === 0 ? 'never' : labels.map(quote).join(' | ');
  }

  /** The server sends values of a domain as those of its base type. */
  #ofDomain(type: TypeFacts, alias: string | undefined): ValueType {
    const base = this.of(type.base);
    if (alias === undefined) return base;
    return { read: alias, write: base.read === base.write ? alias : base.write };
  }

  /** Arrays of a database's own types have oids that the pool does not know: they stay text. */
  #ofArray(type: TypeFacts): ValueType {
    const { read, write } = this.of(type.element);
    if (VALUE_CODEC.readers.has(type.oid)) return { read: arrayOf(read), write: arrayOf(write) };
    return { read: 'string', write: `${arrayOf(write)} | string` };
  }

  /** A row, as `select * from f()` gives it; undefined for what has no columns of its own. */
  rowOf(oid: Oid): string | undefined {
    const type = this.#types.get(oid);
    if (type?.kind !== 'composite') return undefined;
    return this.#aliases.get(oid) ?? 'Record<string, unknown>';
  }
}

function arrayOf(type: string): string {
  return /[ |]/.test(type) ? `(${type})[]` : `${type}[]`;
}

/** With null; what is unknown holds it already. */
export function orNull(type: string): string {
  return type === 'unknown' ? type : `${type} | null`;
}
