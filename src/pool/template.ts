import { EvdbError } from '../errors.ts';

/** A tagged template as a statement: each value becomes a parameter, never text. */
export interface Statement {
  text: string;
  params: unknown[];
}

const texts = new WeakMap<TemplateStringsArray, string>();

/**
 * Turns a tagged template into a statement with parameters.
 *
 * @throws {EvdbError} USAGE where it is not called as a template
 * @example planStatement`select * from users where id = ${7}` // text 'select … id = $1', params [7]
 */
export function planStatement(strings: TemplateStringsArray, ...params: unknown[]): Statement {
  if (!Array.isArray(strings?.raw)) {
    throw new EvdbError('USAGE', 'sql was called like a function', {
      hint: 'Write it as a template, sql`select …`, or use query(text, params).',
    });
  }
  const known = texts.get(strings);
  if (known !== undefined) return { text: known, params };
  const text = strings.reduce((before, after, index) => `${before}$${index}${after}`);
  texts.set(strings, text);
  return { text, params };
}
