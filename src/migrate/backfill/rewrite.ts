import { isDeepStrictEqual } from 'node:util';
import type { Node } from '@pgsql/types';
import { advance, openCursor } from '../../sql/lexer.ts';
import type { SqlParser } from '../../sql/parser.ts';
import { asKind, withoutPlaces } from '../../sql/tree.ts';

/*
 * Puts the range of a batch into a statement. The grammar's tree says where conditions begin only
 * vaguely, and cannot be written as text again, so places are proposed by the tokens of the text, and
 * one is taken only where the tree of the result is the tree that is wanted. What the statement says
 * otherwise stays as it is written, comments included.
 */

/** A statement with a place for the range. */
export interface BatchTemplate {
  /** What stands before and after the condition on the key. */
  before: string;
  after: string;
}

export interface Rewriting {
  verb: 'update' | 'delete' | 'insert';
  text: string;
  tree: Node;
  parser: SqlParser;
}

/** A condition of the same shape as every range. */
const SAMPLE = '"evdb"."a" > 1 and "evdb"."a" <= 2';

/** @returns undefined where no place can be proven right */
export function makeBatchTemplate({
  verb,
  text,
  tree,
  parser,
}: Rewriting): BatchTemplate | undefined {
  const wanted = addCondition(tree, verb, conditionOf(SAMPLE, parser));
  for (const template of proposals(text)) {
    const found = parser.parse(`${template.before}${SAMPLE}${template.after}`);
    if (found && isDeepStrictEqual(withoutPlaces(found), wanted)) return template;
  }
  return undefined;
}

function conditionOf(text: string, parser: SqlParser): Node | undefined {
  return asKind(parser.parse(`select where ${text}`) ?? undefined, 'SelectStmt')?.whereClause;
}

/** The tree with one more condition, as the grammar makes it: `a and b and c` is one list. */
function addCondition(tree: Node, verb: Rewriting['verb'], more: Node | undefined): unknown {
  const copy = structuredClone(tree) as Record<string, Conditional & { selectStmt?: Node }>;
  const [statement] = Object.values(copy);
  const holder = verb === 'insert' ? selectIn(statement?.selectStmt) : statement;
  if (holder) {
    const before = holder.whereClause;
    const others = asKind(before, 'BoolExpr');
    const conjuncts = others?.boolop === 'AND_EXPR' ? (others.args ?? []) : before ? [before] : [];
    const added = asKind(more, 'BoolExpr')?.args ?? [];
    holder.whereClause = { BoolExpr: { boolop: 'AND_EXPR', args: [...conjuncts, ...added] } };
  }
  return withoutPlaces(copy);
}

interface Conditional {
  whereClause?: Node;
}

function selectIn(node: Node | undefined): Conditional | undefined {
  return asKind(node, 'SelectStmt') as Conditional | undefined;
}

interface Token {
  start: number;
  end: number;
  /** How many brackets are open around it. */
  depth: number;
  /** In lower case; '' for what is no plain word. */
  word: string;
}

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  const cursor = openCursor(text);
  let depth = 0;
  while (advance(cursor)) {
    const { start, end, kind } = cursor;
    const shown = text.slice(start, end);
    const isPlain = kind === 'punctuation' && shown.length === 1;
    if (isPlain && CLOSING.has(shown)) depth--;
    tokens.push({ start, end, depth, word: kind === 'word' ? shown.toLowerCase() : '' });
    if (isPlain && OPENING.has(shown)) depth++;
  }
  return tokens;
}

const OPENING = new Set(['(', '[']);
const CLOSING = new Set([')', ']']);

/** What may follow the conditions of a statement. */
const BEHIND = new Set([
  ...['group', 'having', 'window', 'order', 'limit', 'offset', 'fetch', 'for', 'on', 'returning'],
]);

