import { randomBytes } from 'node:crypto';
import { codeOf, isConnectionLoss } from '../connection/connection-error.ts';
import type { Session } from '../connection/session.ts';
import { planMigrateUp } from '../migrate/apply/commands.ts';
import type { MigrationPlan } from '../migrate/apply/migrator.ts';
import { searchPathSql } from '../migrate/apply/worker-session.ts';
import type { LedgerEntry } from '../migrate/ledger/record.ts';
import type { MigrateOptions } from '../migrate/options.ts';
import { fullName } from '../migrate/plan/plan.ts';
import type { MigrationStep } from '../migrate/plan/prepare.ts';
import { withSession } from '../migrate/plan/read.ts';
import { quoteLiteral } from '../sql/quote.ts';
import { renderObjects } from '../structure/render/structure.ts';
import type { Structure } from '../structure/structure.ts';
import {
  findDifference,
  type KnownScript,
  linesOf,
  type MemberScript,
  makeFromScript,
  readOwnStructure,
} from './member-script.ts';

/** Why the migrations give no script. */
class Refusal extends Error {}

/**
 * Makes a script of what the migrations make, in transactions that are rolled back: they run in a schema whose
 * name nothing else has, its structure is read and written as SQL, and that SQL is run and found to make the
 * same. What it makes is also compared with a schema that was migrated in the usual way.
 *
 * There is none where the migrations do more than to make the structure of their own schema: what they write
 * or change elsewhere, a copy of the structure would lack.
 *
 * @param migrated the schema that was just migrated
 * @returns undefined where it could not be found out, because of a lock or a lost connection
 */
export async function tryMigrations(
  options: MigrateOptions,
  migrated: string,
): Promise<KnownScript | undefined> {
  const schema = newName();
  try {
    const plan = await planMigrateUp({ ...options, schema });
    const entries = requirePlain(plan);
    return await withSession(options, async (session) => {
      const from = { session, options, schema };
      const structure = await inTransaction(session, () => runMigrations(plan.steps, from));
      const script = {
        schema,
        structure: linesOf(structure),
        text: renderScript(structure),
        entries,
      };
      return { script: { ...script, digest: await prove(script, session, migrated) } };
    });
  } catch (error) {
    if (error instanceof Refusal) return { refusal: error.message };
    if (isConnectionLoss(error) || options.signal?.aborted || isTemporary(error)) return undefined;
    return { refusal: `all of them do not run in one transaction: ${(error as Error).message}` };
  }
}

/** So long that it is no part of any other name. */
function newName(): string {
  return `evdb_trial_${randomBytes(10).toString('hex')}`;
}

/** Cancelled, a lock that could not be had, a deadlock, too many of something. */
function isTemporary(error: unknown): boolean {
  return /^(?:55|40|53|57)/.test(codeOf(error) ?? '');
}

/** What they are read from alone tells of many that they do more. */
function requirePlain({ steps, repeatables }: MigrationPlan): LedgerEntry[] {
  if (repeatables !== undefined) throw new Refusal('there are repeatables');
  return steps.map((step) => {
    const { script, statements, entry } = step;
    const { gates, ensures } = script.directives;
    const name = fullName(step);
    if (!step.isTransactional) throw new Refusal(`${name} does not run in one transaction`);
    if (gates || ensures) throw new Refusal(`${name} waits for something, or ensures it`);
    if (script.large || !entry) throw new Refusal(`${name} is large`);
    if (statements.some(({ copyData }) => copyData !== null))
      throw new Refusal(`${name} copies rows`);
    return entry;
  });
}

async function inTransaction<T>(session: Session, work: () => Promise<T>): Promise<T> {
  // Whoever needs a lock that it holds must not wait for long. One snapshot, so that what others make
  // meanwhile, in this database or beside it, is not taken for its own.
  await session.run(
    `begin isolation level repeatable read, read write; set local lock_timeout = '1s'; set local idle_in_transaction_session_timeout = '10s'`,
  );
  try {
    return await work();
  } finally {
    if (!session.isClosed) await session.run('rollback').catch(() => undefined);
  }
}

