import { Graph, layout } from '@dagrejs/dagre';
import { displayWidth } from '../text/width.ts';
import type { Diagram, DiagramReference, DiagramTable } from './diagram.ts';

/** In pixels: every font with a fixed width has characters of about 0.6 of its size. */
export const METRICS = {
  character: 7.25,
  headCharacter: 7.85,
  row: 20,
  head: 28,
  padding: 10,
  keys: 30,
  gap: 18,
  group: { padding: 20, title: 26 },
} as const;

/** Longer names and types are cut, as one of them would make its table as wide as a page. */
export const MAX_CHARACTERS = 34;

export interface Place {
  x: number;
  y: number;
}

export interface Box extends Place {
  width: number;
  height: number;
}

export interface PlacedTable extends Box {
  table: DiagramTable;
}

export interface PlacedReference {
  reference: DiagramReference;
  /** From the referenced table to the one that has the key, by way of the gaps between others. */
  points: Place[];
  /** On which side of its table each end is: -1 left, 1 right. */
  startSide: Side;
  endSide: Side;
}

export type Side = -1 | 1;

export interface PlacedSchema extends Box {
  schema: string;
}

/** A diagram with a place for everything, from 0, 0. */
export interface PlacedDiagram extends Pick<Box, 'width' | 'height'> {
  tables: PlacedTable[];
  references: PlacedReference[];
  /** Empty if there is only one. */
  schemas: PlacedSchema[];
}

const BETWEEN = { tables: 26, ranks: 84, components: 36, schemas: 46 } as const;
/** As wide as nobody has to scroll. */
const SCREEN = 1390;
/** Of a drawing that fits a screen, and a page. */
const WANTED_RATIO = 1.4;

/**
 * Gives every table a place: those that are connected beside each other, from those that are
 * referenced on the left to those that reference on the right, then the rest. Several schemas each
 * keep to an area of their own.
 */
export function placeDiagram({ tables, references }: Diagram): PlacedDiagram {
  const schemas = [...new Set(tables.map(({ schema }) => schema))];
  if (schemas.length <= 1) return { ...placeTables(tables, references), schemas: [] };
  const drawing = placeConnected(tables, references, schemas);
  const boxes = schemas.map((schema) => areaOf(schema, drawing.tables));
  return { ...move(drawing, { x: 0, y: 0 }), ...extentOf(boxes), schemas: boxes };
}

function areaOf(schema: string, placed: readonly PlacedTable[]): PlacedSchema {
  const { padding, title } = METRICS.group;
  const own = placed.filter(({ table }) => table.schema === schema);
  const x = Math.min(...own.map((box) => box.x)) - padding;
  const y = Math.min(...own.map((box) => box.y)) - padding - title;
  const { width, height } = extentOf(own);
  return { schema, x, y, width: width + padding - x, height: height + padding - y };
}

/** One part of a drawing, from 0, 0. */
type Drawing = Omit<PlacedDiagram, 'schemas'>;

function placeTables(
  tables: readonly DiagramTable[],
  references: readonly DiagramReference[],
): Drawing {
  const parts = componentsOf(tables, references);
  const connected = parts.filter((part) => part.length > 1);
  const alone = parts.filter((part) => part.length === 1).flat();
  return pack([
    ...connected.map((part) => placeConnected(part, within(part, references))),
    ...(alone.length === 0 ? [] : [placeAlone(alone, within(alone, references))]),
  ]);
}

function within(tables: readonly DiagramTable[], references: readonly DiagramReference[]) {
  const keys = new Set(tables.map(({ key }) => key));
  return references.filter(({ from, to }) => keys.has(from) && keys.has(to));
}

/** Tables that references connect, the largest group first. */
function componentsOf(
  tables: readonly DiagramTable[],
  references: readonly DiagramReference[],
): DiagramTable[][] {
  const neighbours = new Map<string, string[]>(tables.map(({ key }) => [key, []]));
  for (const { from, to } of within(tables, references)) {
    neighbours.get(from)?.push(to);
    neighbours.get(to)?.push(from);
  }
  const byKey = new Map(tables.map((table) => [table.key, table]));
  const seen = new Set<string>();
  const parts: DiagramTable[][] = [];
  for (const { key } of tables) {
    if (seen.has(key)) continue;
    const reached = new Set([key]);
    for (const one of reached) for (const next of neighbours.get(one) ?? []) reached.add(next);
    for (const one of reached) seen.add(one);
    parts.push([...reached].flatMap((one) => byKey.get(one) ?? []));
  }
  return parts.toSorted((a, b) => b.length - a.length);
}

/** In how many columns tables stand that reference a common one, and that nothing references. */
const SPREADS = [1, 2, 3, 4];
/** With more, one try takes seconds. */
const TRIED_TABLES = 80;

