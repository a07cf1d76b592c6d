import { type Comment, listComments } from './comments.ts';
import { type Statement, splitStatements } from './statements.ts';

/** A line of a comment that speaks to evdb, by its place in UTF-16 units. */
export interface DirectiveLine extends Comment {
  /** In lower case; '' where nothing follows the colon. */
  name: string;
  value: string;
  /** Whether it stands before the first statement. */
  isHeader: boolean;
  /** False for what was meant as one and is not written as one, such as `-- evdb no-transaction`. */
  isWellFormed: boolean;
}

// A no-break space, or what has no width at all, is not seen by who writes it.
const SPACE = '[\\s\\u200b-\\u200d\\u2060\\ufeff]*';
const WRITTEN = new RegExp(
  `^(?:--|/\\*{1,2}|\\*)?${SPACE}evdb${SPACE}:${SPACE}([^\\s:]*)(?!:)${SPACE}(.*)$`,
  'i',
);
const NAMES = 'no-?transaction|irreversible|lock-?timeout|statement-?timeout|ignore';
const MEANT = new RegExp(
  `^(?:[-*/#!@+]|${SPACE.slice(0, -1)})*evdb(?:${SPACE}[:：]|[^\\p{L}\\p{N}]+(?:${NAMES})\\b)`,
  'iu',
);

/**
 * Lists the lines that speak to evdb, in whatever case and kind of comment they are written.
 *
 * @example listDirectiveLines('/* licence *\/\n-- EVDB: no-transaction') // [{ name: 'no-transaction', … }]
 */
export function listDirectiveLines(text: string, given?: readonly Statement[]): DirectiveLine[] {
  if (!mayHoldDirectives(text)) return [];
  const statements = given ?? splitStatements(text);
  const header = statements[0]?.start ?? text.length;
  return listComments(text, statements).flatMap((comment) =>
    readDirectiveLines(text, comment, comment.start < header),
  );
}

/** Whether it is worth looking for them: this costs nearly nothing, and most scripts hold none. */
export function mayHoldDirectives(text: string): boolean {
  return /evdb/i.test(text);
}

/** The lines of one comment that speak to evdb. */
export function readDirectiveLines(
  text: string,
  { start, end }: Comment,
  isHeader: boolean,
): DirectiveLine[] {
  const comment = text.slice(start, end);
  if (!mayHoldDirectives(comment)) return [];
  const isBlock = comment.startsWith('/*');
  const lines: DirectiveLine[] = [];
  for (const { 0: whole, index } of comment.matchAll(/[^\n\r]+/g)) {
    const line = isBlock ? whole.replace(/\*+\/$/, '') : whole;
    const content = line.trim();
    const [, name, value = ''] = WRITTEN.exec(content) ?? [];
    const isWellFormed = name !== undefined;
    if (!isWellFormed && !MEANT.test(content)) continue;
    const at = start + index + line.indexOf(content);
    lines.push({
      ...{ start: at, end: at + content.length, isHeader, isWellFormed },
      ...{ name: (name ?? '').toLowerCase(), value: value.trim() },
    });
  }
  return lines;
}
