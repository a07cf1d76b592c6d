import type { Variables } from './environment.ts';

/** An assignment of `.env`, as Node and others read it. */
const LINE =
  /^([ \t]*(?:export[ \t]+)?[\w.-]+[ \t]*=[ \t]*)('(?:\\'|[^'])*'|"(?:\\"|[^"])*"|`(?:\\`|[^`])*`|[^#\r\n]*)/gm;
// Stand for what is not expanded until all is: no text holds them, they are no characters.
const LITERAL_DOLLAR = '\uFDD0';

/**
 * Hides the `$` that mean themselves: those in single quotes and those behind a backslash.
 *
 * @returns the text of `.env`, for the parser and then for `expandVariables`
 */
export function hideLiteralDollars(text: string): string {
  return text.replace(LINE, (_, start: string, value: string) => {
    const hidden = value.startsWith("'")
      ? value.replaceAll('$', LITERAL_DOLLAR)
      : value.replaceAll('\\$', LITERAL_DOLLAR);
    return start + hidden;
  });
}

/**
 * Puts in the variables that values name, as dotenv-expand does: `$NAME`, `${NAME}`,
 * `${NAME:-default}` and `${NAME-default}`, from the environment first and then from another line.
 * What nobody has set stays as it stands: a password may hold a `$`.
 *
 * @returns beside the variables the names in braces that nobody has set, by the variable that holds them
 * @example expandVariables({ A: '${B}/x', B: 'y' }, {}).variables // { A: 'y/x', B: 'y' }
 */
export function expandVariables(
  parsed: Variables,
  real: Variables,
): { variables: Record<string, string>; unknown: Map<string, string[]> } {
  const done = new Map<string, string>();
  const unknown = new Map<string, string[]>();
  const open = new Set<string>();

  function lookUp(name: string): string | undefined {
    if (real[name] !== undefined) return real[name];
    // One that names itself by way of others has no value.
    if (!Object.hasOwn(parsed, name) || open.has(name)) return undefined;
    const known = done.get(name);
    if (known !== undefined) return known;
    open.add(name);
    const value = expand(parsed[name] ?? '', name);
    open.delete(name);
    done.set(name, value);
    return value;
  }

  function expand(text: string, holder: string): string {
    let result = '';
    for (let at = 0; at < text.length; ) {
      const found = readReference(text, at);
      if (found === undefined) {
        result += text[at++];
        continue;
      }
      const { name, otherwise, isForEmpty, end } = found;
      const value = lookUp(name);
      const isMissing = value === undefined || (isForEmpty && value === '');
      if (!isMissing) result += value;
      else if (otherwise !== undefined) result += expand(otherwise, holder);
      else {
        result += text.slice(at, end);
        if (text[at + 1] === '{') unknown.set(holder, [...(unknown.get(holder) ?? []), name]);
      }
      at = end;
    }
    return result;
  }

  const variables: Record<string, string> = {};
  for (const name of Object.keys(parsed)) {
    open.add(name);
    const value = done.get(name) ?? expand(parsed[name] ?? '', name);
    open.delete(name);
    done.set(name, value);
    variables[name] = value.replaceAll(LITERAL_DOLLAR, '$');
  }
  return { variables, unknown };
}

interface Reference {
  name: string;
  otherwise: string | undefined;
  /** Whether the default counts for an empty value too. */
  isForEmpty: boolean;
  end: number;
}

function readReference(text: string, at: number): Reference | undefined {
  if (text[at] !== '$') return undefined;
  const [all = '', brace, name = ''] =
    /^\$(\{?)([A-Za-z_]\w*)/.exec(text.slice(at, at + 256)) ?? [];
  if (name === '') return undefined;
  let end = at + all.length;
  if (!brace) return { name, otherwise: undefined, isForEmpty: false, end };
  const [operator = ''] = /^:?-/.exec(text.slice(end, end + 2)) ?? [];
  const from = end + operator.length;
  for (let depth = 1; end < text.length; end++) {
    if (text.startsWith('${', end)) depth++;
    else if (text[end] === '}' && --depth === 0) {
      if (operator === '' && end > from) return undefined;
      const otherwise = operator === '' ? undefined : text.slice(from, end);
      return { name, otherwise, isForEmpty: operator === ':-', end: end + 1 };
    }
  }
  return undefined;
}
