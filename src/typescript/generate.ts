import { withAbortableSession } from '../connection/inspection.ts';
import type { ConnectionOptions } from '../connection/options.ts';
import type { Session } from '../connection/session.ts';
import { type MigrationsRunOptions, withMigrationsRun } from '../migrate/checks/drift.ts';
import { harmlessJson } from '../text/harmless.ts';
import { readTypeCatalog } from './read.ts';
import { renderTypes, type TypesStyle } from './render.ts';

/** What types are made from, and how. */
export interface GenerateTypesOptions
  extends Pick<
    MigrationsRunOptions,
    'directory' | 'ledgerSchema' | 'searchPath' | 'embeddedDirectory' | 'onScratch' | 'signal'
  > {
  /**
   * The database to read, or on whose server the migrations are run; default: the embedded server.
   */
  connection?: ConnectionOptions | undefined;
  /**
   * `live` reads the database, `migrations` runs those of the folder in a scratch database;
   * default: `live` with a connection, otherwise `migrations`.
   */
  source?: TypesSource | undefined;
  /**
   * The PostgreSQL schemas to describe; names of the first have no prefix. Default `['public']`.
   */
  schemas?: readonly string[] | undefined;
  /** Plain interfaces, or the types that Kysely reads; default `interfaces`. */
  style?: TypesStyle | undefined;
  /** The command that the first line names; default `evdb types` with the chosen options. */
  command?: string | undefined;
}

/** Where types come from. */
export type TypesSource = 'live' | 'migrations';

/** The types of a database. */
export interface GeneratedTypes {
  source: TypesSource;
  style: TypesStyle;
  schemas: string[];
  counts: {
    tables: number;
    views: number;
    enums: number;
    domains: number;
    composites: number;
    functions: number;
  };
  /** The file of TypeScript. */
  code: string;
}

/**
 * Writes the types of a database in TypeScript: tables, views, enums, domains, composite types and
 * functions, with values as `DatabasePool` returns them. The same structure gives the same text.
 *
 * @throws {EvdbError} TARGET_SCHEMA if a schema is missing, and those of `pingDatabase`,
 *   `readStructure` and `readStructureOf`
 * @example
 * const { code } = await generateTypes({ connection, directory: 'migrations', style: 'kysely' });
 */
export async function generateTypes(options: GenerateTypesOptions): Promise<GeneratedTypes> {
  const { connection, signal, style = 'interfaces', schemas = ['public'] } = options;
  const source = options.source ?? (connection === undefined ? 'migrations' : 'live');
  const read = (session: Session) => readTypeCatalog(session, schemas);
  const catalog =
    source === 'live' && connection !== undefined
      ? await withAbortableSession(connection, { signal }, read)
      : await withMigrationsRun({ ...options, schema: schemas[0] }, read);
  const command = options.command ?? commandOf(style, schemas);
  const { relations, types, functions } = catalog;
  const countRelations = (...kinds: string[]) =>
    relations.filter(({ kind }) => kinds.includes(kind)).length;
  const countTypes = (wanted: string) =>
    [...types.values()].filter(({ kind, isListed }) => isListed && kind === wanted).length;
  return {
    ...{ source, style, schemas: catalog.schemas },
    counts: {
      tables: countRelations('table'),
      views: countRelations('view', 'materialized view'),
      enums: countTypes('enum'),
      domains: countTypes('domain'),
      composites: countRelations('composite type'),
      functions: functions.length,
    },
    code: renderTypes(catalog, style, command),
  };
}

/** Not as evdb was called here: the file is the same whoever writes it. */
function commandOf(style: TypesStyle, schemas: readonly string[]): string {
  const isDefault = schemas.length === 1 && schemas[0] === 'public';
  return [
    ...['evdb', 'types'],
    ...(style === 'interfaces' ? [] : [`--style ${style}`]),
    ...(isDefault ? [] : schemas.map((name) => `--schema ${quoteWord(name)}`)),
  ].join(' ');
}

/** It stands in a comment of one line. */
function quoteWord(name: string): string {
  return /^\w+$/.test(name) ? name : harmlessJson(JSON.stringify(name));
}
