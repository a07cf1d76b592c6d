/** A quoted name, a literal, or a text between dollars: what is in it is no expression. */
const QUOTED =
  /"(?:[^"]|"")*"|E'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*'|(\$(?:[A-Za-z_]\w*)?\$)[\s\S]*?\1/y;

const CLOSING: Record<string, string> = { '(': ')', '[': ']' };

/** An element type as `format_type` words it, in the cast of an array. */
const ARRAY_CAST = /^::((?:"(?:[^"]|"")*"|[^"'()[\],])+(?:\(\d+(?:, ?\d+)?\)[a-z ]*)?)\[\]/;

/**
 * Words an expression as PostgreSQL words it once it has read its own words: some trees come out as a
 * text that makes another tree. It moves the cast of an array into its elements
 * (`(ARRAY['a'::character varying])::text[]`, as `in (…)` on a varchar makes it), and reads
 * `((a OR b) OR c)` as one list. So a structure is worded the same before and after it was loaded.
 */
export function settleExpression(text: string): string {
  if (!text.includes('(ARRAY[') && !/\) (?:OR|AND) /.test(text)) return text;
  const pairs = findPairs(text);
  return pairs ? settle(text, 0, text.length, pairs) : text;
}

/** The place of each closing bracket by that of the opening one; undefined where they do not match. */
function findPairs(text: string): Map<number, number> | undefined {
  const pairs = new Map<number, number>();
  const open: number[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const end = endOfQuoted(text, at);
    if (end > at) {
      at = end - 1;
      continue;
    }
    const sign = text[at] ?? '';
    if (CLOSING[sign]) open.push(at);
    else if (sign === ')' || sign === ']') {
      const begun = open.pop();
      if (begun === undefined || CLOSING[text[begun] ?? ''] !== sign) return undefined;
      pairs.set(begun, at);
    }
  }
  return open.length === 0 ? pairs : undefined;
}

function endOfQuoted(text: string, at: number): number {
  const sign = text[at];
  if (sign !== '"' && sign !== "'" && sign !== '$' && sign !== 'E') return at;
  QUOTED.lastIndex = at;
  return QUOTED.test(text) ? QUOTED.lastIndex : at;
}

type Pairs = ReadonlyMap<number, number>;

function settle(text: string, from: number, to: number, pairs: Pairs): string {
  const written: string[] = [];
  for (let at = from; at < to; ) {
    const end = pairs.get(at);
    const cast = end === undefined ? undefined : castOfArray(text, at, pairs);
    if (end === undefined) {
      const next = Math.max(endOfQuoted(text, at), at + 1);
      written.push(text.slice(at, next));
      at = next;
    } else if (cast) {
      written.push(castElements(text, at + 1, cast.type, pairs));
      at = cast.end;
    } else {
      const inside = settle(text, at + 1, end, pairs);
      const isPartOfList = isListInList(text, at, { from, to }, pairs);
      written.push(isPartOfList ? inside : `${text[at]}${inside}${text[end]}`);
      at = end + 1;
    }
  }
  return written.join('');
}

/** For `(ARRAY[…])::type[]` the type and where it ends. */
function castOfArray(text: string, at: number, pairs: Pairs) {
  const end = pairs.get(at) ?? 0;
  if (!text.startsWith('(ARRAY[', at) || pairs.get(at + 6) !== end - 1) return undefined;
  const [all, type] = ARRAY_CAST.exec(text.slice(end + 1)) ?? [];
  return all === undefined || type === undefined ? undefined : { type, end: end + 1 + all.length };
}

/** `ARRAY[a, b]` with the cast at each element; arrays in it are gone through. */
function castElements(text: string, at: number, type: string, pairs: Pairs): string {
  const open = at + 5;
  const close = pairs.get(open) ?? text.length;
  const elements = splitAtCommas(text, open + 1, close, pairs).map(([from, to]) =>
    text.startsWith('ARRAY[', from) && pairs.get(from + 5) === to - 1
      ? castElements(text, from, type, pairs)
      : `(${settle(text, from, to, pairs)})::${type}`,
  );
  return `ARRAY[${elements.join(', ')}]`;
}

function splitAtCommas(text: string, from: number, to: number, pairs: Pairs): [number, number][] {
  const items: [number, number][] = [];
  let begin = from;
  for (let at = from; at < to; ) {
    if (text[at] === ',') {
      items.push([begin, at]);
      begin = at + 2;
    }
    at = Math.max(endOfQuoted(text, at), (pairs.get(at) ?? at) + 1);
  }
  return begin < to ? [...items, [begin, to]] : items;
}

/** Whether a pair of brackets is the first of a list of `or` or `and`, and a list of the same itself. */
function isListInList(
  text: string,
  at: number,
  outer: { from: number; to: number },
  pairs: Pairs,
): boolean {
  const end = pairs.get(at) ?? 0;
  const [, word] = /^ (OR|AND) /.exec(text.slice(end + 1, end + 6)) ?? [];
  // in brackets as well, so that nothing before it binds stronger
  if (word === undefined || at !== outer.from || pairs.get(at - 1) !== outer.to) return false;
  return wordsBetween(text, at + 1, end, pairs).has(word);
}

/** Which of `or` and `and` stand between the brackets of a list; of `between … and` none is alone. */
function wordsBetween(text: string, from: number, to: number, pairs: Pairs): Set<string> {
  const words = new Set<string>();
  for (let at = from; at < to; ) {
    const end = pairs.get(at);
    const [, word] =
      end === undefined ? [] : (/^\) (OR|AND) /.exec(text.slice(end, end + 6)) ?? []);
    if (word) words.add(word);
    at = Math.max(endOfQuoted(text, at), (end ?? at) + 1);
  }
  return words;
}
