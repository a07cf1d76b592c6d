import { readFileSync } from 'node:fs';
import { alignDistributions } from '../../citus/compare.ts';
import { codeOf } from '../../connection/connection-error.ts';
import type { Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { withScratch } from '../../scratch/scratch.ts';
import { loadStructure } from '../../scratch/structure.ts';
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts';
import { diffStructures, type StructureDifference } from '../../structure/diff.ts';
import { type ReadStructureOptions, readStructure } from '../../structure/read/structure.ts';
import type { Structure, StructureObject } from '../../structure/structure.ts';
import { commandLine } from '../../text/command-line.ts';
import { listMigrations, type MigrationFile, readScript } from '../files/source.ts';
import { ledgerKey, type MigrateOptions } from '../options.ts';
import { fullName } from '../plan/plan.ts';
import { readRepeatablesInOrder } from '../plan/prepare-repeatables.ts';
import { readStanding, requireMigrations, withSession } from '../plan/read.ts';
import { REPLAY_HINT, replayApplied, runScript } from './replay.ts';

/** Whose structure to read. */
export type StructureSource =
  /** The database itself. */
  | { kind: 'live' }
  /** All migrations of the folder, run in a scratch database. */
  | { kind: 'migrations' }
  /** Those that are applied on the database, run in a scratch database. */
  | { kind: 'applied' }
  /** A dump, loaded into a scratch database. */
  | { kind: 'file'; path: string };

/** What reading the structure of a source needs. */
export interface StructureSourceOptions extends MigrateOptions {
  /** Read everything instead of the target schema only; default false. */
  allSchemas?: boolean | undefined;
  /** Read owners too; default false. */
  owners?: boolean | undefined;
  /** The folder of the embedded server, for a role that may not create databases. */
  embeddedDirectory?: string | undefined;
  /** Called with a sentence about the scratch database. */
  onScratch?: ((message: string) => void) | undefined;
}

/** How one structure differs from another. */
export interface StructureComparison {
  /** Of the first towards the second, in the order of a structure. */
  differences: StructureDifference[];
  /** Partitions that only one side has, if they are not compared. */
  partitions: number;
  /** Tables of adopted tools, which no migration creates; they are not compared. */
  adoptedTables: string[];
  /** How many migrations are not applied yet, where all are compared with the database; else 0. */
  pending: number;
  /** Major versions of the servers if they differ: then some texts differ too. */
  serverVersions: { from: number; to: number };
}

/** Which two structures are compared. */
export interface CompareStructuresOptions extends StructureSourceOptions {
  from: StructureSource;
  to: StructureSource;
  /**
   * Whether partitions that only one side has are differences. Default false: they change over
   * time, and the same migrations create others in another month.
   */
  partitions?: boolean | undefined;
}

/**
 * Compares two structures: the database, its migrations, a dump.
 *
 * @throws {EvdbError} those of `readStructureOf`
 * @example
 * const { differences } = await compareStructures({
 *   ...options, from: { kind: 'migrations' }, to: { kind: 'live' },
 * });
 */
export async function compareStructures(
  options: CompareStructuresOptions,
): Promise<StructureComparison> {
  // one after the other: a failure must not leave the other at work
  const from = await readStructureOf(options.from, options);
  const found = await readStructureOf(options.to, options);
  const isReplayed = options.from.kind === 'applied' || options.from.kind === 'migrations';
  const adopted =
    isReplayed && options.to.kind === 'live'
      ? await withSession(options, (session) => readAdoptedTables(session, options))
      : [];
  const kinds = [options.from.kind, options.to.kind];
  const isWhole = kinds.includes('migrations') && kinds.includes('live');
  const { structure: to, left } = withoutTables(found, from, adopted);
  const isSame = options.partitions === true;
  const [before, after] = alignDistributions(
    isSame ? from : withoutStrays(from, to),
    isSame ? to : withoutStrays(to, from),
    kinds.every((kind) => kind === 'live'),
  );
  return {
    differences: diffStructures(before, after),
    partitions: countTables(from, before) + countTables(to, after),
    adoptedTables: left,
    pending: isWhole ? await countPending(options) : 0,
    serverVersions: { from: from.serverVersion, to: to.serverVersion },
  };
}

async function countPending(options: StructureSourceOptions): Promise<number> {
  const files = requireMigrations(options);
  const { statuses } = await withSession(options, (session) =>
    readStanding(session, options, files),
  );
  return statuses.filter(({ state }) => state === 'pending' || state === 'outOfOrder').length;
}

/**
 * What was changed by hand: how the database differs from what its applied migrations create.
 *
 * @throws {EvdbError} those of `compareStructures`
 * @example
 * const { differences } = await readDrift({ connection, directory: 'migrations' });
 */
export function readDrift(
  options: Omit<CompareStructuresOptions, 'from' | 'to'>,
): Promise<StructureComparison> {
  return compareStructures({ ...options, from: { kind: 'applied' }, to: { kind: 'live' } });
}

/**
 * Reads the structure of a source. Scratch databases are always dropped; statements about roles and
 * other objects of the whole server are not run in them.
 *
 * @throws {EvdbError} REPLAY_FAILED, FILE_UNREADABLE, and those of `withScratchDatabase`,
 *   `readStructure` and `requireMigrations`
 * @example
 * const structure = await readStructureOf({ kind: 'migrations' }, options);
 */
export function readStructureOf(
  source: StructureSource,
  options: StructureSourceOptions,
): Promise<Structure> {
  switch (source.kind) {
    case 'live':
      return withSession(options, (session) => readStructure(session, scopeOf(options)));
    case 'migrations':
      return withMigrationsRun(options, (scratch) => readStructure(scratch, scopeOf(options)));
    case 'applied':
      return withSession(options, (target) =>
        inScratch(options, (scratch) => runApplied(scratch, target, options)),
      );
    default: {
      const text = readDump(source.path);
      return inScratch(options, (scratch) => loadDump(scratch, text, source.path));
    }
  }
}

function scopeOf(options: StructureSourceOptions): ReadStructureOptions {
  const { targetSchema, ledgerSchema } = ledgerKey(options);
  return {
    schemas: options.allSchemas ? undefined : [targetSchema],
    exceptSchemas: [ledgerSchema],
    owners: options.owners,
  };
}

function inScratch(
  options: StructureSourceOptions,
  fill: (scratch: Session) => Promise<void>,
): Promise<Structure> {
  return withScratch({ ...options, beside: options.connection }, async ({ session }) => {
    await fill(session);
    return readStructure(session, scopeOf(options));
  });
}

/** What running the migrations of a folder needs. */
export interface MigrationsRunOptions extends Omit<StructureSourceOptions, 'connection'> {
  /** The database whose server is used; default: the embedded one. */
  connection?: StructureSourceOptions['connection'] | undefined;
}

/**
 * Runs all migrations of the folder in a scratch database, lends a session on it, and drops it.
 *
 * @throws {EvdbError} REPLAY_FAILED, and those of `withScratchDatabase` and `requireMigrations`
 */
export function withMigrationsRun<T>(
  options: MigrationsRunOptions,
  work: (scratch: Session) => Promise<T>,
): Promise<T> {
  const files = requireMigrations(options);
  return withScratch({ ...options, beside: options.connection }, async ({ session }) => {
    await runFiles(session, files, options);
    return work(session);
  });
}

async function runFiles(
  scratch: Session,
  files: MigrationFile[],
  options: MigrationsRunOptions,
): Promise<void> {
  for (const file of files) {
    try {
      await runScript(scratch, readScript(file.upPath), { options, createTarget: true });
    } catch (cause) {
      throw replayError(`${fullName(file)} does not run in a scratch database`, cause, options);
    }
  }
  for (const script of await readRepeatablesInOrder(options)) {
    try {
      await runScript(scratch, script, { options, createTarget: true });
    } catch (cause) {
      throw replayError(`${script.path} does not run in a scratch database`, cause, options);
    }
  }
}

async function runApplied(
  scratch: Session,
  target: Session,
  options: StructureSourceOptions,
): Promise<void> {
  const files = listMigrations(options.directory);
  const { statuses, repeatables } = await readStanding(target, options, files);
  await replayApplied(scratch, { target, statuses, repeatables, options });
}

async function loadDump(scratch: Session, text: string, path: string): Promise<void> {
  try {
    await loadStructure(scratch, text);
  } catch (cause) {
    throw replayError(`${path} cannot be loaded into a scratch database`, cause, {});
  }
}

/** What went wrong in a scratch database; an interruption stays one. */
function replayError(
  message: string,
  cause: unknown,
  { signal }: { signal?: AbortSignal | undefined },
): unknown {
  if (signal?.aborted) return signal.reason;
  if (cause instanceof EvdbError) return cause;
  const said = cause instanceof Error ? cause.message : String(cause);
  return new EvdbError('REPLAY_FAILED', `${message}: ${said}`, { hint: REPLAY_HINT, cause });
}

function readDump(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new EvdbError('FILE_UNREADABLE', `${path} cannot be read: ${(cause as Error).message}`, {
      hint: `\`${commandLine('schema dump', { file: path })}\` writes it.`,
      cause,
    });
  }
}

