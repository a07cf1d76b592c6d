/** The name of a routine without its arguments: `public."f("` of `public."f("(integer)`. */
export function beforeParenthesis(name: string): string {
  return /^(?:"(?:[^"]|"")*"|[^"(])*/.exec(name)?.[0] ?? name;
}
