import { quoteIdent } from '../../sql/quote.ts';

/** The name of a routine without its arguments: `public."f("` of `public."f("(integer)`. */
export function beforeParenthesis(name: string): string {
  return /^(?:"(?:[^"]|"")*"|[^"(])*/.exec(name)?.[0] ?? name;
}

/** The table of a column: `public."a.b"` of `public."a.b".id`. */
export function beforeLastDot(name: string): string {
  return name.replace(/\.(?:"(?:[^"]|"")*"|[^".]+)$/, '');
}

/** Splits `public.a, public."b, c"`. */
export function splitNames(names: string): string[] {
  return names.match(/(?:"(?:[^"]|"")*"|[^,"])+/g)?.map((name) => name.trim()) ?? [];
}

/** A name as it stands in the catalogs. */
export function unquoteIdent(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
}

/** For names that are no key words. */
export function quoteWhereNeeded(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : quoteIdent(name);
}
