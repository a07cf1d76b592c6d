import { hash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isConnectionLoss } from '../connection/connection-error.ts';
import type { Row, Session } from '../connection/session.ts';
import { readToolVersion, writeFileWhole } from '../file-system.ts';
import { withRunner } from '../migrate/apply/runner.ts';
import {
  insertHistoriesSql,
  insertTakenOverSql,
  type LedgerEntry,
  mayCommitSql,
} from '../migrate/ledger/record.ts';
import { ledgerKey, type MigrateOptions } from '../migrate/options.ts';
import { withSession } from '../migrate/plan/read.ts';
import { quoteIdent } from '../sql/quote.ts';
import { readStructure } from '../structure/read/structure.ts';
import type { Structure } from '../structure/structure.ts';
import { digestOfRun } from './record.ts';
import { scriptDigestSql } from './script-digest.ts';

/** What all migrations make together, as one script that makes it in a schema of any simple name. */
export interface MemberScript {
  /** The name that stands in the text for the schema; nothing else is called so. */
  schema: string;
  text: string;
  /** What it makes, with owners and partitions: a line of JSON for each object. */
  structure: string;
  /** Of the catalogs behind it; see `scriptDigestSql`. */
  digest: string;
  /** What the ledger says of each migration. */
  entries: LedgerEntry[];
}

/** What is known of the migrations of one day: their script, or why there is none. */
export type KnownScript = { script: MemberScript } | { refusal: string };

/** Of a database, so that a script is only used where the migrations would make the same today. */
const FACTS_SQL = `
select
    pg_catalog.current_database()::text as "database",
    (select oid::text from pg_catalog.pg_database where datname = pg_catalog.current_database()) as "oid",
    current_user::text as "user",
    pg_catalog.current_setting('server_version_num') as "version",
    -- partitions of this month, and whatever else a migration makes of the time
    array[current_date, (pg_catalog.now() at time zone 'UTC')::date]::text as "days",
    (
        select pg_catalog.string_agg(pg_catalog.concat_ws(' ', extname, extversion, extnamespace), ', ' order by extname)
        from pg_catalog.pg_extension
    ) as "extensions",
    (
        select pg_catalog.string_agg(pg_catalog.concat_ws(' ', defaclrole, defaclobjtype, defaclacl), ', ' order by oid)
        from pg_catalog.pg_default_acl
        where defaclnamespace = 0
    ) as "privileges"`;

/** Reads what a script depends on beside the files. */
export async function readScriptFacts(session: Pick<Session, 'run'>): Promise<Row> {
  const [row] = await session.run(FACTS_SQL);
  return row ?? {};
}

/** The same for what gives the same script: the files, the settings, the database and the day. */
export function digestOfScript(options: MigrateOptions, facts: Row): string {
  const { searchPath, variables, ledgerSchema, storedTextLimitBytes, connection } = options;
  const { hosts } = connection;
  const settings = { searchPath, variables, ledgerSchema, storedTextLimitBytes, hosts };
  return digestOfRun({ ...settings, facts, tool: readToolVersion() }, [options.directory]);
}

const inMemory = new Map<string, KnownScript>();

/** Of so many databases and folders a process knows the scripts. */
const MOST_IN_MEMORY = 8;

/** What this process knows under the digest, else what is kept in the folder. */
export function recallScript(
  digest: string,
  options: MigrateOptions,
  directory: string | undefined,
): KnownScript | undefined {
  const known = inMemory.get(digest);
  if (known || directory === undefined) return known;
  try {
    const kept = JSON.parse(readFileSync(pathOf(options, directory), 'utf8'));
    if (kept.digest !== digest) return undefined;
    inMemory.set(digest, kept.known);
    return kept.known;
  } catch {
    // There is none, or it is half of one: it is made again.
    return undefined;
  }
}

/**
 * Keeps what became known. A folder that cannot be written costs time only.
 *
 * @param known undefined: forget it
 */
export function rememberScript(
  digest: string,
  known: KnownScript | undefined,
  { options, directory }: { options: MigrateOptions; directory: string | undefined },
): void {
  inMemory.delete(digest);
  if (known) inMemory.set(digest, known);
  for (const oldest of [...inMemory.keys()].slice(0, -MOST_IN_MEMORY)) inMemory.delete(oldest);
  if (directory === undefined) return;
  const path = pathOf(options, directory);
  try {
    mkdirSync(dirname(path), { recursive: true });
    const ignore = join(directory, '.gitignore');
    if (!existsSync(ignore)) writeFileSync(ignore, '*\n');
    // Texts may hold secrets, as those of the ledger may.
    if (!existsSync(path)) writeFileSync(path, '', { mode: 0o600 });
    writeFileWhole(path, JSON.stringify(known ? { digest, known } : {}));
  } catch {
    // said above
  }
}

