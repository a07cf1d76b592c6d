import { queryError } from '../connection/connection-error.ts';
import { describeUser, type Session } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import { writeDate } from '../pool/date-text.ts';
import { quoteIdent, quoteLiteral } from '../sql/quote.ts';
import { commandLine } from '../text/command-line.ts';

/** The PostgreSQL schema in which the event schema is installed. */
export interface EventSchemaTarget {
  /** The PostgreSQL schema that the event schema is installed in; default `public`. */
  schema?: string | undefined;
}

/** What a task uses of the event schema. */
export interface SchemaNeed {
  /** Functions, each with the parameters that it must have. */
  functions: Record<string, readonly string[]>;
  /** Who may: a function of migration 016 that grants it, or nobody but the owner. */
  access: 'application' | 'read-only' | 'audit' | 'owner';
}

/** Whatever gives a statement its rows: a pool, a transaction, or the event schema of a session. */
export interface Answering {
  query<T>(text: string, params?: readonly unknown[]): Promise<{ rows: T[] }>;
}

/** The event schema as one session reaches it. */
export interface InstalledEventSchema extends Answering {
  readonly schema: string;
  /** The schema before the name of what is in it: quoted, with its dot. */
  readonly prefix: string;
  /**
   * Runs one statement, also behind a pooler. Values go as text, because the driver has its own way
   * to write times and flags: give each `$1` its cast. What is undefined is null.
   */
  query<T>(text: string, params?: readonly unknown[]): Promise<{ rows: T[] }>;
}

/**
 * Runs work that calls functions of the event schema, once it is sure that they are there.
 *
 * @throws {EvdbError} EVENT_SCHEMA_MISSING where the schema does not have them; PERMISSION_DENIED
 *   with the grant that helps; what the server raises, as `queryError`
 */
export async function onEventSchema<T>(
  session: Session,
  { schema = 'public' }: EventSchemaTarget,
  need: SchemaNeed,
  work: (installed: InstalledEventSchema) => Promise<T>,
): Promise<T> {
  try {
    await requireFunctions(session, schema, need);
    return await work({
      schema,
      prefix: `${quoteIdent(schema)}.`,
      query: async <Row>(text: string, params: readonly unknown[] = []) => ({
        rows: (await session.query(text, params.map(asText), false)) as unknown as Row[],
      }),
    });
  } catch (error) {
    throw withGrant(queryError(error), session, schema, need);
  }
}

function asText(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (!(value instanceof Date)) return String(value);
  if (!Number.isNaN(value.getTime())) return writeDate(value);
  throw new EvdbError('USAGE', 'a time is an invalid Date', {
    hint: 'Pass a Date that holds a time, or leave the option out.',
  });
}

/** By name and not by `to_regprocedure`, which asks for privileges on the schema. */
const FUNCTIONS = `
select p.proname as "name", pg_catalog.to_json(p.proargnames) as "parameters"
from pg_catalog.pg_proc p
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
where n.nspname = $1 and p.proname = any ($2::text[])`;

const EVENTS_TABLE = `
select from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1 and c.relname = 'events'`;

async function requireFunctions(
  session: Session,
  schema: string,
  { functions }: SchemaNeed,
): Promise<void> {
  const names = Object.keys(functions);
  const rows = await session.query(FUNCTIONS, [schema, `{${names}}`], false);
  const found = rows as unknown as { name: string; parameters: string[] | null }[];
  const missing = names.filter((name) => {
    const known = found.find((one) => one.name === name);
    return !known || (functions[name] ?? []).some((one) => !known.parameters?.includes(one));
  });
  if (missing.length === 0) return;
  const isInstalled = (await session.query(EVENTS_TABLE, [schema], false)).length > 0;
  throw schemaMissing(session, schema, missing, isInstalled && found.length > 0);
}

function schemaMissing(
  { options }: Session,
  schema: string,
  missing: string[],
  isOld: boolean,
): EvdbError {
  const up = commandLine('migrate up', schema === 'public' ? {} : { schema });
  const lacking = missing.map((name) => `${name}()`).join(', ');
  const details = { database: options.database, schema, missing };
  if (isOld) {
    return new EvdbError(
      'EVENT_SCHEMA_MISSING',
      `the event schema in "${schema}" is too old: it lacks ${lacking}`,
      { hint: `Apply the migrations that are pending: ${up}`, details },
    );
  }
  return new EvdbError(
    'EVENT_SCHEMA_MISSING',
    `schema "${schema}" of database "${options.database}" does not hold the event schema`,
    {
      hint: `Install it: ${up} (in a new project: ${commandLine('init')} first). If it is in another schema, name that one with --schema.`,
      details,
    },
  );
}

/**
 * Tells that the event schema is missing by the server's error, for calls that are not worth a look
 * beforehand; any other error stays as it is.
 */
export function schemaMissingOr(error: unknown): unknown {
  if (!saysMissing(error)) return error;
  return new EvdbError(
    'EVENT_SCHEMA_MISSING',
    'the database does not hold the registration functions of the event schema',
    {
      hint: `Apply the migrations: ${commandLine('migrate up')} (in a new project: ${commandLine('init')} first). Where they are in another schema, name it with the option schema.`,
      cause: error,
      details: error instanceof EvdbError ? error.details : {},
    },
  );
}

/** No such function, no such schema; with a context it is something inside of ours that is missing. */
function saysMissing(error: unknown): boolean {
  const said = (error instanceof EvdbError ? error.cause : error) as {
    code?: string;
    where?: string;
  };
  return (said?.code === '42883' || said?.code === '3F000') && said.where === undefined;
}

function withGrant(
  error: unknown,
  { facts }: Session,
  schema: string,
  { access }: SchemaNeed,
): unknown {
  if (!(error instanceof EvdbError) || error.code !== 'PERMISSION_DENIED') return error;
  return new EvdbError('PERMISSION_DENIED', `${error.message} (${describeUser(facts)})`, {
    hint: grantHint(access, schema, facts.user),
    cause: error,
    details: error.details,
  });
}

function grantHint(access: SchemaNeed['access'], schema: string, role: string): string {
  if (access === 'owner') return 'This is for the owner of the event schema: connect as that role.';
  const call = access === 'application' ? 'grant_application_access' : 'grant_read_only_access';
  const rest = access === 'audit' ? ', true' : '';
  // Plain quotes are enough for people, but must hold where the name has one.
  const literal = /^[\x20-\x7e]*$/.test(role)
    ? `'${role.replaceAll("'", "''")}'`
    : quoteLiteral(role);
  return `As the owner of the tables: select ${quoteIdent(schema)}.${call}(${literal}${rest})`;
}
