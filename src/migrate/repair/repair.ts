import type { Asked, Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { splitStatements } from '../../sql/statements.ts';
import { sameCommand } from '../../text/command-line.ts';
import type { ApplyContext } from '../apply/context.ts';
import { withRunner } from '../apply/runner.ts';
import { listMigrations, type MigrationFile, readScript, readTextToKeep } from '../files/source.ts';
import type { Version } from '../files/version.ts';
import { finishStatementSql, forgetStartedSql } from '../ledger/journal.ts';
import { type LedgerRow, ledgerEntry } from '../ledger/ledger.ts';
import { fenceSql, isFenced, leaseLost, listRunners } from '../ledger/lock.ts';
import {
  acceptEntrySql,
  deleteMigrationSql,
  insertHistorySql,
  type LedgerEntry,
  writeLedger,
} from '../ledger/record.ts';
import { DEFAULT_STORED_TEXT_LIMIT_BYTES, ledgerKey, type MigrateOptions } from '../options.ts';
import type { MigrationState, MigrationStatus } from '../plan/compare.ts';
import { readDiffs } from '../plan/diffs.ts';
import { fullName } from '../plan/plan.ts';
import { prepareSteps } from '../plan/prepare.ts';
import { readStanding, withSession } from '../plan/read.ts';
import {
  nothingInDoubt,
  type PlannedRepairDecision,
  planRepair,
  type Repair,
  type RepairAction,
  type RepairRequest,
  type RepairSelection,
  type Verdict,
} from './repair-plan.ts';

/** What `repairMigrations` needs in addition to the options of every command on migrations. */
export interface MigrateRepairOptions extends MigrateOptions, RepairRequest {
  /** Needed for a repair that is only right if you know that it is. */
  confirm?: boolean | undefined;
  /** The reason; recorded in the history. */
  reason?: string | undefined;
}

/** What was repaired, and what a person has to decide. */
export interface MigrateRepairResult {
  schema: string;
  repairs: RepairedMigration[];
  /** What was left alone because it needs a decision. */
  decisions: RepairDecision[];
}

/** One row of the ledger that was, or would be, repaired. */
export interface RepairedMigration {
  version: Version;
  label: string;
  name: string;
  /** What was wrong with it. */
  state: MigrationState;
  action: RepairAction;
  /** Why `--confirm` is needed; null if it is not. */
  risk: string | null;
  /** `is`: null if the row is removed. */
  checksum: { was: string; is: string | null };
  /** For `settle`: the statement, from 1, and the decision about it. */
  settled?: { statement: number; as: Verdict };
  /** From what was applied to the file, if both are available. */
  diff?: string;
}

/** A decision with the difference, if it is available. */
export type RepairDecision = PlannedRepairDecision & { diff?: string };

/**
 * Says what `repairMigrations` would do, as if it were confirmed; writes nothing.
 *
 * @throws {EvdbError} those of `repairMigrations`, without CONFIRM_REQUIRED
 * @example
 * const { repairs, decisions } = await planMigrateRepair(options);
 */
export function planMigrateRepair(options: MigrateRepairOptions): Promise<MigrateRepairResult> {
  const files = listMigrations(options.directory);
  return withSession(options, async (session) => {
    const { repairs, decisions } = await prepareRepairs(session, options, files);
    return makeResult(options, repairs, decisions);
  });
}

/**
 * Makes ledger and files agree, without running a migration. Without a version: accepts files that
 * differ only in comments or white space, and lists what needs a decision. Everything is one
 * transaction, with an entry in the history for each.
 *
 * @throws {EvdbError} USAGE, UNKNOWN_VERSION, CONFIRM_REQUIRED (with the diff in `details.diff`),
 *   INCOMPLETE_MIGRATION, those of `requireMigrations`, and of `migrateUp` for a changed file
 * @example
 * await repairMigrations({ connection, directory, version: '003', confirm: true, reason: 'typo' });
 */
export function repairMigrations(options: MigrateRepairOptions): Promise<MigrateRepairResult> {
  const files = listMigrations(options.directory);
  return withSession(options, async (worker) => {
    const first = await prepareRepairs(worker, options, files);
    requireConfirm(first.repairs, options);
    if (first.repairs.length === 0) return makeResult(options, [], first.decisions);
    return withRunner(worker, options, async (context) => {
      // Another runner may have changed what was seen before the lock.
      const { repairs, decisions } = await prepareRepairs(worker, options, files);
      requireConfirm(repairs, options);
      await write(repairs, options, context);
      return makeResult(options, repairs, decisions);
    });
  });
}

/** Settling comes alone, because it needs a version. */
async function write(
  repairs: PreparedRepair[],
  options: MigrateRepairOptions,
  context: ApplyContext,
): Promise<void> {
  const { as, reason } = options;
  const settling = repairs.find(({ told }) => told.action === 'settle');
  if (settling && as) {
    await resolveInterrupted(context, settling.row, { as, reason });
    return;
  }
  const sql = repairs.map((repair) => repairSql(repair, options, context.provenance));
  if (sql.length > 0) await writeLedger(context, sql.join('\n'));
}

/**
 * Settles what evdb could not find out: whether the statement in which a no-transaction migration
 * was interrupted is done. The next `up`, or `down` where it was being rolled back, goes on behind
 * it, or runs it again.
 *
 * @param context of a runner, which holds the lock (`withRunner`)
 * @param row of the interrupted migration, as read under that lock
 * @param reason kept in the history
 * @returns the number of the statement, from 1
 * @throws {EvdbError} USAGE where no statement of it is in doubt
 * @example
 * await withRunner(session, options, (context, rows) =>
 *   resolveInterrupted(context, rowOf(rows, '7'), { as: 'done', reason: 'looked at the table' }));
 */
export async function resolveInterrupted(
  { observer, key, provenance }: Pick<ApplyContext, 'key' | 'provenance'> & { observer: Asked },
  row: LedgerRow,
  { as, reason }: { as: Verdict; reason?: string | undefined },
): Promise<number> {
  const { version, label, name, checksum, statementStarted } = row;
  if (statementStarted === null) throw nothingInDoubt(row);
  const statement = { index: statementStarted - 1 };
  const sql = as === 'done' ? finishStatementSql : forgetStartedSql;
  const said = `statement ${statementStarted} of ${row.statementsTotal} is ${as === 'done' ? 'done' : 'not done'}`;
  const history = insertHistorySql(
    key,
    {
      action: 'repaired',
      ...{ version, label, name, checksum },
      detail: reason === undefined ? said : `${said}: ${reason}`,
    },
    provenance,
  );
  await observer
    .run(`begin; ${fenceSql(key)}${sql(key, version, statement)} ${history} commit;`)
    .catch((error: unknown) => {
      throw isFenced(error, key) ? leaseLost() : error;
    });
  return statementStarted;
}

function requireConfirm(repairs: PreparedRepair[], { confirm }: MigrateRepairOptions): void {
  const risky = repairs.find(({ told }) => told.risk !== null)?.told;
  if (!risky || confirm) return;
  const forget = risky.action === 'forget' && risky.state !== 'missing' ? true : undefined;
  const again = sameCommand('migrate repair', { forget, confirm: true }, { args: [risky.label] });
  throw new EvdbError('CONFIRM_REQUIRED', `${describeProblem(risky)}: ${risky.risk}`, {
    hint: `Nothing was changed. If that is intended: ${again}`,
    details: { version: risky.version, state: risky.state, diff: risky.diff },
  });
}

function describeProblem(repair: RepairedMigration): string {
  if (repair.action === 'accept') return `the SQL of ${fullName(repair)} changed`;
  return repair.state === 'missing' || repair.state === 'ahead'
    ? `${fullName(repair)} is applied and has no file`
    : `the ledger would forget ${fullName(repair)}`;
}

function repairSql(
  { told, entry }: PreparedRepair,
  options: MigrateRepairOptions,
  provenance: Parameters<typeof insertHistorySql>[2],
): string {
  const key = ledgerKey(options);
  const { version, label, name, state, action, checksum } = told;
  const done = `${action === 'forget' ? 'forgot the row' : 'took over the file'}, which was ${state}; its checksum was ${checksum.was}`;
  const history = insertHistorySql(
    key,
    {
      action: 'repaired',
      version,
      label,
      name,
      checksum: checksum.is ?? checksum.was,
      detail: options.reason ? `${options.reason} (${done})` : done,
    },
    provenance,
  );
  return `${entry ? acceptEntrySql(key, entry) : deleteMigrationSql(key, version)}\n${history}`;
}

function makeResult(
  options: MigrateRepairOptions,
  repairs: PreparedRepair[],
  decisions: MigrateRepairResult['decisions'],
): MigrateRepairResult {
  return {
    schema: ledgerKey(options).targetSchema,
    repairs: repairs.map(({ told }) => told),
    decisions,
  };
}

/** A repair with what is written for it. */
interface PreparedRepair {
  told: RepairedMigration;
  row: LedgerRow;
  entry?: LedgerEntry;
}

/** Reads files and ledger, decides, and reads what is to be written. Writes nothing. */
async function prepareRepairs(
  session: Session,
  options: MigrateOptions & RepairRequest,
  files: MigrationFile[],
): Promise<{ repairs: PreparedRepair[]; decisions: RepairDecision[] }> {
  const { statuses } = await readStanding(session, options, files);
  const selection = planRepair(statuses, options);
  const diffs = await readDiffs(session, options, touched(selection, statuses));
  const repairs: PreparedRepair[] = [];
  for (const repair of selection.repairs) {
    const entry =
      repair.action === 'accept' ? await readEntry(session, options, repair) : undefined;
    repairs.push({
      told: tell(repair, entry, { diff: diffs.get(repair.status.version), as: options.as }),
      row: repair.status.row as LedgerRow,
      ...(entry && { entry }),
    });
  }
  const settled = await withoutRunning(session, options, selection.decisions);
  const decisions = settled.map((decision) => {
    const diff = diffs.get(decision.version);
    return diff === undefined ? decision : { ...decision, diff };
  });
  return { repairs, decisions };
}

/** What looks interrupted may be at work in another session. */
async function withoutRunning(
  session: Session,
  options: MigrateOptions,
  decisions: PlannedRepairDecision[],
): Promise<PlannedRepairDecision[]> {
  if (decisions.every(({ state }) => state !== 'incomplete')) return decisions;
  const holders = await listRunners(session, ledgerKey(options), options.lock);
  const isRunning = holders.some(({ pid }) => pid !== session.facts.pid);
  return isRunning ? decisions.filter(({ state }) => state !== 'incomplete') : decisions;
}

function touched(
  { repairs, decisions }: RepairSelection,
  statuses: MigrationStatus[],
): MigrationStatus[] {
  const versions = new Set([
    ...repairs.map(({ status }) => status.version),
    ...decisions.map(({ version }) => version),
  ]);
  return statuses.filter(({ version }) => versions.has(version));
}

function tell(
  { status, action, risk }: Repair,
  entry: LedgerEntry | undefined,
  { diff, as }: { diff: string | undefined; as: Verdict | undefined },
): RepairedMigration {
  const { version, label, name, state, row } = status;
  const was = row?.checksum ?? '';
  const is = action === 'settle' ? was : (entry?.checksum ?? null);
  const statement = row?.statementStarted;
  return {
    ...{ version, label, name, state, action, risk, checksum: { was, is } },
    ...(as && statement != null && { settled: { statement, as } }),
    ...(diff !== undefined && { diff }),
  };
}

/** What the ledger is to hold. Changed SQL is checked as before a run; reworded SQL has run. */
async function readEntry(
  session: Session,
  options: MigrateOptions,
  { status }: Repair,
): Promise<LedgerEntry> {
  const { file, state } = status;
  const limitBytes = options.storedTextLimitBytes ?? DEFAULT_STORED_TEXT_LIMIT_BYTES;
  if (state === 'changed') {
    const selection = { direction: 'up' as const, migrations: [status], warnings: [] };
    const { steps } = await prepareSteps(selection, {
      ...{ storedTextLimitBytes: limitBytes, session, key: ledgerKey(options) },
      variables: options.variables,
    });
    return steps[0]?.entry as LedgerEntry;
  }
  const up = readScript(file?.upPath as string);
  const downText = file?.downPath ? readTextToKeep(file.downPath) : null;
  const statements = splitStatements(up.text);
  return ledgerEntry(status, { up, statements, downText, limitBytes });
}
