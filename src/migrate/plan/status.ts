import type { Finding } from '../../finding.ts';
import type { PipelineFinding, PipelineReport } from '../../report/pipeline.ts';
import { type Cell, renderTable, type Style, type TableRenderer } from '../../report/table.ts';
import { renderCount, renderDuration, renderTime } from '../../text/units.ts';
import { renderState } from '../../text/words.ts';
import { type MigrationFile, readScript } from '../files/source.ts';
import { displayPath, type Version } from '../files/version.ts';
import { ledgerKey, type MigrateOptions } from '../options.ts';
import { isBackfillRow, type MigrationState, type MigrationStatus } from './compare.ts';
import { readAhead, readStanding, requireMigrations, withSession } from './read.ts';

/** One line of the status. */
export interface StatusEntry {
  version: Version;
  label: string;
  name: string;
  state: MigrationState;
  /** The path of the up script for display; absent if the file is missing. */
  file?: string;
  /** ISO 8601; null if it is not applied. */
  appliedAt: string | null;
  durationMs: number | null;
  /** `applied`, `baseline` or `adopted:<tool>`; null if it is not applied. */
  origin: string | null;
  /** Set for a pending migration that takes something from running builds of the application. */
  isContract?: true;
  /** What a pending migration requires before it runs, as its header writes it; absent if nothing. */
  gates?: string[];
  /** Set for a no-transaction script that stopped halfway. */
  progress?: { statementsDone: number; statementsTotal: number };
}

/** The state of every migration of a schema. */
export interface MigrationsStatus {
  schema: string;
  /** False if no migration has ever run on this database. */
  hasLedger: boolean;
  migrations: StatusEntry[];
  counts: Record<MigrationState, number>;
}

/**
 * Returns the state of each migration. Writes nothing, not even the ledger.
 *
 * @throws {EvdbError} MIGRATIONS_DIR_MISSING, MIGRATIONS_DIR_EMPTY, INVALID_NAME,
 *   DUPLICATE_VERSION, LEDGER_TOO_NEW, PERMISSION_DENIED, and those of `pingDatabase`
 * @example
 * const { counts } = await readStatus({ connection, directory: 'migrations' });
 * if (counts.pending > 0) console.error(`${counts.pending} migrations are pending`);
 */
export async function readStatus(options: MigrateOptions): Promise<MigrationsStatus> {
  const files = requireMigrations(options);
  const ahead = readAhead(files, { readsAll: true });
  const reading = withSession(options, async (session) => {
    const { ledger, statuses } = await readStanding(session, options, files, ahead);
    return statusOf(ledgerKey(options).targetSchema, ledger.exists, statuses.map(statusEntry));
  });
  return reading.finally(ahead.stop);
}

/**
 * The state of these migrations, counted.
 *
 * @example statusOf('public', false, []).counts.pending // 0
 */
export function statusOf(
  schema: string,
  hasLedger: boolean,
  migrations: StatusEntry[],
): MigrationsStatus {
  return { schema, hasLedger, migrations, counts: countStates(migrations) };
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
    ...(!row && file && headerOf(file)),
    ...(row &&
      !isDone &&
      !isBackfillRow(row) && {
        progress: { statementsDone: row.statementsDone, statementsTotal: row.statementsTotal },
      }),
  };
}

