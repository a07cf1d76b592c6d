import type { Session } from '../connection/session.ts';
import { loadParser, type SqlParser } from '../sql/parser.ts';
import { type Catalog, createCatalog } from './catalog.ts';
import { readConstraints } from './read-constraints.ts';
import { readIndexes } from './read-indexes.ts';
import { readRelations } from './read-relations.ts';
import { readRoutines, readTriggers } from './read-routines.ts';
import { readTypes } from './read-types.ts';
import { readViews } from './read-views.ts';

export interface ReadCatalogOptions {
  /** Where unqualified names are looked for; default `public`. */
  searchPath?: readonly string[] | undefined;
  /** Default: the one of `loadParser()`. It reads the checks. */
  parser?: SqlParser | undefined;
}

/**
 * Reads what a database holds, without the system's own schemas and what belongs to other sessions.
 * How big it is `readSizes` tells.
 *
 * A few queries over all, whatever the number of tables. Outside of a transaction they may see
 * changes between them.
 */
export async function readCatalog(
  session: Session,
  options: ReadCatalogOptions = {},
): Promise<Catalog> {
  const catalog = createCatalog(options.searchPath);
  catalog.isComplete = true;
  const parser = options.parser ?? (await loadParser());
  // Each sends its queries at once, so that the server works while we read what it has answered.
  const relations = readRelations(session, catalog);
  await Promise.all([
    readTypes(session, catalog, parser),
    readIndexes(session, catalog, relations),
    readConstraints(session, relations, parser),
    readViews(session, relations),
    readRoutines(session, catalog),
    readTriggers(session, relations),
  ]);
  return catalog;
}
