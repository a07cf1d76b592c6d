/** A tagged template as a statement: each value becomes a parameter, never text. */
export interface Statement {
  text: string;
  params: unknown[];
}

const texts = new WeakMap<TemplateStringsArray, string>();

/**
 * Turns a tagged template into a statement with parameters.
 *
 * @example planStatement`select * from users where id = ${7}` // text 'select … id = $1', params [7]
 */
export function planStatement(strings: TemplateStringsArray, ...params: unknown[]): Statement {
  const known = texts.get(strings);
  if (known !== undefined) return { text: known, params };
  const text = strings.reduce((before, after, index) => `${before}$${index}${after}`);
  texts.set(strings, text);
  return { text, params };
}
