import { readDistributionSql } from '../../citus/distribution.ts';
import { MODEL_SCHEMA } from '../../citus/model.ts';
import { codeOf, queryError } from '../../connection/connection-error.ts';
import { withAbortableSession } from '../../connection/inspection.ts';
import type { ConnectionOptions } from '../../connection/options.ts';
import type { Row, Session } from '../../connection/session.ts';
import type { Structure } from '../structure.ts';
import type { KindQuery } from './catalogs.ts';
import {
  BASE_TYPES,
  COLLATIONS,
  CONVERSIONS,
  DOMAINS,
  ENUMS,
  OPERATOR_CLASSES,
  OPERATOR_FAMILIES,
  OPERATORS,
  RANGES,
  TEXT_SEARCH_CONFIGURATIONS,
  TEXT_SEARCH_DICTIONARIES,
  TEXT_SEARCH_PARSERS,
  TEXT_SEARCH_TEMPLATES,
} from './data-types.ts';
import {
  ACCESS_METHODS,
  AGGREGATES,
  CASTS,
  DEFAULT_PRIVILEGES,
  EVENT_TRIGGERS,
  EXTENSIONS,
  FOREIGN_DATA_WRAPPERS,
  LANGUAGES,
  PUBLICATIONS,
  ROUTINES,
  SCHEMAS,
  SERVERS,
  TRANSFORMS,
  USER_MAPPINGS,
} from './database.ts';
import { makeObjects, type QueryResult } from './objects.ts';
import {
  COMMENTS,
  DEPENDENCIES,
  EXTENSION_TIES,
  FOREIGN_PRIVILEGES,
  PRIVILEGES,
  ROLES,
  STAND_INS,
  UNSAID_NAMES,
} from './privileges.ts';
import {
  COLUMNS,
  CONSTRAINTS,
  INDEXES,
  POLICIES,
  RELATIONS,
  RULES,
  SEQUENCES,
  STATISTICS,
  TRIGGERS,
} from './relations.ts';

const INTERNAL_ERROR = 'XX000';

/** What the order of the list is, so is the order of the structure. */
const QUERIES: readonly KindQuery[] = [
  ...[SCHEMAS, EXTENSIONS, LANGUAGES, ACCESS_METHODS],
  ...[FOREIGN_DATA_WRAPPERS, SERVERS, USER_MAPPINGS],
  ...[COLLATIONS, CONVERSIONS, ENUMS, DOMAINS, RANGES, BASE_TYPES],
  ...[TEXT_SEARCH_PARSERS, TEXT_SEARCH_TEMPLATES],
  ...[TEXT_SEARCH_DICTIONARIES, TEXT_SEARCH_CONFIGURATIONS],
  ...[ROUTINES, AGGREGATES, OPERATORS, OPERATOR_FAMILIES, OPERATOR_CLASSES, CASTS, TRANSFORMS],
  ...[SEQUENCES, RELATIONS, COLUMNS, CONSTRAINTS, INDEXES, STATISTICS],
  ...[RULES, TRIGGERS, POLICIES, EVENT_TRIGGERS, PUBLICATIONS, DEFAULT_PRIVILEGES],
];

/** Which schemas are read. */
export interface ReadStructureOptions {
  /** The PostgreSQL schemas to read; default: all, and what belongs to no schema. */
  schemas?: readonly string[] | undefined;
  /** Schemas to leave out, such as the ledger's; default `['evdb']`. */
  exceptSchemas?: readonly string[] | undefined;
  /** Whether owners are read too; default false, because roles differ from server to server. */
  owners?: boolean | undefined;
  /** Whether to read what the session's transaction sees, which goes on; default false: in one of its own. */
  isInTransaction?: boolean | undefined;
}

/**
 * Reads the structure of a database: everything in the given schemas that does not belong to an
 * extension, with comments and privileges, as plain data that is the same for the same structure,
 * regardless of oids and of who created it. About forty statements, sent together, in one snapshot.
 *
 * Values that may be secrets (passwords in options of foreign servers and user mappings) are left
 * out on the server. If single schemas are read, only those objects without a schema are included
 * that belong to them: extensions that they need, casts of their types, event triggers with their
 * functions, publications of their tables, servers of their foreign tables.
 *
 * @throws {EvdbError} PERMISSION_DENIED, QUERY_FAILED, CONNECTION_LOST; LOCK_TIMEOUT if another
 *   session changes what is read for longer than ten seconds
 * @example
 * const { objects } = await readStructure(session, { schemas: ['public'] });
 */
