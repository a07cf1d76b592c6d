import { displayPath, type Version } from '../files/version.ts';
import { ledgerKey, type MigrateOptions } from '../options.ts';
import type { MigrationState, MigrationStatus } from './compare.ts';
import { readChecksums, readStanding, requireMigrations, withSession } from './read.ts';

/** One line of the status. */
export interface StatusEntry {
  version: Version;
  label: string;
  name: string;
  state: MigrationState;
  /** The up script as shown to people; absent where it is not here. */
  file?: string;
  /** ISO 8601; null where it is not applied. */
  appliedAt: string | null;
  durationMs: number | null;
  /** `applied`, `baseline` or `adopted:<tool>`; null where it is not applied. */
  origin: string | null;
  /** Set for a no-transaction script that stopped half way. */
  progress?: { statementsDone: number; statementsTotal: number };
}

export interface MigrationsStatus {
  schema: string;
  /** False where no migration has ever run on this database. */
  hasLedger: boolean;
  migrations: StatusEntry[];
  counts: Record<MigrationState, number>;
}

/**
 * Tells where each migration stands. Writes nothing, not even the ledger.
 *
 * @throws {EvdbError} MIGRATIONS_DIR_MISSING, MIGRATIONS_DIR_EMPTY, INVALID_NAME,
 *   DUPLICATE_VERSION, LEDGER_TOO_NEW, PERMISSION_DENIED, and those of `openSession`
 * @example
 * const { counts } = await readStatus({ connection, directory: 'migrations' });
 * if (counts.pending > 0) console.error(`${counts.pending} migrations are pending`);
 */
export async function readStatus(options: MigrateOptions): Promise<MigrationsStatus> {
  const files = requireMigrations(options);
  const reading = new AbortController();
  const checksums = readChecksums(files, reading.signal);
  // whoever fails first, the other must not fail unheard
  checksums.catch(() => undefined);
  try {
    return await withSession(options, async (session) => {
      const { ledger, statuses } = await readStanding(session, options, files, checksums);
      const migrations = statuses.map(statusEntry);
      return {
        schema: ledgerKey(options).targetSchema,
        hasLedger: ledger.exists,
        migrations,
        counts: countStates(migrations),
      };
    });
  } finally {
    reading.abort();
  }
}

function statusEntry({ version, label, name, state, row, file }: MigrationStatus): StatusEntry {
  const isDone = row?.state === 'applied';
  return {
    version,
    label,
    name,
    state,
    ...(file && { file: displayPath(file.upPath) }),
    appliedAt: isDone ? row.appliedAt : null,
    durationMs: row?.durationMs ?? null,
    origin: isDone ? row.origin : null,
    ...(row &&
      !isDone && {
        progress: { statementsDone: row.statementsDone, statementsTotal: row.statementsTotal },
      }),
  };
}

function countStates(migrations: StatusEntry[]): Record<MigrationState, number> {
  const counts: Record<MigrationState, number> = {
    applied: 0,
    pending: 0,
    reworded: 0,
    changed: 0,
    missing: 0,
    ahead: 0,
    outOfOrder: 0,
    incomplete: 0,
  };
  for (const { state } of migrations) counts[state] += 1;
  return counts;
}
