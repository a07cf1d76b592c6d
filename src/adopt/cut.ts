import type { Statement } from '../sql/statements.ts';

/** Without blank lines at the beginning, and with one line end at the end. */
export function trimLines(text: string): string {
  return `${text.replace(/^(?:[ \t]*\n)+/, '').trimEnd()}\n`;
}

/** The text without these statements of it, which stand in its order. */
export function cutStatements(text: string, statements: readonly Statement[]): string {
  return statements.reduceRight(cut, text);
}

/** With its semicolon, and with its line where nothing else stands there. */
function cut(text: string, { start, end }: Statement): string {
  const semicolon = /^\s*;/.exec(text.slice(end))?.[0].length ?? 0;
  const before = text.slice(0, start);
  const after = text.slice(end + semicolon);
  const isAlone = /(^|\n)[ \t]*$/.test(before) && /^[ \t]*(\n|$)/.test(after);
  return isAlone ? before.replace(/[ \t]*$/, '') + after.replace(/^[ \t]*\n?/, '') : before + after;
}