export async function readStructure(
  session: Session,
  {
    schemas,
    exceptSchemas = ['evdb'],
    owners = false,
    isInTransaction = false,
  }: ReadStructureOptions = {},
): Promise<Structure> {
  const version = session.facts.serverVersion;
  const context = { scope: { schemas, exceptSchemas: [...exceptSchemas, MODEL_SCHEMA] }, version };
  try {
    const distributionSql = await readDistributionSql(session);
    const queries = [
      ...QUERIES.map((query) => query.sql(context)),
      ...[COMMENTS, PRIVILEGES, FOREIGN_PRIVILEGES(context), EXTENSION_TIES],
      ...[DEPENDENCIES, STAND_INS, UNSAID_NAMES, ROLES],
      ...(distributionSql === undefined ? [] : [distributionSql]),
    ];
    const results = isInTransaction
      ? await runAll(session, queries, IN_TRANSACTION)
      : await runInSnapshot(session, queries);
    const kinds: QueryResult[] = QUERIES.map((query, index) => ({
      query,
      rows: results[index] ?? [],
    }));
    const [comments = [], privileges = [], foreignPrivileges = [], extensionTies = [], ...rest] =
      results.slice(QUERIES.length);
    const [dependencies = [], standIns = [], unsaidNames = [], roles = [], ...more] = rest;
    const [distributions = []] = more;
    const shared = {
      ...{ comments, privileges, foreignPrivileges, extensionTies },
      ...{ dependencies, standIns, unsaidNames, roles, distributions },
    };
    const { objects, searchPath } = makeObjects(kinds, shared, owners);
    const read = objects.filter(({ kind }) => kind === 'schema').map(({ own }) => own);
    return { serverVersion: version, schemas: read.sort(), searchPath, objects };
  } catch (error) {
    throw queryError(error);
  }
}

/** So often what somebody changed meanwhile is read again. */
const TRIES = 3;

/**
 * The rows of queries on the catalogs, sent in one go, in one snapshot. The functions that word
 * definitions look at the catalogs of the moment, not of the snapshot: what was dropped meanwhile
 * is an internal error to them, and read again.
 */
export async function runInSnapshot(
  session: Session,
  queries: string[],
  tries = TRIES,
): Promise<Row[][]> {
  try {
    return await runAll(session, queries);
  } catch (error) {
    if (codeOf(error) !== INTERNAL_ERROR || tries === 1) throw error;
    return runInSnapshot(session, queries, tries - 1);
  }
}

const OWN_TRANSACTION = {
  begin: 'begin isolation level repeatable read read only',
  end: 'rollback',
};

/** Rolling back to the savepoint brings the settings back. */
const IN_TRANSACTION = {
  begin: 'savepoint evdb_structure',
  end: 'rollback to savepoint evdb_structure; release savepoint evdb_structure',
};

/** A database may have settings of its own, which change how PostgreSQL writes values and expressions. */
const PLAIN_TEXT = `set local quote_all_identifiers = off; set local standard_conforming_strings = on; set local timezone = 'UTC'; set local datestyle = 'ISO'; set local intervalstyle = 'postgres'; set local extra_float_digits = 1; set local bytea_output = 'hex'`;

/**
 * One snapshot for all, and an empty search path, so that PostgreSQL qualifies every name. What was
 * sent behind a failed statement fails too; the first failure is the one that tells.
 */
async function runAll(
  session: Session,
  queries: string[],
  { begin, end } = OWN_TRANSACTION,
): Promise<Row[][]> {
  const sent = [
    session.run(
      `${begin}; set local search_path = ''; set local lock_timeout = '10s'; ${PLAIN_TEXT}`,
    ),
    ...queries.map((query) => session.run(query)),
  ];
  const settled = await Promise.allSettled(sent);
  if (!session.isClosed) await session.run(end).catch(() => undefined);
  return settled.slice(1).map((result, index) => {
    const failed = [settled[0], result][settled[0]?.status === 'rejected' ? 0 : 1];
    if (failed?.status === 'rejected') throw Object.assign(failed.reason, { statement: index });
    return (result as PromiseFulfilledResult<Row[]>).value;
  });
}

/** Which schemas are read, and when to stop. */
export interface ReadDatabaseStructureOptions extends ReadStructureOptions {
  /** Ends the reading, and throws its reason. */
  signal?: AbortSignal | undefined;
}

/**
 * `readStructure` on a separate session.
 *
 * @throws {EvdbError} those of `pingDatabase` and `readStructure`
 * @example
 * const structure = await readDatabaseStructure(connection, { schemas: ['public'] });
 */
export async function readDatabaseStructure(
  connection: ConnectionOptions,
  { signal, ...options }: ReadDatabaseStructureOptions = {},
): Promise<Structure> {
  return withAbortableSession(connection, { signal }, (session) =>
    readStructure(session, options).catch((error: unknown) => {
      throw queryError(error);
    }),
  );
}
