import { rmSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import type { Session } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import { writeFileWhole } from '../file-system.ts';
import { withRunner } from '../migrate/apply/runner.ts';
import { cannotWrite, makeFolder } from '../migrate/files/create.ts';
import type { Version } from '../migrate/files/version.ts';
import { readLedger } from '../migrate/ledger/ledger.ts';
import { writeLedger } from '../migrate/ledger/record.ts';
import { ledgerKey, type MigrateOptions } from '../migrate/options.ts';
import { withSession } from '../migrate/plan/read.ts';
import { findForeignFolder, readExisting, readForeignFiles, requireAdapter } from './adapters.ts';
import type { Adapter, AdoptableTool, AdoptionFinding, ForeignFile, TableRow } from './foreign.ts';
import { readTrackingTable } from './own-table.ts';
import { type AdoptionPlan, planAdoption } from './plan.ts';
import type { PlannedFile, PlannedMigration } from './plan-migration.ts';
import { adoptionSql } from './record.ts';

/** `directory` is the folder that evdb uses from then on; the new files are written there. */
export interface AdoptOptions extends MigrateOptions {
  from: AdoptableTool;
  /** The project; default: the working folder. */
  root?: string | undefined;
  /** The other tool's folder; default: its usual one. */
  fromDirectory?: string | undefined;
  /** Its table, `name` or `schema.name`; default: its usual name. */
  table?: string | undefined;
  /** The reason; recorded in the history. */
  reason?: string | undefined;
}

/** A migration of the other tool, as evdb knows it from then on. */
export interface AdoptedMigration {
  version: Version;
  label: string;
  name: string;
  /** The other tool's name for it, and its file, relative to the project. */
  key: string;
  file: string;
  /** ISO 8601; null if it is pending, or the tool keeps no times. */
  appliedAt: string | null;
  /** How the file was compared with what was applied; null if it is pending. */
  verifiedBy: 'checksum' | 'name' | null;
}

/** What an adoption did, or would do. Folders and files are relative to the project. */
export interface AdoptionResult {
  tool: AdoptableTool;
  schema: string;
  /** The tool's table, null if it has none; and both folders, relative to the project. */
  table: string | null;
  fromDirectory: string;
  directory: string;
  /** Taken over into the ledger, now. */
  adopted: AdoptedMigration[];
  /** How many were in the ledger already. */
  known: number;
  pending: AdoptedMigration[];
  findings: AdoptionFinding[];
  /** Names of the files that were, or would be, written. */
  files: string[];
}

/**
 * Says what `adoptMigrations` would do; writes nothing.
 *
 * @throws {EvdbError} those of `adoptMigrations`
 * @example
 * const { adopted, findings } = await planMigrateAdopt({ ...options, from: 'dbmate' });
 */
export async function planMigrateAdopt(options: AdoptOptions): Promise<AdoptionResult> {
  const source = readSource(options);
  return withSession(options, async (session) => {
    const { plan, table } = await makePlan(session, options, source);
    return makeResult(options, source, { plan, table });
  });
}

/**
 * Takes over what another tool applied. Converts its files into evdb's, and records in the ledger
 * what its table says is applied. Runs no migration, and changes neither its files nor its table.
 * New files are written before the ledger, and removed if writing the ledger fails.
 *
 * @throws {EvdbError} ADOPTION_REFUSED with all reasons in `details.findings`,
 *   MIGRATIONS_DIR_MISSING, USAGE, FILE_EXISTS, PERMISSION_DENIED, those of `migrateUp`, and of
 *   reading a file
 * @example
 * const { adopted, pending } = await adoptMigrations({ connection, directory: 'migrations', from: 'dbmate' });
 */
export async function adoptMigrations(options: AdoptOptions): Promise<AdoptionResult> {
  const source = readSource(options);
  return withSession(options, async (worker) => {
    const first = await makePlan(worker, options, source);
    if (isDone(first.plan)) return makeResult(options, source, first);
    return withRunner(worker, options, async (context) => {
      // The other tool, or another evdb, may have been at work before the lock was ours.
      const { plan, table } = await makePlan(worker, options, source);
      const files = newFiles(plan);
      const sql = adoptionSql(plan, { ...options, table, provenance: context.provenance });
      await withNewFiles(options.directory, files, () => writeLedger(context, sql));
      return makeResult(options, source, { plan, table });
    });
  });
}

interface Source {
  adapter: Adapter;
  folder: string;
  files: ForeignFile[];
}

function rootOf({ root }: AdoptOptions): string {
  return root ?? process.cwd();
}

function readSource(options: AdoptOptions): Source {
  const adapter = requireAdapter(options.from);
  const folder = findForeignFolder(adapter, {
    root: rootOf(options),
    given: options.fromDirectory,
    ownDirectory: options.directory,
  });
  if (resolve(folder) === resolve(options.directory)) throw sameFolder(adapter, folder);
  const files = readForeignFiles(adapter, folder);
  // how files are called may be known from the table alone
  if (!files.some(({ path }) => path.endsWith('.sql'))) readMigrations({ adapter, folder, files });
  return { adapter, folder, files };
}

function readMigrations({ adapter, folder, files }: Source, rows: TableRow[] = []) {
  const read = adapter.readFiles(files, rows);
  if (read.migrations.length > 0 || read.findings.length > 0) return read;
  throw noFile(adapter, folder);
}

function noFile({ tool }: Adapter, folder: string): EvdbError {
  return new EvdbError(
    'MIGRATIONS_DIR_EMPTY',
    `the folder ${folder} holds no migration of ${tool}`,
    {
      hint: "Name the tool's folder with --from-dir.",
      details: { directory: folder },
    },
  );
}

function sameFolder({ tool }: Adapter, folder: string): EvdbError {
  return new EvdbError('USAGE', `${folder} holds ${tool}'s files, so evdb's need another folder`, {
    hint: 'Name it with --write-to, for example --write-to db/evdb, and set "migrationsDir" to it in evdb.config.json.',
  });
}

async function makePlan(session: Session, options: AdoptOptions, source: Source) {
  const key = ledgerKey(options);
  const { adapter } = source;
  const { targetSchema } = key;
  const { shown, own, rows } = await readTrackingTable(session, adapter, {
    targetSchema,
    given: options.table,
  });
  const ledger = await readLedger(session, key);
  const { migrations, findings } = readMigrations(source, rows);
  const told = adapter.readRows(rows, migrations);
  const plan = planAdoption({
    adapter,
    migrations,
    rows: told.rows,
    ledgerRows: ledger.rows,
    existing: readExisting(options.directory),
    ownTable: own,
    show: (path) => relative(rootOf(options), resolve(source.folder, path)),
  });
  const show = (finding: AdoptionFinding): AdoptionFinding => {
    if (finding.location === undefined) return finding;
    const file = relative(rootOf(options), resolve(source.folder, finding.location.file));
    return { ...finding, location: { file } };
  };
  plan.findings.unshift(...findings.map(show), ...told.findings.map(show));
  refuse(plan, adapter);
  return { plan, table: shown };
}

function refuse({ findings }: AdoptionPlan, { tool }: Adapter): void {
  const errors = findings.filter(({ severity }) => severity === 'error');
  if (errors.length === 0) return;
  const count = errors.length === 1 ? 'something stands' : `${errors.length} things stand`;
  throw new EvdbError('ADOPTION_REFUSED', `${count} in the way of taking over from ${tool}`, {
    hint: 'Nothing was changed, and nothing was run. Resolve what is listed, then adopt again.',
    details: { findings: findings.filter(({ severity }) => severity !== 'info') },
  });
}

function newFiles({ adopted, known, pending }: AdoptionPlan) {
  return [...adopted, ...known, ...pending].flatMap(({ files }) => files);
}

function isDone(plan: AdoptionPlan): boolean {
  return plan.adopted.length === 0 && newFiles(plan).length === 0;
}

function makeResult(
  options: AdoptOptions,
  { adapter, folder }: Source,
  { plan, table }: { plan: AdoptionPlan; table: string | null },
): AdoptionResult {
  const root = rootOf(options);
  const tell = (one: PlannedMigration): AdoptedMigration => ({
    version: one.version,
    label: one.label,
    name: one.name,
    key: one.key,
    file: relative(root, resolve(folder, one.path)),
    appliedAt: one.row?.appliedAt ?? null,
    verifiedBy: one.row ? one.verifiedBy : null,
  });
  return {
    tool: adapter.tool,
    schema: ledgerKey(options).targetSchema,
    table,
    fromDirectory: relative(root, folder),
    directory: relative(root, resolve(root, options.directory)),
    adopted: plan.adopted.map(tell),
    known: plan.known.length,
    pending: plan.pending.map(tell),
    findings: plan.findings,
    files: newFiles(plan).map(({ name }) => name),
  };
}

/**
 * Runs `work` with the new files in place; they go again where it fails. None is overwritten.
 *
 * @throws {EvdbError} FILE_EXISTS, FILE_UNREADABLE
 */
async function withNewFiles<T>(
  directory: string,
  files: PlannedFile[],
  work: () => Promise<T>,
): Promise<T> {
  const written: string[] = [];
  try {
    if (files.length > 0) makeFolder(directory);
    for (const { name, text } of files) {
      const path = join(directory, name);
      writeNew(path, text);
      written.push(path);
    }
    return await work();
  } catch (error) {
    for (const path of written) rmSync(path, { force: true });
    throw error;
  }
}

function writeNew(path: string, text: string): void {
  try {
    writeFileWhole(path, text, { isNew: true });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cannotWrite(path, cause);
    throw new EvdbError('FILE_EXISTS', `${path} already exists`, {
      hint: 'Nothing was changed. Move it away, or choose another folder with --write-to.',
      cause,
    });
  }
}