/** What the header of a pending file says of its phase; a file that cannot be read is told by `up`. */
function headerOf({ upPath }: MigrationFile): Pick<StatusEntry, 'isContract' | 'gates'> {
  try {
    const { isContract, gates } = readScript(upPath).directives;
    return {
      ...(isContract && { isContract }),
      ...(gates && { gates: gates.map(({ text }) => text) }),
    };
  } catch {
    return {};
  }
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

const COLOURS: Record<MigrationState, keyof Style> = {
  applied: 'good',
  pending: 'warn',
  reworded: 'warn',
  ahead: 'warn',
  outOfOrder: 'bad',
  changed: 'bad',
  missing: 'bad',
  incomplete: 'bad',
};

/** What each state that is not plain means, said under the table. */
const MEANINGS: Partial<Record<MigrationState, string>> = {
  reworded: 'the file differs from what was applied, but only in comments or white space',
  changed: 'the SQL of the file differs from what was applied',
  missing: 'applied, but the file is gone',
  ahead: 'applied, and not in this older checkout',
  outOfOrder: 'pending, although a newer migration is applied',
  incomplete: 'unfinished (no-transaction or backfill); the command that was running continues it',
};

interface StatusRenderOptions {
  style: Style;
  /** Show so many plain applied rows at most, the newest; default: all. */
  appliedLimit?: number | undefined;
  /** Default `renderTable`. */
  table?: TableRenderer | undefined;
}

/** The status as a table, a line that counts, and what the unusual states mean. */
export function renderStatus(status: MigrationsStatus, options: StatusRenderOptions): string {
  const { style, appliedLimit = Number.POSITIVE_INFINITY, table = renderTable } = options;
  const applied = status.migrations.filter(({ state }) => state === 'applied');
  const hidden = new Set(applied.slice(0, Math.max(0, applied.length - appliedLimit)));
  const shown = status.migrations.filter((entry) => !hidden.has(entry));
  const columns = [
    { title: 'version' },
    { title: 'name', text: 'cuts' as const },
    { title: 'state' },
    { title: 'applied', priority: 1 },
    { title: 'took', align: 'right' as const, priority: 2 },
  ];
  const drawn = table(columns, shown.map(renderRow), style);
  const parts = [
    hidden.size > 0
      ? style.dim(`… ${hidden.size} earlier ones are applied (--all shows them)`)
      : '',
    drawn,
    // A box ends by itself.
    ...(drawn.endsWith('┘') ? [] : ['']),
    renderCounts(status),
    ...Object.entries(MEANINGS)
      .filter(([state]) => status.counts[state as MigrationState] > 0)
      .map(([state, meaning]) => style.dim(`${renderState(state)}: ${meaning}`)),
    ...shown.flatMap(({ label, name, gates = [] }) =>
      gates.map((gate) => `${label}_${name} waits for: ${gate}`),
    ),
  ];
  return parts.filter((part, index) => index > 0 || part !== '').join('\n');
}

function renderRow(entry: StatusEntry): Cell[] {
  const { label, name, state, appliedAt, durationMs, origin, progress } = entry;
  const where = progress ? ` (${progress.statementsDone} of ${progress.statementsTotal})` : '';
  const from = origin === null || origin === 'applied' ? '' : ` (${origin.replace(':', ' from ')})`;
  const phase = entry.isContract ? ' (contract)' : '';
  return [
    { text: label },
    { text: name },
    { text: renderState(state) + phase + where + from, colour: COLOURS[state] },
    { text: appliedAt ? renderTime(appliedAt) : '-' },
    { text: durationMs === null || !appliedAt ? '-' : renderDuration(durationMs) },
  ];
}

function renderCounts({ counts, migrations, schema }: MigrationsStatus): string {
  const said = Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([state, count]) => `${count} ${renderState(state)}`);
  return `${renderCount(migrations.length, 'migration')} in schema ${schema}: ${said.join(', ')}`;
}

/**
 * Migrations that are not applied as they stand here.
 *
 * @param isChecked whether what is not applied as it stands here is an error, as with `--check`
 */
export function findingsOfStatus({ migrations }: MigrationsStatus, isChecked: boolean): Finding[] {
  return migrations.flatMap((migration) => findingOf(migration, isChecked) ?? []);
}

function findingOf(
  { label, name, state, file }: StatusEntry,
  isChecked: boolean,
): Finding | undefined {
  const says = STATE_SAYS[state];
  if (says === undefined) return undefined;
  return {
    code: state,
    severity: state === 'reworded' ? 'info' : isChecked ? 'error' : 'warning',
    message: `${label}_${name} ${says}`,
    ...(file !== undefined && { location: { file } }),
    objects: [],
  };
}

/** What is to be said of a migration in each state that is not plain. */
export const STATE_SAYS: Partial<Record<MigrationState, string>> = {
  pending: 'is not applied yet',
  reworded: 'differs from what was applied, but only in comments or white space',
  changed: 'changed after it was applied',
  missing: 'is applied, but its file is gone',
  ahead: 'is applied and not here: this checkout is older than the database',
  outOfOrder: 'is pending, but a newer migration is applied',
  incomplete: 'stopped half way',
};

/**
 * Where the migrations stand, for a pipeline.
 *
 * @param isChecked whether what is not applied as it stands here is an error, as with `--check`
 * @param drift what was changed by hand, each object in the lines of `describeDifferences`
 */
export function pipelineOfStatus(
  status: MigrationsStatus,
  isChecked: boolean,
  drift?: readonly (readonly string[])[],
): PipelineReport {
  const { migrations, counts, schema } = status;
  const parts = Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([state, count]) => `${count} ${renderState(state)}`);
  return {
    command: 'migrate status',
    checks: [
      ...migrations.map(({ label, name }) => ({ name: `${label}_${name}` })),
      ...(drift ? [{ name: DRIFT }] : []),
    ],
    findings: [
      ...migrations.flatMap((migration): PipelineFinding[] => {
        const finding = findingOf(migration, isChecked);
        if (finding === undefined) return [];
        const { location } = finding;
        const check = `${migration.label}_${migration.name}`;
        return [{ ...finding, check, ...(location && { location: { ...location, line: 1 } }) }];
      }),
      ...(drift ?? []).map(findingOfDrift),
    ],
    summary: `${renderCount(migrations.length, 'migration')} in schema ${schema}: ${parts.join(', ')}`,
  };
}

const DRIFT = 'drift';

function findingOfDrift([head = '', ...parts]: readonly string[]): PipelineFinding {
  const says = { '+': 'was added', '-': 'was removed' }[head[0] ?? ''] ?? 'was changed';
  return {
    ...{ check: DRIFT, code: DRIFT, severity: 'error', objects: [] },
    message: `${head.slice(2)}: ${says} by hand`,
    ...(parts.length > 0 && { details: { diff: parts.join('\n') } }),
  };
}