function placeConnected(
  tables: readonly DiagramTable[],
  references: readonly DiagramReference[],
  schemas: readonly string[] = [],
): Drawing {
  const tries = tables.length < 8 || tables.length > TRIED_TABLES ? [1] : SPREADS;
  const drawings = tries.map((spread) => placeByRanks(tables, references, { spread, schemas }));
  const [best] = drawings.toSorted((a, b) => awayFromWanted(a) - awayFromWanted(b));
  return best ?? { width: 0, height: 0, tables: [], references: [] };
}

function awayFromWanted({ width, height }: Pick<Box, 'width' | 'height'>): number {
  return Math.abs(Math.log(width / height / WANTED_RATIO));
}

function placeByRanks(
  tables: readonly DiagramTable[],
  references: readonly DiagramReference[],
  { spread, schemas }: { spread: number; schemas: readonly string[] },
): Drawing {
  const graph = new Graph({ multigraph: true, compound: true });
  graph.setGraph({
    rankdir: 'LR',
    nodesep: schemas.length > 0 ? BETWEEN.schemas : BETWEEN.tables,
    edgesep: 14,
    ranksep: BETWEEN.ranks / (spread > 1 ? 1.5 : 1),
    ranker: tables.length > TRIED_TABLES ? 'tight-tree' : 'network-simplex',
  });
  graph.setDefaultEdgeLabel(() => ({}));
  const sizes = new Map(tables.map((table) => [table.key, sizeOf(table)]));
  for (const [key, size] of sizes) graph.setNode(key, { ...size });
  // A name of its own, as a schema may be called like a table.
  for (const schema of schemas) graph.setNode(`schema ${schema}`, {});
  if (schemas.length > 0) {
    for (const { key, schema } of tables) graph.setParent(key, `schema ${schema}`);
  }
  const referenced = new Set(references.map(({ to }) => to));
  const leaves = tables.filter(({ key }) => !referenced.has(key)).map(({ key }) => key);
  const others = references.filter(({ from, to }) => from !== to);
  for (const [index, { from, to }] of others.entries()) {
    const leaf = leaves.indexOf(from);
    const minlen = leaf < 0 ? 1 : 1 + (leaf % spread);
    graph.setEdge(to, from, { minlen, weight: 1 }, String(index));
  }
  layout(graph);
  const placed = new Map(
    tables.map((table): [string, PlacedTable] => {
      const size = sizes.get(table.key) ?? { width: 0, height: 0 };
      const { x, y } = graph.node(table.key) as Place;
      return [table.key, { table, ...size, x: x - size.width / 2, y: y - size.height / 2 }];
    }),
  );
  const ranks = ranksOf([...placed.values()]);
  const between = new Map(
    others.map((reference, index) => {
      const edge = graph.edge(reference.to, reference.from, String(index)) as { points: Place[] };
      return [reference, passes(edge.points.slice(1, -1), ranks)];
    }),
  );
  const drawing = {
    tables: [...placed.values()],
    references: references.map((reference) =>
      connect(reference, placed, between.get(reference) ?? []),
    ),
  };
  return { ...drawing, ...extentOf(drawing.tables) };
}

/** Half the width of the widest table of each rank, by the middle that its tables share. */
function ranksOf(tables: readonly PlacedTable[]): Map<number, number> {
  const ranks = new Map<number, number>();
  for (const table of tables) {
    const middle = Math.round(centreOf(table).x);
    ranks.set(middle, Math.max(ranks.get(middle) ?? 0, table.width / 2));
  }
  return ranks;
}

/** Where a line passes between the tables of a rank: level from one side to the other. */
function passes(points: readonly Place[], ranks: ReadonlyMap<number, number>): Place[] {
  const isForward = (points.at(-1)?.x ?? 0) >= (points[0]?.x ?? 0);
  return points.flatMap(({ x, y }) => {
    const half = ranks.get(Math.round(x));
    if (half === undefined) return [];
    const sides = [
      { x: x - half, y },
      { x: x + half, y },
    ];
    return isForward ? sides : sides.reverse();
  });
}

/** From row to row, on the sides that face the way. */
function connect(
  reference: DiagramReference,
  placed: ReadonlyMap<string, PlacedTable>,
  between: readonly Place[],
): PlacedReference {
  const start = placed.get(reference.to);
  const end = placed.get(reference.from);
  if (!start || !end) throw new Error(`${reference.name} has no ends`);
  const first = between[0] ?? centreOf(end);
  const last = between.at(-1) ?? centreOf(start);
  const isOwn = start === end;
  const startSide: Side = isOwn || first.x >= centreOf(start).x ? 1 : -1;
  const endSide: Side = !isOwn && last.x <= centreOf(end).x ? -1 : 1;
  const points = [
    { x: edgeOf(start, startSide), y: rowOf(start, reference.referencedColumns) },
    ...between,
    { x: edgeOf(end, endSide), y: rowOf(end, reference.columns) },
  ];
  return { reference, points, startSide, endSide };
}

