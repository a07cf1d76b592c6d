import { escapeXml } from '../text/markup.ts';
import { renderCount } from '../text/units.ts';
import { cutToWidth } from '../text/width.ts';
import type { DiagramColumn, DiagramReference } from './diagram.ts';
import {
  type Box,
  MAX_CHARACTERS,
  METRICS,
  noteOf,
  type Place,
  type PlacedDiagram,
  type PlacedReference,
  type PlacedTable,
  type Side,
} from './layout.ts';

const MARGIN = 24;
const LEGEND =
  'PK primary key, FK foreign key, U unique, ? may be null; a line ends in one (|) or many (<), ○ or none';
const LEGEND_SPACE = 36;
const KEYS = { 'primary key': 'PK', 'foreign key': 'FK', unique: 'U' } as const;

/** The colours of lines, by what they lead to; seen well on white and on black. */
const HUES = [212, 28, 152, 330, 268, 48, 188, 2];

/** What a drawing looks like, in light and dark, alone and in a page. */
export const DIAGRAM_STYLE = `
.evdb-diagram { --paper: #ffffff; --box: #ffffff; --head: #e9eef6; --group: #f5f7fa; --edge: #c3cad6; --ink: #1b2230; --soft: #647084; --light: 42%;
  font: 12px ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; background: var(--paper) }
@media (prefers-color-scheme: dark) {
  .evdb-diagram { --paper: #14181f; --box: #1c222c; --head: #2b3443; --group: #191e27; --edge: #465064; --ink: #e6eaf1; --soft: #97a3b6; --light: 66% }
}
.evdb-diagram text { fill: var(--ink); dominant-baseline: central }
.evdb-diagram .paper { fill: var(--paper) }
.evdb-diagram .group { fill: var(--group); stroke: var(--edge); stroke-dasharray: 4 4 }
.evdb-diagram .box { fill: var(--box); stroke: var(--edge) }
.evdb-diagram .head { fill: var(--head) }
.evdb-diagram .name { font-size: 13px; font-weight: 700 }
.evdb-diagram .schema { font-size: 14px; font-weight: 700; fill: var(--soft) }
.evdb-diagram .key { font-size: 10px; fill: var(--soft) }
.evdb-diagram .primary { font-weight: 700 }
.evdb-diagram .type, .evdb-diagram .note { fill: var(--soft) }
.evdb-diagram .type { text-anchor: end }
.evdb-diagram .reference { fill: none; stroke: hsl(var(--hue) 62% var(--light)); stroke-width: 1.4 }
.evdb-diagram .reference circle { fill: var(--paper) }`;

/** A placed diagram as SVG, which needs nothing else. */
export function renderSvg(placed: PlacedDiagram, title: string): string {
  return renderDrawing(placed, title, `<style>${DIAGRAM_STYLE}\n</style>`);
}

/** @param style stands in it, where the page around it has none */
export function renderDrawing(placed: PlacedDiagram, title: string, style = ''): string {
  const { tables, references, schemas } = placed;
  const width = Math.ceil(Math.max(placed.width, LEGEND.length * METRICS.character) + 2 * MARGIN);
  const height = Math.ceil(placed.height + LEGEND_SPACE + 2 * MARGIN);
  const count = `${renderCount(tables.length, 'table')}, ${renderCount(references.length, 'foreign key')}`;
  const hues = huesOf(references);
  const lines = [
    `<svg xmlns="http://www.w3.org/2000/svg" class="evdb-diagram" width="${width}" height="${height}" viewBox="${-MARGIN} ${-MARGIN} ${width} ${height}" role="img" aria-label="${escapeXml(`${title}: ${count}`)}">`,
    style,
    `<rect class="paper" x="${-MARGIN}" y="${-MARGIN}" width="${width}" height="${height}"/>`,
    ...schemas.map(
      (box) =>
        `<g>${renderBox('group', box, 8)}${renderText('schema', { x: box.x + 14, y: box.y + 20 }, box.schema)}</g>`,
    ),
    ...references.map((reference) => renderReference(reference, hues)),
    ...tables.map(renderTable),
    renderText('note', { x: 0, y: placed.height + LEGEND_SPACE - 8 }, LEGEND),
    '</svg>',
  ];
  return `${lines.filter((line) => line !== '').join('\n')}\n`;
}

function huesOf(references: readonly PlacedReference[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { reference } of references) {
    counts.set(reference.to, (counts.get(reference.to) ?? 0) + 1);
  }
  const byCount = [...counts].sort(([, a], [, b]) => b - a);
  return new Map(byCount.map(([key], index) => [key, HUES[index % HUES.length] ?? 0]));
}