interface Trial {
  session: Session;
  options: MigrateOptions;
  schema: string;
}

async function runMigrations(
  steps: readonly MigrationStep[],
  { session, options, schema }: Trial,
): Promise<Structure> {
  const before = await readOutside(session, schema);
  await session.run(`create schema ${schema}`);
  const path = searchPathSql({ targetSchema: schema, searchPath: options.searchPath ?? [] });
  for (const { statements } of steps) {
    await session.run(
      `reset session authorization; reset role; reset all; discard temp; set local lock_timeout = '1s'; set local search_path = ${path}`,
    );
    // A block of them in one message; each is asked for what is deferred at its end.
    await session.run(
      `${statements.map(({ text }) => text).join('\n;\n')}\n;\nset constraints all immediate`,
    );
  }
  await session.run(`reset session authorization; reset role; set local search_path = ''`);
  await refuseEffectsOutside(session, schema, before);
  await refuseRows(session, schema);
  return readOwnStructure(session, schema);
}

/** What belongs to the database or the server, as one text a kind. */
const OUTSIDE = {
  'a role': 'select rolname::text from pg_catalog.pg_roles',
  'the membership of a role': 'select m::text from pg_catalog.pg_auth_members as m',
  'a schema': `select n::text from pg_catalog.pg_namespace as n where nspname !~ '^pg_(temp|toast_temp)_'`,
  'an extension': 'select e::text from pg_catalog.pg_extension as e',
  'a setting of a database or role': 'select s::text from pg_catalog.pg_db_role_setting as s',
  'a default privilege':
    'select d::text from pg_catalog.pg_default_acl as d where defaclnamespace = 0',
  'a publication': 'select p::text from pg_catalog.pg_publication as p',
  'an event trigger': 'select t::text from pg_catalog.pg_event_trigger as t',
  'a server': 'select s.srvname::text from pg_catalog.pg_foreign_server as s',
  'a language': 'select l::text from pg_catalog.pg_language as l',
  'a cast': 'select c::text from pg_catalog.pg_cast as c',
  'the database': `select d.datacl::text from pg_catalog.pg_database as d where datname = pg_catalog.current_database()`,
  'a large object': 'select o::text from pg_catalog.pg_largeobject_metadata as o',
} as const;

async function readOutside(session: Session, schema: string): Promise<Record<string, unknown>> {
  const digests = Object.entries(OUTSIDE).map(
    ([what, query]) =>
      `(select pg_catalog.md5(coalesce(pg_catalog.string_agg(t, ';' order by t), '')) from (${query}) as q (t) where t !~ ${quoteLiteral(schema)} or ${quoteLiteral(what)} = 'a role') as "${what}"`,
  );
  const [row] = await session.run(`select ${digests.join(', ')}`);
  return row ?? {};
}

/** Catalogs of objects that are in a schema, with the columns that say how they are called and where. */
const IN_SCHEMAS = {
  pg_class: ['relname', 'relnamespace'],
  pg_proc: ['proname', 'pronamespace'],
  pg_type: ['typname', 'typnamespace'],
  pg_operator: ['oprname', 'oprnamespace'],
  pg_opclass: ['opcname', 'opcnamespace'],
  pg_collation: ['collname', 'collnamespace'],
  pg_ts_config: ['cfgname', 'cfgnamespace'],
  pg_ts_dict: ['dictname', 'dictnamespace'],
} as const;

/**
 * Whoever reads, writes or changes a table holds a lock on it until the end; other objects that a transaction
 * writes have its id, or that of a later one.
 */