/** One file for each folder of migrations and database, so that nothing piles up. */
function pathOf({ directory, connection }: MigrateOptions, folder: string): string {
  const { hosts, database } = connection;
  const place = hash('sha256', JSON.stringify([directory, hosts, database]), 'hex');
  return join(folder, 'fleet-scripts', `${place.slice(0, 16)}.json`);
}

/** Of the session's transaction, with all that is compared. */
export function readOwnStructure(session: Session, schema: string): Promise<Structure> {
  const whole = { exceptSchemas: [], owners: true, isInTransaction: true };
  return readStructure(session, { ...whole, schemas: [schema] });
}

/** A structure as lines; what an object depends on follows from its parts. */
export function linesOf({ objects }: Pick<Structure, 'objects'>): string {
  return objects.map(({ dependsOn: _, ...object }) => JSON.stringify(object)).join('\n');
}

/**
 * The first object in which what is there differs from what the script makes.
 *
 * @returns undefined where all is equal
 */
export function findDifference(
  { schema: placeholder, structure }: Pick<MemberScript, 'schema' | 'structure'>,
  found: Structure,
  schema: string,
): string | undefined {
  // Not the other way round: a schema may be called as something else is, which its own name is not.
  const wanted = structure.replaceAll(placeholder, schema).split('\n').sort();
  const lines = linesOf(found).split('\n').sort();
  const index = wanted.findIndex((line, at) => line !== lines[at]);
  const line = index < 0 ? lines[wanted.length] : (wanted[index] ?? '');
  if (line === undefined) return undefined;
  const { kind, name } = JSON.parse(line);
  return `${kind} ${name}`;
}

/** Runs the script in the transaction that is open, and gives the digest of what it made. */
export async function makeFromScript(
  session: Session,
  { schema: placeholder, text }: Pick<MemberScript, 'schema' | 'text'>,
  schema: string,
): Promise<unknown> {
  const sql = text.replaceAll(placeholder, schema);
  const [row] = await session.run(
    `${sql}\nset local jit = off; select ${scriptDigestSql(schema)} as "digest"`,
  );
  return row?.digest;
}

/** What the history says of each migration. */
const DETAIL = 'made with all others by one script, and found equal to what the migrations make';

/** The script is not fit any more: what it makes is not what it made. */
class Unfit extends Error {}

/**
 * Makes a schema from the script, with the rows of the ledger, in one transaction; before the commit the
 * catalogs must say that it made what it made when its structure was found equal.
 *
 * @returns undefined where it is made; else why it is not, and nothing was changed
 * @throws {EvdbError} those of `withRunner`, such as LOCKED
 */
export function loadScript(
  script: MemberScript,
  options: MigrateOptions,
): Promise<string | undefined> {
  const key = ledgerKey(options);
  const { targetSchema } = key;
  return withSession(options, (worker) =>
    withRunner(worker, options, async ({ createTarget, provenance, signal }, rows) => {
      if (!createTarget || rows.length > 0) return 'another runner was faster';
      try {
        await worker.run('begin isolation level read committed, read write');
        const digest = await makeFromScript(worker, script, targetSchema);
        if (digest !== script.digest) throw new Unfit('it makes something else now');
        const record = recordSql(script, options, provenance);
        const [row] = await worker.run(`${record} ${mayCommitSql(key)}`);
        if (!/^\d+$/.test(String(row?.recorded))) throw new Unfit('it cannot be recorded');
        signal?.throwIfAborted();
        await worker.run('commit');
        return undefined;
      } catch (error) {
        if (worker.isClosed || isConnectionLoss(error) || signal?.aborted) throw error;
        await worker.run('rollback');
        return `the script of earlier ones does not fit any more: ${(error as Error).message}`;
      }
    }),
  );
}

function recordSql(
  { entries }: MemberScript,
  options: MigrateOptions,
  provenance: Parameters<typeof insertHistoriesSql>[2],
): string {
  const key = ledgerKey(options);
  const appliedAt = new Date().toISOString();
  const rows = entries.map((entry) => ({
    ...{ entry, origin: 'applied', appliedAt, durationMs: null },
  }));
  const histories = entries.map(({ version, label, name, checksum }) => ({
    ...{ action: 'up' as const, version, label, name, checksum, detail: DETAIL },
  }));
  return `${insertTakenOverSql(key, rows)} ${insertHistoriesSql(key, histories, provenance)}`;
}

/** Only a name that needs no quotes is written alike wherever it may stand in a script. */
export async function isSimpleName(session: Pick<Session, 'run'>, name: string): Promise<boolean> {
  if (!/^[a-z_][a-z0-9_]*$/.test(name)) return false;
  const [row] = await session.run(`select pg_catalog.quote_ident('${name}') as "quoted"`);
  return row?.quoted === name && quoteIdent(name).length <= 65;
}
