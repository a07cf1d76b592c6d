import { hash } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Session } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';
import { withRunner } from '../migrate/apply/runner.ts';
import { readChecksum, scriptFromText } from '../migrate/files/source.ts';
import { parseVersion, type Version } from '../migrate/files/version.ts';
import { type LedgerRow, ledgerEntry, readLedger } from '../migrate/ledger/ledger.ts';
import type { Provenance } from '../migrate/ledger/provenance.ts';
import {
  deleteMigrationSql,
  type HistoryEntry,
  insertHistoriesSql,
  insertTakenOverSql,
  type TakenOver,
  writeLedger,
} from '../migrate/ledger/record.ts';
import {
  DEFAULT_STORED_TEXT_LIMIT_BYTES,
  ledgerKey,
  type MigrateOptions,
} from '../migrate/options.ts';
import { withSession } from '../migrate/plan/read.ts';
import { quoteIdent, quoteLiteral } from '../sql/quote.ts';
import { splitStatements } from '../sql/statements.ts';
import { commandLine, sameCommand } from '../text/command-line.ts';
import type { AdoptableTool } from './foreign.ts';
import type { AdoptionPlan } from './plan.ts';
import type { PlannedMigration } from './plan-migration.ts';

/** What one adoption did, as the history keeps it, so that it can be undone. */
interface AdoptionRecord {
  tool: AdoptableTool;
  table: string | null;
  reason?: string;
  /** The files that were written, with the checksum of each. */
  files: Record<string, string>;
}

/** The rows of the ledger, and the history: one entry a migration, and one of the adoption. */
export function adoptionSql(
  plan: AdoptionPlan,
  from: MigrateOptions & {
    from: AdoptableTool;
    table: string | null;
    reason?: string | undefined;
    provenance: Provenance;
  },
): string {
  const key = ledgerKey(from);
  const rows = plan.adopted.map((one) => takenOver(one, from));
  const histories: HistoryEntry[] = rows.map(({ entry }, index) => ({
    action: 'adopted',
    version: entry.version,
    label: entry.label,
    name: entry.name,
    checksum: entry.checksum,
    detail: `from ${from.table} of ${from.from}, there ${plan.adopted[index]?.key}, compared by ${plan.adopted[index]?.verifiedBy}`,
  }));
  const detail = JSON.stringify(makeRecord(plan, from));
  return [
    ...(rows.length > 0 ? [insertTakenOverSql(key, rows)] : []),
    insertHistoriesSql(key, [...histories, { action: 'adopted', detail }], from.provenance),
  ].join('\n');
}

function takenOver(
  { version, label, name, upText, downText, row }: PlannedMigration,
  { from, storedTextLimitBytes }: MigrateOptions & { from: AdoptableTool },
): TakenOver {
  const up = scriptFromText(`${label}_${name}.sql`, upText);
  const limitBytes = storedTextLimitBytes ?? DEFAULT_STORED_TEXT_LIMIT_BYTES;
  return {
    entry: ledgerEntry(
      { version, label, name },
      { up, statements: splitStatements(upText), downText, limitBytes },
    ),
    origin: `adopted:${from}`,
    appliedAt: row?.appliedAt ?? null,
    durationMs: row?.durationMs ?? null,
  };
}

function makeRecord(
  { adopted, known, pending }: AdoptionPlan,
  {
    from,
    table,
    reason,
  }: { from: AdoptableTool; table: string | null; reason?: string | undefined },
): AdoptionRecord {
  const files = [...adopted, ...known, ...pending].flatMap((one) => one.files);
  return {
    tool: from,
    table,
    ...(reason !== undefined && { reason }),
    files: Object.fromEntries(files.map(({ name, text }) => [name, hash('sha256', text, 'hex')])),
  };
}

/** Which adoption is undone, and what the history says about it. */
export interface UndoAdoptionOptions extends MigrateOptions {
  /** Default: any adopted tool. */
  from?: AdoptableTool | undefined;
  /** Consent to undo although evdb has migrated since. */
  confirm?: boolean | undefined;
  /** The reason; recorded in the history. */
  reason?: string | undefined;
}

/**
 * What undoing an adoption removed, ledger rows and files, and what stays: files that have been changed
 * since, and what evdb itself has applied since.
 */
export interface UndoneAdoption {
  schema: string;
  /** What the ledger no longer contains. */
  forgotten: { version: string; label: string; name: string }[];
  /** Names of files that adopting wrote and that were, or would be, removed. */
  removed: string[];
  /** Names of files that adopting wrote and that have been changed since: they are kept. */
  kept: string[];
  /** Migrations that adopting wrote and that evdb has applied since: their rows and files stay. */
  applied: { version: string; label: string; name: string; files: string[] }[];
}

/**
 * Says what `undoAdoption` would do, as if it were confirmed; writes nothing.
 *
 * @throws {EvdbError} those of `undoAdoption`, without CONFIRM_REQUIRED
 * @example
 * const { removed, kept } = await planUndoAdoption(options);
 */
export function planUndoAdoption(options: UndoAdoptionOptions): Promise<UndoneAdoption> {
  return withSession(options, async (session) => (await plan(session, options)).told);
}

