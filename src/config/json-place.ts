/** Where JSON stops being JSON: Node says it for some mistakes only, and differently in each version. */

/** A whole value, or a mark of punctuation. */
const TOKEN =
  /[ \t\r\n]*(?:([{}[\],:])|("(?:[^"\\\p{Cc}]|[\x7f-\x9f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*")|(-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.+-]))/uy;

type Expected = 'value' | 'firstValue' | 'name' | 'firstName' | 'colon' | 'next' | 'end';

/**
 * Finds the first place that cannot be JSON.
 *
 * @param text what `JSON.parse` refuses
 * @returns line and column, both from 1
 * @example findJsonError('{ "a": 1, }') // { line: 1, column: 11 }
 */
export function findJsonError(text: string): { line: number; column: number } {
  const open: ('{' | '[')[] = [];
  let expected: Expected = 'value';
  let end = 0;
  for (TOKEN.lastIndex = 0; ; end = TOKEN.lastIndex) {
    const match = TOKEN.exec(text);
    const follows: Expected | undefined = match ? follow(match, expected, open) : undefined;
    if (!follows) break;
    expected = follows;
  }
  const at = end + (/^[ \t\r\n]*/.exec(text.slice(end))?.[0].length ?? 0);
  const lines = text.slice(0, at).split('\n');
  return { line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1 };
}

/** What is expected behind a token; undefined where the token is not what was expected. */
function follow(
  [, mark, text, word]: RegExpExecArray,
  expected: Expected,
  open: ('{' | '[')[],
): Expected | undefined {
  const isValueExpected = expected === 'value' || expected === 'firstValue';
  const isNameExpected = expected === 'name' || expected === 'firstName';
  const after = () => (open.length === 0 ? 'end' : 'next');
  if (text !== undefined && isNameExpected) return 'colon';
  if (text !== undefined || word !== undefined) return isValueExpected ? after() : undefined;
  if (mark === ':') return expected === 'colon' ? 'value' : undefined;
  if (mark === ',') {
    if (expected !== 'next') return undefined;
    return open.at(-1) === '{' ? 'name' : 'value';
  }
  if (mark === '{' || mark === '[') {
    if (!isValueExpected) return undefined;
    open.push(mark);
    return mark === '{' ? 'firstName' : 'firstValue';
  }
  const isEmpty = expected === (mark === '}' ? 'firstName' : 'firstValue');
  if (!(isEmpty || expected === 'next') || open.at(-1) !== (mark === '}' ? '{' : '['))
    return undefined;
  open.pop();
  return after();
}