/** Leaves out partitions that the other does not have, where it has their table, with all that is theirs. */
function withoutStrays(structure: Structure, other: Structure): Structure {
  const others = new Set(other.objects.map(({ kind, name }) => `${kind} ${name}`));
  const strays = new Set<string>();
  for (const { kind, name, parts } of structure.objects) {
    const parent = parts['partition of'];
    const key = `${kind} ${name}`;
    if (parent === undefined || others.has(key)) continue;
    if (others.has(`table ${parent}`)) strays.add(key);
  }
  if (strays.size === 0) return structure;
  const isStray = (of: string | undefined): boolean => of !== undefined && strays.has(of);
  return {
    ...structure,
    objects: structure.objects.filter(
      (object) => !strays.has(`${object.kind} ${object.name}`) && !isStray(object.of),
    ),
  };
}

function countTables(all: Structure, kept: Structure): number {
  const count = ({ objects }: Structure) =>
    objects.filter(({ kind }) => kind === 'table' || kind === 'foreign table').length;
  return count(all) - count(kept);
}

/**
 * The tables in which tools kept their migrations that were adopted since, qualified and quoted as
 * in a structure. The history says it, so it holds for adoptions of any time; one that was undone
 * gave its table back.
 */
async function readAdoptedTables(session: Session, options: MigrateOptions): Promise<string[]> {
  const history = `${quoteIdent(ledgerKey(options).ledgerSchema)}.history`;
  try {
    const [ledger] = await session.run(
      `select pg_catalog.to_regclass(${quoteLiteral(history)}) is not null as "exists"`,
    );
    if (ledger?.exists !== true) return [];
    const rows = await session.run(`
      select distinct pg_catalog.format('%I.%I', n.nspname, c.relname) as "table"
      from ${history} as h
      cross join lateral (
          select case when h.detail like '{%' then h.detail::json ->> 'table' end as name
      ) as recorded
      join pg_catalog.pg_class as c on c.relkind in ('r', 'p')
      join pg_catalog.pg_namespace as n
          on n.oid = c.relnamespace and pg_catalog.concat(n.nspname, '.', c.relname) = recorded.name
      where h.action = 'adopted'
          and h.version is null
          and not exists (
              select
              from ${history} as later
              where later.id > h.id
                  and later.target_schema = h.target_schema
                  and later.action = 'adopted'
                  and later.version is null
                  and later.detail like 'undone%'
          )
      order by 1`);
    return rows.map(({ table }) => String(table));
  } catch (error) {
    // who may not read the history sees a difference more
    if (codeOf(error) === '42501') return [];
    throw error;
  }
}

