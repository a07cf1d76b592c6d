import type { Config } from '../config/resolve.ts';
import { withWriting } from '../connection/inspection.ts';
import type { ConnectionOptions } from '../connection/options.ts';
import type { Session } from '../connection/session.ts';
import { dropDatabase, ensureDatabase, withOwnDatabase } from '../database/database.ts';
import { EvdbError } from '../errors.ts';
import { migrateUp } from '../migrate/checks/up.ts';
import { migrateOptionsOf } from '../migrate/options.ts';
import { readStatus } from '../migrate/plan/status.ts';
import { quoteIdent, quoteLiteral } from '../sql/quote.ts';
import { sameCommand } from '../text/command-line.ts';
import {
  digestOfScript,
  isSimpleName,
  loadScript,
  readScriptFacts,
  recallScript,
  rememberScript,
} from './member-script.ts';
import { readMemberStructure } from './member-structure.ts';
import { tryMigrations } from './script-trial.ts';

/** A member that is added or removed. */
export interface TenantOptions {
  /** What it is: a schema of a database, or a database of its own. */
  kind: 'schema' | 'database';
  /** Its settings: its database and schema. */
  config: Config;
  /** The environment that the history's provenance is read from; default `process.env`. */
  env?: NodeJS.ProcessEnv | undefined;
  /** Ends the work; what was made is dropped again. Default: nothing does. */
  signal?: AbortSignal | undefined;
}

/** How a member is made. */
export interface AddTenantOptions extends TenantOptions {
  /** A clean database to copy, with everything applied; default: the migrations are applied. */
  template?: string | undefined;
  /**
   * Whether a schema may be made by one script that makes what the migrations make, which is found out
   * behind the first schema of a day; default true.
   */
  scripted?: boolean | undefined;
  /** The folder in which that script is kept, such as `.evdb`; default: in memory only. */
  scriptDirectory?: string | undefined;
}

/** What was made. */
export interface AddedTenant {
  kind: TenantOptions['kind'];
  database: string;
  schema: string;
  from: 'migrations' | 'script' | 'template';
  /** Why the migrations were applied although there may be a script, as a clause; absent where no one knows yet. */
  reason?: string;
  /** How many migrations are applied in it. */
  migrations: number;
  durationMs: number;
}

/**
 * Makes a member: a schema or a database with every migration applied. A database that is copied from a
 * template is proved to be what the template is, and that nothing is pending in it. A schema is made by one
 * script where the migrations make nothing but the structure of their schema: its structure is read before
 * the commit and must be equal; else, and the first time, the migrations are applied. What cannot be made
 * whole is dropped again.
 *
 * @throws {EvdbError} TARGET_SCHEMA where there is something already, TEMPLATE_UNFIT for a template that is in
 *   use, behind, or not what was copied, and those of `migrateUp`
 * @example
 * const { migrations } = await addTenant({ kind: 'schema', config: { ...config, schema: 'tenant_z' } });
 */
export async function addTenant(options: AddTenantOptions): Promise<AddedTenant> {
  const startedAt = performance.now();
  const { kind, config, template } = options;
  const connection = connectionOf(config);
  const { schema } = config;
  if (kind === 'schema' && template !== undefined) throw schemaTemplate();
  const added =
    kind === 'schema'
      ? await addSchema(options, connection)
      : await addDatabase(options, connection);
  const { prepare, ...how } = added;
  const durationMs = performance.now() - startedAt;
  await prepare?.();
  return { ...{ kind, database: connection.database, schema }, ...how, durationMs };
}

function schemaTemplate(): EvdbError {
  return new EvdbError('USAGE', 'a schema is not made from a template', {
    hint: 'Leave out the template: a schema is made from the migrations.',
  });
}

interface Added extends Pick<AddedTenant, 'from' | 'migrations' | 'reason'> {
  /** Makes ready what makes the next one faster. */
  prepare?: () => Promise<void>;
}

async function addSchema(options: AddTenantOptions, connection: ConnectionOptions): Promise<Added> {
  const { config, env = process.env, signal, scripted = true, scriptDirectory } = options;
  const { schema, ledgerSchema } = config;
  const settings = { ...migrateOptionsOf(config, env), connection, signal };
  const { isTaken, isSimple, facts } = await withWriting(connection, async (session) => ({
    isTaken: await existsSchema(session, schema),
    isSimple: scripted && (await isSimpleName(session, schema)),
    facts: scripted ? await readScriptFacts(session) : {},
  }));
  if (isTaken) throw taken(`the schema "${schema}" of database "${connection.database}"`);
  const digest = digestOfScript(settings, facts);
  const place = { options: settings, directory: scriptDirectory };
  const known = isSimple ? recallScript(digest, settings, scriptDirectory) : undefined;
  let reason = isSimple || !scripted ? undefined : `the name ${schema} needs quotes`;
  try {
    if (known && 'script' in known) {
      reason = await loadScript(known.script, settings);
      if (reason === undefined) return { from: 'script', migrations: known.script.entries.length };
      rememberScript(digest, undefined, place);
    }
    if (known && 'refusal' in known) reason = known.refusal;
    const { steps } = await migrateUp(settings);
    const prepare = async () =>
      rememberScript(digest, await tryMigrations(settings, schema), place);
    const isToTry = isSimple && known === undefined;
    return {
      ...{ from: 'migrations' as const, migrations: steps.length },
      ...(reason !== undefined && { reason }),
      ...(isToTry && { prepare }),
    };
  } catch (error) {
    // What was made by half would look like a member.
    await withWriting(connection, (session) => dropSchema(session, schema, ledgerSchema));
    throw error;
  }
}

