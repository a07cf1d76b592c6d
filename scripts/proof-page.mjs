// The sections of docs/proof.md that proofs write, each between comments with its name.
import { readFileSync, writeFileSync } from 'node:fs';

const PAGE = 'docs/proof.md';

/** @returns what stands in the section, and the page before and after it */
function findSection(name) {
  const [begin, end] = [`<!-- proof: ${name} -->`, `<!-- /proof: ${name} -->`];
  const text = readFileSync(PAGE, 'utf8');
  const [from, to] = [text.indexOf(begin) + begin.length, text.indexOf(end)];
  return { before: text.slice(0, from), body: text.slice(from, to).trim(), after: text.slice(to) };
}

export function readSection(name) {
  return findSection(name).body;
}

export function writeSection(name, body) {
  const { before, after } = findSection(name);
  writeFileSync(PAGE, `${before}\n\n${body}\n\n${after}`);
}

/** In Markdown: the first column to the left, the others to the right. */
export function renderTable(head, rows) {
  const table = [head, ...rows];
  const widths = head.map((_, at) => Math.max(...table.map((row) => row[at].length)));
  const line = (row) =>
    `| ${row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at]) : cell.padStart(widths[at]))).join(' | ')} |`;
  const rule = `| ${widths.map((width, at) => (at === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`;
  return [line(head), rule, ...rows.map(line)].join('\n');
}

/** The rows of such a table, without its head. */
export function readTable(markdown) {
  const lines = markdown.split('\n').filter((line) => line.startsWith('|'));
  return lines.slice(2).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}