function centreOf({ x, y, width, height }: Box): Place {
  return { x: x + width / 2, y: y + height / 2 };
}

function edgeOf({ x, width }: Box, side: Side): number {
  return side === 1 ? x + width : x;
}

/** Of the first of the columns that is shown, else of the name. */
function rowOf({ table, y }: PlacedTable, columns: readonly string[]): number {
  const row = table.columns.findIndex(({ name }) => columns.includes(name));
  return row < 0 ? y + METRICS.head / 2 : y + METRICS.head + (row + 0.5) * METRICS.row;
}

/** Columns of equal width, each table in the one that is the shortest so far. */
function placeAlone(
  tables: readonly DiagramTable[],
  references: readonly DiagramReference[],
): Drawing {
  const sizes = tables.map((table) => ({ table, ...sizeOf(table) }));
  const widest = Math.max(...sizes.map(({ width }) => width));
  const area = sizes.reduce((sum, { height }) => sum + (widest + 26) * (height + 26), 0);
  const count = Math.max(
    1,
    Math.min(tables.length, Math.round(Math.sqrt(area * WANTED_RATIO * 1.5) / (widest + 26))),
  );
  const ends = new Array<number>(count).fill(0);
  const placed = sizes
    .toSorted((a, b) => b.height - a.height)
    .map((size) => {
      const column = ends.indexOf(Math.min(...ends));
      const y = ends[column] ?? 0;
      ends[column] = y + size.height + BETWEEN.tables;
      return { ...size, x: column * (widest + BETWEEN.tables), y };
    });
  const byKey = new Map(placed.map((one) => [one.table.key, one]));
  return {
    tables: placed,
    references: references.map((reference) => connect(reference, byKey, [])),
    ...extentOf(placed),
  };
}

function extentOf(boxes: readonly Box[]): Pick<Box, 'width' | 'height'> {
  return {
    width: Math.max(0, ...boxes.map(({ x, width }) => x + width)),
    height: Math.max(0, ...boxes.map(({ y, height }) => y + height)),
  };
}

/** On shelves, one below the other. */
function pack(drawings: readonly Drawing[]): Drawing {
  const area = drawings.reduce((sum, { width, height }) => sum + width * height, 0);
  const limit = Math.max(
    ...drawings.map(({ width }) => width),
    Math.min(SCREEN, Math.sqrt(area * WANTED_RATIO) + BETWEEN.components),
  );
  let [x, y, shelf] = [0, 0, 0];
  const moved = drawings.map((drawing) => {
    if (x > 0 && x + drawing.width > limit) {
      y += shelf + BETWEEN.components;
      [x, shelf] = [0, 0];
    }
    const at = move(drawing, { x, y });
    x += drawing.width + BETWEEN.components;
    shelf = Math.max(shelf, drawing.height);
    return at;
  });
  const tables = moved.flatMap((drawing) => drawing.tables);
  const references = moved.flatMap((drawing) => drawing.references);
  return { tables, references, ...extentOf(tables) };
}

function move(drawing: Drawing, by: Place): Drawing {
  const moved = <T extends Place>(one: T): T => ({ ...one, x: one.x + by.x, y: one.y + by.y });
  return {
    ...drawing,
    tables: drawing.tables.map(moved),
    references: drawing.references.map((one) => ({ ...one, points: one.points.map(moved) })),
  };
}

/** How large a table is drawn. */
function sizeOf(table: DiagramTable): Pick<Box, 'width' | 'height'> {
  const { character, headCharacter, padding, keys, gap, row, head } = METRICS;
  const long = (text: string) => Math.min(displayWidth(text), MAX_CHARACTERS);
  const rows = table.columns.map(
    ({ name, type }) => 2 * padding + keys + gap + (long(name) + long(type) + 1) * character,
  );
  const title = 2 * padding + long(table.name) * headCharacter;
  const note = noteOf(table);
  const count = table.columns.length + (note === undefined ? 0 : 1);
  return {
    width: Math.ceil(Math.max(120, title, ...rows, 2 * padding + (note?.length ?? 0) * character)),
    height: head + count * row + (count > 0 ? 6 : 0),
  };
}

/** What is said below the columns. */
export function noteOf({ columns, hiddenColumns, partitions }: DiagramTable): string | undefined {
  const parts = [
    ...(hiddenColumns > 0
      ? [
          `${hiddenColumns}${columns.length > 0 ? ' more' : ''} column${hiddenColumns === 1 ? '' : 's'}`,
        ]
      : []),
    ...(partitions > 0 ? [`${partitions} partition${partitions === 1 ? '' : 's'}`] : []),
  ];
  return parts.length === 0 ? undefined : parts.join(', ');
}
