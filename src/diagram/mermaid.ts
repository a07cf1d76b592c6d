import { harmlessCharacter } from '../text/harmless.ts';
import type { Diagram, DiagramColumn, DiagramTable } from './diagram.ts';

const KEYS = { 'primary key': 'PK', 'foreign key': 'FK', unique: 'UK' } as const;

/** A diagram as Mermaid's `erDiagram`, as GitHub, GitLab and editors draw it from Markdown. */
export function renderMermaid({ tables, references }: Diagram): string {
  const schemas = [...new Set(tables.map(({ schema }) => schema))];
  const ids = idsOf(tables);
  const label = ({ schema, name }: DiagramTable) =>
    schemas.length > 1 ? `${schema}.${name}` : name;
  const id = (key: string) => ids.get(key) ?? key;
  const lines = schemas.flatMap((schema) => [
    ...(schemas.length > 1 ? [`%% schema ${oneLine(schema)}`] : []),
    ...tables
      .filter((table) => table.schema === schema)
      .flatMap((table) => renderTable(table, id(table.key), label(table))),
  ]);
  const links = references.map(({ from, to, columns, isOptional, isUnique }) => {
    const ends = `${isOptional ? '|o' : '||'}--${isUnique ? 'o|' : 'o{'}`;
    return `${id(to)} ${ends} ${id(from)} : "${quoted(columns.join(', '))}"`;
  });
  return ['erDiagram', ...[...lines, ...links].map((line) => `    ${line}`)].join('\n');
}

/** Names that Mermaid takes without quotes, each once. */
function idsOf(tables: readonly DiagramTable[]): Map<string, string> {
  const isAlone = new Set(tables.map(({ schema }) => schema)).size === 1;
  const taken = new Set<string>();
  return new Map(
    tables.map(({ key, schema, name }) => {
      const plain = toWord(isAlone ? name : `${schema}_${name}`);
      let id = plain;
      for (let count = 2; taken.has(id); count++) id = `${plain}_${count}`;
      taken.add(id);
      return [key, id];
    }),
  );
}

function renderTable(table: DiagramTable, id: string, label: string): string[] {
  const { columns, hiddenColumns, partitions } = table;
  const folded = partitions > 0 ? ` (${partitions} partitions)` : '';
  const title = `${label}${folded}`;
  const head = title === id ? id : `${id}["${quoted(title)}"]`;
  if (columns.length === 0) return [head];
  return [
    `${head} {`,
    ...columns.map((column) => `    ${renderColumn(column)}`),
    ...(hiddenColumns > 0 ? [`    %% and ${hiddenColumns} more`] : []),
    '}',
  ];
}

function renderColumn({ name, type, isNotNull, keys }: DiagramColumn): string {
  const word = toWord(name);
  const notes = [...(word === name ? [] : [name]), ...(isNotNull ? [] : ['may be null'])];
  return [
    toWord(type, '()[]-'),
    word,
    keys.map((key) => KEYS[key]).join(', '),
    notes.length === 0 ? '' : `"${quoted(notes.join(': '))}"`,
  ]
    .filter((part) => part !== '')
    .join(' ');
}

/** With a letter in front, and nothing that Mermaid would read as its own. */
function toWord(text: string, also = ''): string {
  const kept = [...text]
    .map((character) => (/\w/.test(character) || also.includes(character) ? character : '_'))
    .join('');
  return /^[a-z_]/i.test(kept) ? kept : `_${kept}`;
}

function quoted(text: string): string {
  return oneLine(text).replaceAll('"', "'");
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').replace(/./gsu, harmlessCharacter);
}
