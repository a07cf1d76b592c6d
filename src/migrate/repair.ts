import { EvdbError } from '../errors.ts';
import { sameCommand } from '../text/command-line.ts';
import type { ApplyContext } from './apply-context.ts';
import { writeLedger } from './ledger-write.ts';
import { ledgerKey, type MigrateOptions } from './options.ts';
import { fullName } from './plan.ts';
import { withSession } from './read.ts';
import { acceptEntrySql, deleteMigrationSql, insertHistorySql } from './record.ts';
import type { RepairRequest } from './repair-plan.ts';
import {
  type PreparedRepair,
  prepareRepairs,
  type RepairDecision,
  type RepairedMigration,
} from './repair-prepare.ts';
import { resolveInterrupted } from './resume.ts';
import { withRunner } from './runner.ts';
import { listMigrations } from './source.ts';

export interface MigrateRepairOptions extends MigrateOptions, RepairRequest {
  /** Needed for a repair that is only right where somebody knows that it is. */
  confirm?: boolean | undefined;
  /** Why; goes into the history. */
  reason?: string | undefined;
}

export interface MigrateRepairResult {
  schema: string;
  repairs: RepairedMigration[];
  /** What was left alone because somebody has to decide. */
  decisions: RepairDecision[];
}

/**
 * Says what `repairMigrations` would do, as if it were confirmed; writes nothing.
 *
 * @throws {EvdbError} those of `repairMigrations`, without CONFIRM_REQUIRED
 */
export function planMigrateRepair(options: MigrateRepairOptions): Promise<MigrateRepairResult> {
  const files = listMigrations(options.directory);
  return withSession(options, async (session) => {
    const { repairs, decisions } = await prepareRepairs(session, options, files);
    return makeResult(options, repairs, decisions);
  });
}

/**
 * Makes ledger and files agree, without running a migration. Without a version: takes over files
 * that differ only in comments or white space, and lists what somebody has to decide. Everything
 * is one transaction, with an entry in the history for each.
 *
 * @throws {EvdbError} USAGE, UNKNOWN_VERSION, CONFIRM_REQUIRED (with the diff in `details.diff`),
 *   INCOMPLETE_MIGRATION, those of `listMigrations`, and of `prepareSteps` for a changed file
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

function requireConfirm(repairs: PreparedRepair[], { confirm }: MigrateRepairOptions): void {
  const risky = repairs.find(({ told }) => told.risk !== null)?.told;
  if (!risky || confirm) return;
  const forget = risky.action === 'forget' && risky.state !== 'missing' ? true : undefined;
  const again = sameCommand('migrate repair', { forget, confirm: true }, { args: [risky.label] });
  throw new EvdbError('CONFIRM_REQUIRED', `${describeProblem(risky)}: ${risky.risk}`, {
    hint: `Nothing was changed. When that is meant: ${again}`,
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