async function refuseEffectsOutside(
  session: Session,
  schema: string,
  before: Record<string, unknown>,
): Promise<void> {
  const isOther = `n.nspname !~ '^pg_' and n.nspname not in ('information_schema', ${quoteLiteral(schema)})`;
  const written = Object.entries(IN_SCHEMAS).map(
    ([catalog, [name, namespace]]) => `
    select pg_catalog.format('%I.%I', n.nspname, o.${name}) as "name"
    from pg_catalog.${catalog} as o
    join pg_catalog.pg_namespace as n on n.oid = o.${namespace}
    where ${isOther} and pg_catalog.age(o.xmin) between 0 and
        pg_catalog.age(pg_catalog.mod(pg_catalog.pg_current_xact_id()::text::numeric, 4294967296)::text::xid)`,
  );
  const [found] = await session.run(`
    select pg_catalog.format('%I.%I', n.nspname, c.relname) as "name"
    from pg_catalog.pg_locks as l
    join pg_catalog.pg_class as c on c.oid = l.relation
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where l.pid = pg_catalog.pg_backend_pid()
        and l.locktype = 'relation'
        and l.database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
        and ${isOther}
    union all ${written.join('\n    union all')}
    limit 1`);
  if (found) throw new Refusal(`they use or change ${found.name}, which is outside of the schema`);
  const after = await readOutside(session, schema);
  const changed = Object.keys(OUTSIDE).find((what) => before[what] !== after[what]);
  if (changed) throw new Refusal(`they make or change ${changed}`);
}

async function refuseRows(session: Session, schema: string): Promise<void> {
  const tables = await session.run(`
    select pg_catalog.format('%I.%I', n.nspname, c.relname) as "name", c.relkind = 'S' as "isSequence"
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = '${schema}' and c.relkind in ('r', 'm', 'S')
    order by c.relkind = 'S', 1`);
  if (tables.length === 0) return;
  const queries = tables.map(({ name, isSequence }) => {
    const condition = isSequence ? 'is_called' : 'true';
    return `(select ${quoteLiteral(String(name))} as "name" from ${name} where ${condition} limit 1)`;
  });
  const [found] = await session.run(`${queries.join(' union all ')} limit 1`);
  if (!found) return;
  const name = String(found.name).replace(`${schema}.`, '');
  throw new Refusal(`they write rows to ${name}, or take numbers from it`);
}

function renderScript({ objects, searchPath }: Structure): string {
  return [
    'set local check_function_bodies = off;',
    'set local client_min_messages = warning;',
    `set local search_path = ${searchPath.join(', ') || "''"};`,
    ...renderObjects(objects),
  ].join('\n');
}

/**
 * Runs the script twice, in schemas with names of other lengths: what it makes is equal to what the migrations
 * made, here and in the usual way, and does not depend on the name.
 *
 * @returns the digest of what it makes
 */
async function prove(
  script: Omit<MemberScript, 'digest'>,
  session: Session,
  migrated: string,
): Promise<string> {
  const names = [newName(), newName().slice(0, -6)];
  const digests: unknown[] = [];
  for (const name of names) {
    await inTransaction(session, async () => {
      digests.push(await makeFromScript(session, script, name).catch(refuse));
      refuseDifference(script, await readOwnStructure(session, name), name);
    });
  }
  await inTransaction(session, async () => {
    refuseDifference(script, await readOwnStructure(session, migrated), migrated);
  });
  const [digest, other] = digests;
  if (typeof digest === 'string' && digest === other) return digest;
  throw new Refusal('what they make names its own schema');
}

function refuse(error: unknown): never {
  if (isConnectionLoss(error) || isTemporary(error)) throw error;
  throw new Refusal(`their structure cannot be made by one script: ${(error as Error).message}`);
}

function refuseDifference(
  script: Pick<MemberScript, 'schema' | 'structure'>,
  found: Structure,
  schema: string,
): void {
  const different = findDifference(script, found, schema);
  if (different === undefined) return;
  const name = different.replaceAll(`${schema}.`, '');
  throw new Refusal(`one script for all of them makes another ${name}`);
}