/**
 * Leaves out tables with all that is theirs, where the other side does not have them; a schema that
 * the other side does not have either goes as a whole, because the tool made it.
 */
function withoutTables(
  structure: Structure,
  other: Structure,
  tables: readonly string[],
): { structure: Structure; left: string[] } {
  const others = new Set(other.objects.map(({ kind, name }) => `${kind} ${name}`));
  const left = tables.filter(
    (name) => !others.has(`table ${name}`) && structure.objects.some((one) => isTable(one, name)),
  );
  if (left.length === 0) return { structure, left };
  const schemas = left.map(schemaOf).filter((schema) => !others.has(`schema ${schema}`));
  const gone = new Set([
    ...left.map((name) => `table ${name}`),
    ...schemas.map((schema) => `schema ${schema}`),
  ]);
  const isGone = ({ kind, name, of, parts }: StructureObject) =>
    gone.has(`${kind} ${name}`) ||
    (of !== undefined && gone.has(of)) ||
    left.some((table) => parts['owned by']?.startsWith(`${table}.`)) ||
    schemas.some((schema) => name.startsWith(`${schema}.`));
  // of columns there are identities, so what is theirs goes in the next round
  let objects = structure.objects;
  for (let before = -1; before !== gone.size; ) {
    before = gone.size;
    for (const object of objects.filter(isGone)) gone.add(`${object.kind} ${object.name}`);
    objects = objects.filter((object) => !isGone(object));
  }
  return { structure: { ...structure, objects }, left };
}

const isTable = ({ kind, name }: StructureObject, table: string) =>
  kind === 'table' && name === table;

function schemaOf(table: string): string {
  return /^(?:"(?:[^"]|"")*"|[^".]+)/.exec(table)?.[0] ?? table;
}
