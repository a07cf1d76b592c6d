/** The name of a routine without its arguments: `public."f("` of `public."f("(integer)`. */
export function beforeParenthesis(name: string): string {
  return /^(?:"(?:[^"]|"")*"|[^"(])*/.exec(name)?.[0] ?? name;
}

/** The table of a column: `public."a.b"` of `public."a.b".id`. */
export function beforeLastDot(name: string): string {
  return name.replace(/\.(?:"(?:[^"]|"")*"|[^".]+)$/, '');
}