async function addDatabase(
  options: AddTenantOptions,
  connection: ConnectionOptions,
): Promise<Added> {
  const { template } = options;
  const { created } =
    template === undefined
      ? await ensureDatabase(connection)
      : await copyDatabase(connection, template);
  if (!created) throw taken(`the database "${connection.database}"`);
  try {
    return template === undefined
      ? { from: 'migrations', migrations: await applyAll(options, connection) }
      : { from: 'template', migrations: await proveCopy(options, connection, template) };
  } catch (error) {
    await dropDatabase(connection, { confirm: true, force: true });
    throw error;
  }
}

async function applyAll(
  { config, env = process.env, signal }: AddTenantOptions,
  connection: ConnectionOptions,
): Promise<number> {
  const settings = migrateOptionsOf(config, env);
  const { steps } = await migrateUp({ ...settings, connection, signal });
  return steps.length;
}

async function copyDatabase(
  connection: ConnectionOptions,
  template: string,
): Promise<{ created: boolean }> {
  const { database } = connection;
  return withOwnDatabase(connection, async (session) => {
    const name = quoteLiteral(database);
    const [row] = await session.run(
      `select exists (select from pg_catalog.pg_database where datname = ${name}) as "isThere"`,
    );
    if (row?.isThere === true) return { created: false };
    try {
      await session.run(`create database ${quoteIdent(database)} template ${quoteIdent(template)}`);
      return { created: true };
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      if (code !== '55006' && code !== '3D000') throw error;
      throw unfit(`the database "${template}" cannot be copied: ${message}`);
    }
  });
}

async function proveCopy(
  { config, env = process.env, signal }: AddTenantOptions,
  connection: ConnectionOptions,
  template: string,
): Promise<number> {
  const { schema } = config;
  const settings = migrateOptionsOf(config, env);
  const [status, copy] = await Promise.all([
    readStatus({ ...settings, connection, signal }),
    readMemberStructure(connection, { schema, signal }),
  ]);
  const { applied, reworded, ...others } = status.counts;
  if (Object.values(others).some((count) => count > 0)) {
    throw unfit(`the template "${template}" is not at the newest migration`);
  }
  const original = await readMemberStructure(
    { ...connection, database: template },
    { schema, signal },
  );
  if (copy.fingerprint !== original.fingerprint) {
    throw unfit(`the copy of "${template}" is not what the template is now`);
  }
  return applied + reworded;
}

/**
 * Removes a member with all its data: drops the schema and forgets its rows in the ledger, or drops the
 * database. The history keeps what happened in a schema.
 *
 * @throws {EvdbError} CONFIRM_REQUIRED without `confirm`, and those of `dropDatabase`
 * @example
 * await removeTenant({ kind: 'schema', config: { ...config, schema: 'tenant_z' }, confirm: true });
 */
export async function removeTenant({
  kind,
  config,
  confirm = false,
}: TenantOptions & {
  /** Must be true: what is dropped cannot be restored. */
  confirm?: boolean | undefined;
}): Promise<{ database: string; schema: string; dropped: boolean }> {
  const connection = connectionOf(config);
  const { schema, ledgerSchema } = config;
  const { database } = connection;
  if (!confirm) {
    const what = kind === 'schema' ? `schema "${schema}" of ` : '';
    throw new EvdbError(
      'CONFIRM_REQUIRED',
      `this drops ${what}database "${database}" and its data`,
      {
        hint: `Nothing was changed. If that is intended: ${sameCommand('fleet remove', { confirm: true })}`,
        details: { typed: kind === 'schema' ? schema : database },
      },
    );
  }
  if (kind === 'database') {
    const { dropped } = await dropDatabase(connection, { confirm, force: false });
    return { database, schema, dropped };
  }
  const dropped = await withWriting(connection, async (session) => {
    const isThere = await existsSchema(session, schema);
    await dropSchema(session, schema, ledgerSchema);
    return isThere;
  });
  return { database, schema, dropped };
}

async function existsSchema(session: Session, schema: string): Promise<boolean> {
  const [row] = await session.run(
    `select exists (select from pg_catalog.pg_namespace where nspname = ${quoteLiteral(schema)}) as "isThere"`,
  );
  return row?.isThere === true;
}

/** The drop and the rows of the ledger in one message, and so in one transaction; the history stays. */
async function dropSchema(session: Session, schema: string, ledgerSchema: string): Promise<void> {
  const tables = await session.run(`
    select c.relname as "name"
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attname = 'target_schema'
    where n.nspname = ${quoteLiteral(ledgerSchema)} and c.relkind = 'r' and c.relname <> 'history'
    order by c.relname = 'migration', c.relname`);
  const forget = tables.map(
    ({ name }) =>
      `delete from ${quoteIdent(ledgerSchema)}.${quoteIdent(String(name))} where target_schema = ${quoteLiteral(schema)};`,
  );
  await session.run(`drop schema if exists ${quoteIdent(schema)} cascade; ${forget.join(' ')}`);
}

function connectionOf({ connection, migrationConnection }: Config): ConnectionOptions {
  if (migrationConnection) return migrationConnection.options;
  if (connection.kind === 'server') return connection.options;
  throw new EvdbError('NOT_CONFIGURED', 'no database is configured');
}

function taken(what: string): EvdbError {
  return new EvdbError('TARGET_SCHEMA', `${what} is there already`, {
    hint: 'Nothing was changed. To bring it up to date, put it into the fleet and run migrate up.',
  });
}

function unfit(message: string): EvdbError {
  return new EvdbError('TEMPLATE_UNFIT', message, {
    hint: 'The new member was dropped again. Bring the template up to date, and end the sessions in it; or leave it out.',
  });
}