/**
 * Undoes what `adoptMigrations` wrote: the ledger's rows, and the files that have not been changed
 * since. The other tool's table and files were never changed, so it continues where it was.
 *
 * @throws {EvdbError} CONFIRM_REQUIRED if evdb has migrated since: the other tool does not know
 * @example
 * const { removed } = await undoAdoption({ ...options, confirm: true });
 */
export function undoAdoption(options: UndoAdoptionOptions): Promise<UndoneAdoption> {
  return withSession(options, async (worker) => {
    const first = await plan(worker, options);
    requireConfirm(first, options);
    if (isNothing(first.told)) return first.told;
    return withRunner(worker, options, async (context) => {
      const { told, rows, hasMigrated } = await plan(worker, options);
      requireConfirm({ hasMigrated }, options);
      const key = ledgerKey(options);
      const histories = insertHistoriesSql(
        key,
        [...rows.map(forgetting), { action: 'adopted' as const, detail: undoneDetail(options) }],
        context.provenance,
      );
      const deletions = rows.map(({ version }) => deleteMigrationSql(key, version));
      await writeLedger(context, [...deletions, histories].join('\n'));
      for (const name of told.removed) rmSync(join(options.directory, name), { force: true });
      return told;
    });
  });
}

const UNDONE = 'undone';

function undoneDetail({ reason }: UndoAdoptionOptions): string {
  return reason === undefined ? UNDONE : `${UNDONE}: ${reason}`;
}

function forgetting({ version, label, name, checksum, origin }: LedgerRow) {
  const detail = `no longer ${origin.replace(':', ' from ')}`;
  return { action: 'repaired' as const, version, label, name, checksum, detail };
}

async function plan(session: Session, options: UndoAdoptionOptions) {
  const ledger = await readLedger(session, ledgerKey(options));
  const { records, hasMigrated } = ledger.exists
    ? await readRecords(session, options)
    : { records: [], hasMigrated: false };
  const rows = ledger.rows.filter(({ origin }) =>
    options.from ? origin === `adopted:${options.from}` : origin.startsWith('adopted:'),
  );
  const stays = new Map(
    ledger.rows.filter((row) => !rows.includes(row)).map((row) => [row.version, row]),
  );
  const written = new Map(
    records
      .filter(({ tool }) => options.from === undefined || tool === options.from)
      .flatMap((record) => Object.entries(record.files)),
  );
  const here = [...written].filter(([name]) => existsSync(join(options.directory, name)));
  // what evdb itself has applied since still needs its files
  const files = here.filter(([name]) => !stays.has(versionOf(name)));
  const versions = new Set([...written.keys()].map(versionOf));
  const isUnchanged = ([name, checksum]: [string, string]) =>
    readChecksum(join(options.directory, name)) === checksum;
  const told: UndoneAdoption = {
    schema: ledgerKey(options).targetSchema,
    forgotten: rows.map(({ version, label, name }) => ({ version, label, name })),
    removed: files.filter(isUnchanged).map(([name]) => name),
    kept: files.filter((file) => !isUnchanged(file)).map(([name]) => name),
    applied: [...versions].flatMap((version) => {
      const row = stays.get(version);
      const own = here.flatMap(([name]) => (versionOf(name) === version ? [name] : []));
      return row ? [{ version, label: row.label, name: row.name, files: own }] : [];
    }),
  };
  return { told, rows, hasMigrated };
}

function versionOf(fileName: string): Version {
  return parseVersion(/^\d+/.exec(fileName)?.[0] ?? '');
}

/** What adoptions wrote since the last one that was undone, and whether evdb has migrated since. */
async function readRecords(session: Session, options: UndoAdoptionOptions) {
  const { ledgerSchema, targetSchema } = ledgerKey(options);
  const rows = await session.run(`
    select action, version is null as "isSummary", detail
    from ${quoteIdent(ledgerSchema)}.history
    where target_schema = ${quoteLiteral(targetSchema)}
        and (action in ('up', 'down', 'reset') or (action = 'adopted' and version is null))
    order by id`);
  const isUndo = ({ isSummary, detail }: Record<string, unknown>) =>
    isSummary === true && String(detail).startsWith(UNDONE);
  const since = rows.slice(rows.findLastIndex(isUndo) + 1);
  const first = since.findIndex(({ isSummary, action }) => isSummary && action === 'adopted');
  const ours = first < 0 ? [] : since.slice(first);
  return {
    records: ours
      .filter(({ action }) => action === 'adopted')
      .map(({ detail }) => JSON.parse(String(detail)) as AdoptionRecord),
    hasMigrated: ours.some(({ action }) => action !== 'adopted'),
  };
}

function requireConfirm({ hasMigrated }: { hasMigrated: boolean }, options: UndoAdoptionOptions) {
  if (!hasMigrated || options.confirm) return;
  throw new EvdbError(
    'CONFIRM_REQUIRED',
    'evdb has migrated since it adopted, and the other tool does not know of it',
    {
      hint: `Nothing was changed. Roll back what evdb applied (\`${commandLine('migrate down')}\`), or tell the other tool by hand; then: ${sameCommand('migrate adopt', { undo: true, confirm: true })}`,
    },
  );
}

function isNothing({ forgotten, removed }: UndoneAdoption): boolean {
  return forgotten.length === 0 && removed.length === 0;
}