function renderTable({ table, ...box }: PlacedTable): string {
  const { x, y, width } = box;
  const { head, padding, row } = METRICS;
  const note = noteOf(table);
  const rows = table.columns.map((column, index) =>
    renderColumn(column, { ...box, y: y + head + (index + 0.5) * row + 2 }),
  );
  const last = y + head + (table.columns.length + 0.5) * row + 2;
  return [
    `<g class="table" data-table="${escapeXml(table.key)}"><title>${escapeXml(table.key)}</title>`,
    renderBox('box', box, 5),
    // Its lower corners are covered, so that only the upper ones are round.
    `<path class="head" d="M${n(x + 0.5)} ${n(y + head)}V${n(y + 5)}q0 -4.5 4.5 -4.5H${n(x + width - 5)}q4.5 0 4.5 4.5V${n(y + head)}z"/>`,
    renderText('name', { x: x + padding, y: y + head / 2 + 1 }, cut(table.name)),
    ...rows,
    ...(note === undefined ? [] : [renderText('note', { x: x + padding, y: last }, note)]),
    '</g>',
  ].join('');
}

function renderColumn({ name, type, isNotNull, keys }: DiagramColumn, box: Box): string {
  const { padding, keys: keyWidth } = METRICS;
  const isPrimary = keys.includes('primary key');
  const key = keys.map((one) => KEYS[one]).join(' ');
  const shown = keys.length > 1 ? key.replaceAll(/([PF])K/g, '$1') : key;
  return [
    key === '' ? '' : renderText('key', { x: box.x + padding, y: box.y }, shown),
    renderText(
      isPrimary ? 'primary' : 'column',
      { x: box.x + padding + keyWidth, y: box.y },
      cut(name),
    ),
    renderText(
      'type',
      { x: box.x + box.width - padding, y: box.y },
      `${cut(type)}${isNotNull ? '' : '?'}`,
    ),
  ].join('');
}

function renderReference(placed: PlacedReference, hues: ReadonlyMap<string, number>): string {
  const { reference, points, startSide, endSide } = placed;
  const [start, end] = [points[0], points.at(-1)];
  if (!start || !end) return '';
  const from = { x: start.x + startSide * END, y: start.y };
  const to = { x: end.x + endSide * END, y: end.y };
  const way = [from, ...points.slice(1, -1), to];
  return [
    `<g class="reference" data-from="${escapeXml(reference.from)}" data-to="${escapeXml(reference.to)}" style="--hue:${hues.get(reference.to) ?? 0}"><title>${escapeXml(describe(reference))}</title>`,
    `<path d="${renderWay(way, startSide, endSide)}"/>`,
    renderOne(start, startSide, reference.isOptional),
    reference.isUnique ? renderOne(end, endSide, true) : renderMany(end, endSide),
    '</g>',
  ].join('');
}

/** How far the marks at the ends of a line reach from its table. */
const END = 16;

/** Level at both ends, and at every gap that it passes. */
function renderWay(points: readonly Place[], startSide: Side, endSide: Side): string {
  const [first, ...rest] = points;
  if (!first) return '';
  let before = first;
  let side: number = startSide;
  const parts = rest.map((point, index) => {
    const isLast = index === rest.length - 1;
    const reach = Math.max(24, Math.abs(point.x - before.x) / 2);
    const direction = point.x >= before.x ? 1 : -1;
    const leaving = before.x + (index === 0 ? side : direction) * reach;
    const arriving = point.x + (isLast ? endSide : -direction) * reach;
    side = direction;
    before = point;
    return `C${n(leaving)} ${n(rest[index - 1]?.y ?? first.y)} ${n(arriving)} ${n(point.y)} ${n(point.x)} ${n(point.y)}`;
  });
  return `M${n(first.x)} ${n(first.y)}${parts.join('')}`;
}

/** One, or none or one. */
function renderOne({ x, y }: Place, side: Side, isOptional: boolean): string {
  const line = `<path d="M${n(x)} ${n(y)}h${side * END}M${n(x + side * 5)} ${n(y - 4.5)}v9`;
  return isOptional
    ? `${line}"/><circle cx="${n(x + side * 11)}" cy="${n(y)}" r="3"/>`
    : `${line}m${side * 4} -9v9"/>`;
}

/** None or many. */
function renderMany({ x, y }: Place, side: Side): string {
  return `<path d="M${n(x)} ${n(y)}h${side * END}M${n(x)} ${n(y - 5)}L${n(x + side * 9)} ${n(y)}L${n(x)} ${n(y + 5)}"/><circle cx="${n(x + side * 12.5)}" cy="${n(y)}" r="3"/>`;
}

/** A foreign key in words: `registrations (user_id) → users (id): each has one, which may have many`. */
export function describe(reference: DiagramReference): string {
  const { from, columns, to, referencedColumns, isOptional, isUnique } = reference;
  const one = isOptional ? 'none or one' : 'one';
  const many = isUnique ? 'none or one' : 'any number';
  return `${from} (${columns.join(', ')}) → ${to} (${referencedColumns.join(', ')}): ${one}, which has ${many}`;
}

function renderBox(name: string, { x, y, width, height }: Box, radius: number): string {
  return `<rect class="${name}" x="${n(x)}" y="${n(y)}" width="${n(width)}" height="${n(height)}" rx="${radius}"/>`;
}

function renderText(name: string, { x, y }: Place, text: string): string {
  return `<text class="${name}" x="${n(x)}" y="${n(y)}">${escapeXml(text)}</text>`;
}

function cut(text: string): string {
  return cutToWidth(text, MAX_CHARACTERS);
}

function n(value: number): string {
  return String(Math.round(value * 10) / 10);
}
