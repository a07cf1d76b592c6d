import type { Cell, Column } from './table.ts';

/** Characters that Markdown would take for its own. */
const MARKUP = /[\\|*<`]/g;

/** A table as GitHub and GitLab show it, for tickets and pull requests. */
export function renderMarkdownTable(columns: Column[], rows: Cell[][]): string {
  const line = (texts: string[]) => `| ${texts.join(' | ')} |`;
  return [
    line(columns.map(({ title }) => escapeMarkup(title))),
    line(columns.map(({ align }) => (align === 'right' ? '---:' : '---'))),
    ...rows.map((row) => line(row.map(({ text }) => escapeMarkup(text)))),
  ].join('\n');
}

function escapeMarkup(text: string): string {
  return text.replace(MARKUP, '\\$&');
}
