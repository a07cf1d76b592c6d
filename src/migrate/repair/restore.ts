import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import type { Style } from '../../report/table.ts';
import { commandLine, sameCommand } from '../../text/command-line.ts';
import { renderCount } from '../../text/units.ts';
import { makeFolder, writeNew } from '../files/create.ts';
import { fileNamesOf, readText, versionOfFile } from '../files/source.ts';
import { displayPath, isVersion, parseVersion, type Version } from '../files/version.ts';
import { type LedgerRow, readLedger, readStoredTexts } from '../ledger/ledger.ts';
import { ledgerKey, type MigrateOptions } from '../options.ts';
import { withSession } from '../plan/read.ts';

/** What `restoreMigration` needs in addition to the options of every command on migrations. */
export interface RestoreOptions extends MigrateOptions {
  /** The applied ones whose files are lost. */
  versions: string[];
}

/** What was, or would be, written. */
export interface RestoreResult {
  schema: string;
  migrations: RestoredMigration[];
}

/** The files of one migration. */
export interface RestoredMigration {
  version: Version;
  label: string;
  name: string;
  files: RestoredFile[];
}

/** One file of a migration. */
export interface RestoredFile {
  /** Absolute. */
  path: string;
  direction: 'up' | 'down';
  /** `kept`: it already exists, with the same text. */
  outcome: 'written' | 'kept';
}

/** A file with what is to be in it. */
interface WantedFile extends RestoredFile {
  text: string;
}

/**
 * Says what `restoreMigrations` would do; writes nothing.
 *
 * @throws {EvdbError} those of `restoreMigrations`
 * @example
 * const { migrations } = await planMigrateRestore({ ...options, versions: ['003'] });
 */
export async function planMigrateRestore(options: RestoreOptions): Promise<RestoreResult> {
  return makeResult(options, await withSession(options, (session) => plan(session, options)));
}

/**
 * Writes the lost files of applied migrations again, from the texts that the ledger kept: line
 * endings are `\n`, and a byte order mark is gone. An existing file is not changed. Changes nothing
 * in the database.
 *
 * @throws {EvdbError} USAGE; UNKNOWN_VERSION if one is not applied; MISSING_MIGRATION if the ledger
 *   kept no text; FILE_EXISTS if a file of that version has a different text; PERMISSION_DENIED,
 *   because only the ledger's owner may read the texts; FILE_UNREADABLE
 * @example
 * await restoreMigrations({ connection, directory: 'migrations', versions: ['003'] });
 */
export async function restoreMigrations(options: RestoreOptions): Promise<RestoreResult> {
  const wanted = await withSession(options, (session) => plan(session, options));
  makeFolder(options.directory);
  for (const { path, text, outcome } of wanted.flatMap(({ files }) => files)) {
    if (outcome === 'written') writeNew(path, text);
  }
  return makeResult(options, wanted);
}

interface WantedMigration {
  row: LedgerRow;
  files: WantedFile[];
}

async function plan(session: Session, options: RestoreOptions): Promise<WantedMigration[]> {
  const key = ledgerKey(options);
  const { rows } = await readLedger(session, key);
  const wanted = [...new Set(options.versions.map((version) => requireRow(version, rows)))];
  const versions = wanted.map(({ version }) => version);
  const texts = await readStoredTexts(session, key, versions);
  return wanted.map((row) => {
    const { up, down } = texts.get(row.version) ?? { up: null, down: null };
    if (up === null) throw noText(row);
    return { row, files: listFiles(options.directory, row, { up, down }) };
  });
}

function listFiles(
  directory: string,
  row: LedgerRow,
  texts: { up: string; down: string | null },
): WantedFile[] {
  const names = fileNamesOf(row);
  refuseOtherName(directory, row.version, Object.values(names));
  return (['up', 'down'] as const).flatMap((direction): WantedFile[] => {
    const text = texts[direction];
    if (text === null) return [];
    const path = join(directory, names[direction]);
    return [{ path, direction, text, outcome: holds(path, text) ? 'kept' : 'written' }];
  });
}

function requireRow(wanted: string, rows: LedgerRow[]): LedgerRow {
  if (!isVersion(wanted)) {
    throw new EvdbError('USAGE', `${JSON.stringify(wanted)} is not a version`, {
      hint: `A version is the digits that a file name starts with, for example: ${sameCommand('migrate restore', {}, { args: ['003'] })}`,
    });
  }
  const row = rows.find(({ version }) => version === parseVersion(wanted));
  if (row) return row;
  throw new EvdbError('UNKNOWN_VERSION', `version ${wanted} is not applied`, {
    hint: `The ledger keeps the text of applied migrations only. See which are: ${commandLine('migrate status')}`,
    details: { version: wanted },
  });
}

function noText({ label, name, version }: LedgerRow): EvdbError {
  return new EvdbError('MISSING_MIGRATION', `the ledger kept no text of ${label}_${name}`, {
    hint: 'It was too long to keep, or another tool applied it. Restore the file from version control.',
    details: { version },
  });
}

/** Two files of one version would be an error of the whole folder. */
function refuseOtherName(directory: string, version: Version, names: string[]): void {
  const found = existsSync(directory) ? readdirSync(directory) : [];
  const other = found.find((name) => versionOfFile(name) === version && !names.includes(name));
  if (other !== undefined) throw fileExists(join(directory, other), 'has the same version');
}

/** Whether the file is there with this text; one that is not there is false. */
function holds(path: string, text: string): boolean {
  if (!existsSync(path)) return false;
  if (readText(path) === text) return true;
  throw fileExists(path, 'differs from what was applied');
}

function fileExists(path: string, problem: string): EvdbError {
  return new EvdbError('FILE_EXISTS', `${displayPath(path)} already exists and ${problem}`, {
    hint: 'Nothing was written. Move it away first; then restore, and compare the two.',
    details: { file: path },
  });
}

function makeResult(options: RestoreOptions, wanted: WantedMigration[]): RestoreResult {
  return {
    schema: ledgerKey(options).targetSchema,
    migrations: wanted.map(({ row: { version, label, name }, files }) => ({
      ...{ version, label, name },
      files: files.map(({ path, direction, outcome }) => ({ path, direction, outcome })),
    })),
  };
}

/** For a terminal. */
export function renderRestore(
  { migrations }: RestoreResult,
  { style, dryRun }: { style: Style; dryRun: boolean },
): string {
  const verbs = { written: dryRun ? 'would write' : 'wrote', kept: 'kept' };
  const lines = migrations.flatMap(({ label, name, files }) => [
    ...files.map(({ path, outcome }) => `${style.good(verbs[outcome])}  ${displayPath(path)}`),
    ...(files.some(({ direction }) => direction === 'down')
      ? []
      : [`${style.warn('note:')} the ledger kept no down script of ${label}_${name}`]),
  ]);
  const files = migrations.flatMap((one) => one.files);
  const written = files.filter(({ outcome }) => outcome === 'written');
  if (written.length === 0) {
    return [...lines, 'nothing to do: the files are there, as they were applied'].join('\n');
  }
  const summary = `${renderCount(written.length, 'file')} from the ledger`;
  return [...lines, dryRun ? `${summary}\nNothing was written (--dry-run).` : summary].join('\n');
}