/** From the end, where the right one mostly is; with a condition that is there already first. */
function* proposals(text: string): Generator<BatchTemplate> {
  const tokens = tokensOf(text);
  const ends = tokens.flatMap((token, index) => {
    const next = tokens[index + 1];
    const isEnd = !next || next.depth < token.depth || BEHIND.has(next.word);
    return isEnd ? [{ end: token.end, index, depth: next?.depth ?? 0 }] : [];
  });
  ends.reverse();
  for (const { end, index } of ends) {
    for (let at = index; at >= 0; at--) {
      const { word, end: whereEnd } = tokens[at] as Token;
      const first = tokens[at + 1];
      if (word !== 'where' || !first || at === index) continue;
      const [head, condition, tail] = [
        text.slice(0, first.start),
        text.slice(first.start, end),
        text.slice(end),
      ];
      yield { before: `${head}${condition} and `, after: tail };
      yield {
        before: `${text.slice(0, whereEnd)}${text.slice(whereEnd, first.start)}(${condition}) and `,
        after: tail,
      };
    }
  }
  for (const { end } of ends) {
    yield { before: `${text.slice(0, end)} where `, after: text.slice(end) };
  }
}

/**
 * A query that counts the rows which the statement would change.
 *
 * @returns undefined where its parts cannot be told apart
 */
export function makeCountQuery(rewriting: Rewriting): string | undefined {
  const { verb, tree, parser } = rewriting;
  const [statement] = Object.values(tree as unknown as Record<string, Record<string, unknown>>);
  if (!statement) return undefined;
  const { relation, fromClause, usingClause, whereClause, withClause, selectStmt } = statement;
  const others = (verb === 'update' ? fromClause : usingClause) as Node[] | undefined;
  const wanted = withoutPlaces(
    verb === 'insert'
      ? { withClause, select: asKind(selectStmt as Node, 'SelectStmt') }
      : { withClause, whereClause, fromClause: [{ RangeVar: relation }, ...(others ?? [])] },
  );
  for (const query of countProposals(rewriting)) {
    const select = asKind(parser.parse(query) ?? undefined, 'SelectStmt');
    if (!select) continue;
    const inner = asKind(select.fromClause?.[0], 'RangeSubselect')?.subquery;
    const found =
      verb === 'insert'
        ? { withClause: select.withClause, select: asKind(inner, 'SelectStmt') }
        : {
            withClause: select.withClause,
            whereClause: select.whereClause,
            fromClause: select.fromClause,
          };
    if (isDeepStrictEqual(withoutPlaces(found), wanted)) return query;
  }
  return undefined;
}

const COUNT = 'select pg_catalog.count(*)::float8 as "matching" from ';

function* countProposals({ verb, text }: Rewriting): Generator<string> {
  const tokens = tokensOf(text);
  const outside = (word: string) =>
    tokens.flatMap((token, index) => (token.depth === 0 && token.word === word ? [index] : []));
  /** From the first token after `from` to the last one before `to`, without comments around. */
  const between = (from: number, to: number) => {
    const [first, last] = [tokens[from + 1], tokens[to - 1]];
    return first && last && to - from > 1 ? text.slice(first.start, last.end) : '';
  };
  const end = tokens.length;
  const [start] = outside(verb);
  if (start === undefined) return;
  const head = text.slice(0, tokens[start]?.start);
  if (verb === 'insert') {
    const begins = tokens.flatMap(({ depth, word, start: at }, index) => {
      const isOne = word === 'select' || word === 'with' || text[at] === '(';
      return depth === 0 && isOne && index > start ? [index] : [];
    });
    for (const begin of begins) {
      for (const next of [...outside('on'), end]) {
        yield `${head}${COUNT}(${between(begin - 1, next)}\n) as "evdb"`;
      }
    }
    return;
  }
  // `set` and `from` may be parts of other words too, such as `is distinct from`.
  const [opening, more] = verb === 'update' ? ['set', 'from'] : [undefined, 'using'];
  const first = verb === 'delete' ? start + 1 : start;
  for (const where of [...outside('where').reverse(), end]) {
    const condition = where === end ? '' : ` where ${between(where, end)}`;
    for (const set of opening === undefined ? [end] : outside(opening)) {
      for (const from of [...outside(more), end]) {
        const relation = between(first, Math.min(set, from, where));
        const others = from === end ? '' : `, ${between(from, where)}`;
        yield `${head}${COUNT}${relation}${others}${condition}`;
      }
    }
  }
}
