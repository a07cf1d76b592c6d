import { listLockHolders } from '../connection/blockers.ts';
import type { Session } from '../connection/session.ts';
import { splitStatements } from '../sql/statements.ts';
import { readDiffs } from './changes.ts';
import type { MigrationState, MigrationStatus } from './compare.ts';
import { ledgerEntry } from './entry.ts';
import type { LedgerRow } from './ledger.ts';
import { runnerLock } from './lock.ts';
import { DEFAULT_STORED_TEXT_LIMIT_BYTES, ledgerKey, type MigrateOptions } from './options.ts';
import { prepareSteps } from './prepare.ts';
import { readStanding } from './read.ts';
import type { LedgerEntry } from './record.ts';
import {
  type Decision,
  planRepair,
  type Repair,
  type RepairAction,
  type RepairRequest,
  type RepairSelection,
} from './repair-plan.ts';
import type { Verdict } from './resume.ts';
import { type MigrationFile, readScript, readTextToKeep } from './source.ts';
import type { Version } from './version.ts';

/** One row of the ledger that was, or would be, repaired. */
export interface RepairedMigration {
  version: Version;
  label: string;
  name: string;
  /** What was wrong with it. */
  state: MigrationState;
  action: RepairAction;
  /** Why `--confirm` is needed; null where it is not. */
  risk: string | null;
  /** `is`: null where the row goes. */
  checksum: { was: string; is: string | null };
  /** For `settle`: the statement, from 1, and what was said of it. */
  settled?: { statement: number; as: Verdict };
  /** From what was applied to the file, where both are at hand. */
  diff?: string;
}

/** A decision with what differs, where that is at hand. */
export type RepairDecision = Decision & { diff?: string };

/** A repair with what is written for it. */
export interface PreparedRepair {
  told: RepairedMigration;
  row: LedgerRow;
  entry?: LedgerEntry;
}

/** Reads files and ledger, decides, and reads what is to be written. Writes nothing. */
export async function prepareRepairs(
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
  decisions: Decision[],
): Promise<Decision[]> {
  if (decisions.every(({ state }) => state !== 'incomplete')) return decisions;
  const holders = await listLockHolders(session, runnerLock(ledgerKey(options)));
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
    const { steps } = await prepareSteps(selection, { storedTextLimitBytes: limitBytes, session });
    return steps[0]?.entry as LedgerEntry;
  }
  const up = readScript(file?.upPath as string);
  const downText = file?.downPath ? readTextToKeep(file.downPath) : null;
  const statements = splitStatements(up.text);
  return ledgerEntry(status, { up, statements, downText, limitBytes });
}
