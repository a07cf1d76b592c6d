import { EvdbError } from '../../errors.ts';
import { advance, openCursor } from '../../sql/lexer.ts';

/** A name as somebody types it, read as PostgreSQL reads it. */
export interface NamedColumn {
  /** Only where it is written. */
  schema: string | undefined;
  table: string;
  column: string;
}

const NAME = '(?:"(?:[^"]|"")+"|[\\p{L}_][\\p{L}\\p{N}_$]*)';
const DOTTED = new RegExp(`^${NAME}(?:\\.${NAME})*$`, 'u');

/**
 * The parts of a dotted name, such as `app.events.location`: folded to lower case unless quoted.
 *
 * @throws {EvdbError} USAGE
 */
export function parseDotted(text: string, wanted: string): string[] {
  if (!DOTTED.test(text.trim())) {
    throw new EvdbError('USAGE', `"${text}" is not ${wanted}`, {
      hint: 'Names are written as in SQL: with double quotes where they have upper case or special characters.',
    });
  }
  const parts = text.trim().match(new RegExp(NAME, 'gu')) ?? [];
  return parts.map((part) =>
    part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part.toLowerCase(),
  );
}

/** @throws {EvdbError} USAGE unless it is `table.column` or `schema.table.column` */
export function parseColumn(text: string): NamedColumn {
  const parts = parseDotted(text, 'a column: write table.column');
  const [column = '', table = '', schema] = parts.toReversed();
  if (parts.length === 2 || parts.length === 3) return { schema, table, column };
  throw new EvdbError('USAGE', `"${text}" is not a column of a table`, {
    hint: 'Write table.column, such as events.location, or schema.table.column.',
  });
}

/** @throws {EvdbError} USAGE unless it is one name without a dot */
export function parseName(text: string, what: string): string {
  const [name = '', ...others] = parseDotted(text, what);
  if (others.length === 0) return name;
  throw new EvdbError('USAGE', `"${text}" is not ${what}`, {
    hint: 'Write the name alone, without table or schema.',
  });
}

const MAX_BYTES = 63;

/** A name that PostgreSQL does not cut: what stands before the last part gives way. */
export function fitName(base: string, suffix: string): string {
  let kept = base;
  while (Buffer.byteLength(`${kept}_${suffix}`) > MAX_BYTES) kept = [...kept].slice(0, -1).join('');
  return `${kept}_${suffix}`;
}

/** What may stand in the name of a file on every system, and without quotes in one of SQL. */
export function plainWord(name: string): string {
  const word = name.replace(/[^A-Za-z0-9]+/g, '_').replace(/^_+|_+$/g, '') || 'column';
  return word.toLowerCase().replace(/^(?=\d)/, '_');
}

interface Token {
  start: number;
  end: number;
  shown: string;
  /** The name that it is, read as PostgreSQL reads it; undefined for anything else. */
  name: string | undefined;
}

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  const cursor = openCursor(text);
  while (advance(cursor)) {
    const { start, end, kind } = cursor;
    const shown = text.slice(start, end);
    const name =
      kind === 'word'
        ? shown.toLowerCase()
        : kind === 'identifier'
          ? shown.slice(1, -1).replaceAll('""', '"')
          : undefined;
    tokens.push({ start, end, shown, name });
  }
  return tokens;
}

/**
 * An expression or a definition over one table, with another text in the place of a column: not where the
 * same name is that of a type, a function, a collation, or a part of a longer name.
 *
 * @param replacement for `column`, quoted if SQL needs it
 */
export function substituteColumn(text: string, column: string, replacement: string): string {
  const tokens = tokensOf(text);
  let replaced = '';
  let from = 0;
  for (const [index, token] of tokens.entries()) {
    if (token.name !== column) continue;
    const [before, after] = [tokens[index - 1], tokens[index + 1]];
    if (before && /^(\.|::|collate)$/i.test(before.shown)) continue;
    if (after && (after.shown === '(' || after.shown === '.')) continue;
    replaced += text.slice(from, token.start) + replacement;
    from = token.end;
  }
  return replaced + text.slice(from);
}

/** Whether an expression over one table uses a column. */
export function mentionsColumn(text: string, column: string): boolean {
  return substituteColumn(text, column, '') !== text;
}

/** A text of the catalogs without the schema where the migration finds names by itself. */
export function withoutSchema(text: string, schema: string): string {
  const tokens = tokensOf(text);
  let kept = '';
  let from = 0;
  for (const [index, { name, start, end }] of tokens.entries()) {
    const [before, dot] = [tokens[index - 1], tokens[index + 1]];
    if (name !== schema || dot?.shown !== '.' || before?.shown === '.') continue;
    if (dot.start !== end || tokens[index + 2]?.name === undefined) continue;
    kept += text.slice(from, start);
    from = dot.end;
  }
  return kept + text.slice(from);
}
