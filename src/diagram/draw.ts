import { readFileSync } from 'node:fs';
import { type Catalog, createCatalog } from '../catalog/catalog.ts';
import { readCatalog } from '../catalog/read/catalog.ts';
import { replayStatement } from '../catalog/replay/replay.ts';
import { withAbortableSession } from '../connection/inspection.ts';
import { EvdbError } from '../errors.ts';
import {
  type MigrationsRunOptions,
  type StructureSource,
  withMigrationsRun,
} from '../migrate/checks/drift.ts';
import { loadSqlParser } from '../sql/parser.ts';
import { splitStatements } from '../sql/statements.ts';
import { type Diagram, type DiagramSelection, diagramOf } from './diagram.ts';
import { renderMermaid } from './mermaid.ts';

/** `mermaid` is text for Markdown; `svg` and `html` are drawn, and need nothing else to be shown. */
export type DiagramFormat = 'mermaid' | 'svg' | 'html';

/** What to draw, and how. */
export interface DrawDiagramOptions extends MigrationsRunOptions, DiagramSelection {
  /**
   * The database, the migrations, run in a scratch database, or a dump, which is only read; default:
   * the database.
   */
  source?: Exclude<StructureSource, { kind: 'applied' }> | undefined;
  /** Default `mermaid`. */
  format?: DiagramFormat | undefined;
  /** Default: the name of the database, or `Schema`. */
  title?: string | undefined;
}

/** A diagram with its text. */
export interface DrawnDiagram extends Diagram {
  format: DiagramFormat;
  text: string;
}

/**
 * Draws the tables of a database with their keys and how many rows may reference how many. Partitions
 * count for their table; what views read is left out. The same structure gives the same text.
 *
 * @throws {EvdbError} USAGE if no table matches; FILE_UNREADABLE; those of `pingDatabase`
 * @example
 * const { text } = await drawDiagram({ connection, directory: 'migrations', format: 'svg' });
 */
export async function drawDiagram(options: DrawDiagramOptions): Promise<DrawnDiagram> {
  const { format = 'mermaid', tables } = options;
  const diagram = diagramOf(await readSource(options), options);
  if (diagram.tables.length === 0 && tables !== undefined) {
    throw new EvdbError('USAGE', `no table matches ${tables.join(', ')}`, {
      hint: 'Write names, qualified or not; * matches any text.',
    });
  }
  return { ...diagram, format, text: await render(diagram, options) };
}

async function render(diagram: Diagram, options: DrawDiagramOptions): Promise<string> {
  const { format = 'mermaid', title = options.connection?.database ?? 'Schema' } = options;
  if (format === 'mermaid') return `${renderMermaid(diagram)}\n`;
  // What gives everything its place is needed by these alone.
  const { placeDiagram } = await import('./layout.ts');
  const placed = placeDiagram(diagram);
  if (format === 'svg') {
    const { renderSvg } = await import('./svg.ts');
    return renderSvg(placed, title);
  }
  const { renderPage } = await import('./page.ts');
  return renderPage(placed, title);
}

async function readSource(options: DrawDiagramOptions): Promise<Catalog> {
  const { source = { kind: 'live' }, connection, signal } = options;
  if (source.kind === 'file') return readDump(source.path);
  if (source.kind === 'migrations') {
    return withMigrationsRun(options, (session) => readCatalog(session));
  }
  if (connection === undefined) {
    throw new EvdbError('USAGE', 'there is no database to draw', {
      hint: 'Give a connection, or another source.',
    });
  }
  return withAbortableSession(connection, { signal }, (session) => readCatalog(session));
}

/** What is in a dump stands there in full, so that no server has to run it. */
async function readDump(path: string): Promise<Catalog> {
  const parser = await loadSqlParser();
  const catalog = createCatalog();
  for (const { text } of splitStatements(readText(path))) {
    const tree = parser.parse(text);
    if (tree) replayStatement(catalog, tree, text);
  }
  return catalog;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new EvdbError('FILE_UNREADABLE', `${path} cannot be read: ${(cause as Error).message}`, {
      hint: 'Name a file that you may read.',
      cause,
    });
  }
}
