import type { Finding } from '../../finding.ts';
import type { PipelineFinding, PipelineReport } from '../../report/pipeline.ts';
import { type Cell, renderTable, type Style, type TableRenderer } from '../../report/table.ts';
import { commandLine } from '../../text/command-line.ts';
import { renderCount, renderDuration, renderTime } from '../../text/units.ts';
import { renderState } from '../../text/words.ts';
import { listRepeatables } from '../files/repeatables.ts';
import { displayPath, type Version } from '../files/version.ts';
import { ledgerKey, type MigrateOptions } from '../options.ts';
import { isBackfillRow, type MigrationState, type MigrationStatus } from './compare.ts';
import { phaseOf } from './phase.ts';
import { readAhead, readStanding, requireMigrations, withSession } from './read.ts';
import { isToApply, type RepeatableState, type RepeatableStatus } from './repeatables.ts';

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
  /** For a baseline on a database that ran what it replaces: that, such as `001-016`. */
  replaces?: string;
  /** For a `partial` one: the versions that the database lacks. */
  lacking?: Version[];
  /** Set for a pending migration that takes something from running builds of the application. */
  isContract?: true;
  /**
   * What a pending migration requires before it runs, as its header writes it, without backfills that are
   * done; absent if nothing.
   */
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
  /** The state of each repeatable, by name; absent if there is none. */
  repeatables?: RepeatableStatusEntry[];
}

/** One line of the status of repeatables. */
export interface RepeatableStatusEntry {
  name: string;
  state: RepeatableState;
  /** For display; absent if the file is missing. */
  file?: string;
  /** ISO 8601; null if it is not applied. */
  appliedAt: string | null;
  durationMs: number | null;
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
  const again = listRepeatables(options.directory).map(({ path }) => ({ upPath: path }));
  const ahead = readAhead([...files, ...again], { readsAll: true });
  const reading = withSession(options, async (session) => {
    const standing = await readStanding(session, options, files, { ahead });
    const { ledger, statuses, repeatables } = standing;
    const { targetSchema } = ledgerKey(options);
    const entries = statuses.map((status) => statusEntry(status, statuses));
    return {
      ...statusOf(targetSchema, ledger.exists, entries),
      ...(repeatables.length > 0 && { repeatables: repeatables.map(repeatableEntry) }),
    };
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

function statusEntry(status: MigrationStatus, all: readonly MigrationStatus[]): StatusEntry {
  const { version, label, name, state, row, file, replaced } = status;
  const isDone = row?.state === 'applied' && state !== 'partial';
  return {
    version,
    label,
    name,
    state,
    ...(file && { file: displayPath(file.upPath) }),
    appliedAt: isDone ? row.appliedAt : null,
    durationMs: row?.durationMs ?? null,
    origin: isDone ? row.origin : null,
    ...(replaced && { replaces: replaced.text }),
    ...(state === 'partial' && { lacking: replaced?.lacking ?? [] }),
    ...(!row && file && phaseOf(file, all)),
    ...(row && state === 'incomplete' && !isBackfillRow(row) && progressOf(row)),
  };
}

function repeatableEntry({ name, state, file, row }: RepeatableStatus): RepeatableStatusEntry {
  return {
    ...{ name, state },
    ...(file && { file: displayPath(file.path) }),
    appliedAt: row?.appliedAt ?? null,
    durationMs: row?.durationMs ?? null,
  };
}

function progressOf(row: NonNullable<MigrationStatus['row']>): Pick<StatusEntry, 'progress'> {
  const { statementsDone, statementsTotal } = row;
  return { progress: { statementsDone, statementsTotal } };
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
    partial: 0,
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
  partial: 'bad',
};

/** What each state that is not plain means, said under the table. */
const MEANINGS: Partial<Record<MigrationState, string>> = {
  reworded: 'the file differs from what was applied, but only in comments or white space',
  changed: 'the SQL of the file differs from what was applied',
  missing: 'applied, but the file is gone',
  ahead: 'applied, and not in this older checkout',
  outOfOrder: 'pending, although a newer migration is applied',
  incomplete: 'unfinished; the command that was running continues it, or says what to settle',
  partial: 'a baseline, and the database has only some of the migrations that it replaces',
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
  const { repeatables = [] } = status;
  const settled = repeatables.filter(({ state }) => state === 'applied');
  const cut = new Set(settled.slice(0, Math.max(0, settled.length - appliedLimit)));
  const again = repeatables.filter((entry) => !cut.has(entry));
  const rows = [...shown.map(renderRow), ...again.map(renderRepeatable)];
  const drawn = table(columns, rows, style);
  const parts = [
    hidden.size + cut.size > 0
      ? style.dim(`… ${hidden.size + cut.size} earlier ones are applied (--all shows them)`)
      : '',
    drawn,
    // A box ends by itself.
    ...(drawn.endsWith('┘') ? [] : ['']),
    renderCounts(status),
    ...Object.entries(MEANINGS)
      .filter(([state]) => status.counts[state as MigrationState] > 0)
      .map(([state, meaning]) => style.dim(`${renderState(state)}: ${meaning}`)),
    ...repeatables
      .filter(({ state }) => state === 'changed' || state === 'missing')
      .map((entry) => style.dim(`repeatable/${entry.name} ${REPEATABLE_SAYS[entry.state]}`)),
    ...shown.flatMap(renderPhase),
  ];
  return parts.filter((part, index) => index > 0 || part !== '').join('\n');
}

/** What a pending migration waits for, besides that somebody applies it. */
function renderPhase({ label, name, isContract, gates = [] }: StatusEntry): string[] {
  const left = commandLine('migrate up', { expand: true });
  return [
    ...(isContract ? [`${label}_${name} contracts the schema: \`${left}\` leaves it out`] : []),
    ...gates.map((gate) => `${label}_${name} waits for: ${gate}`),
  ];
}

function renderRow(entry: StatusEntry): Cell[] {
  const { label, name, state, appliedAt, durationMs, origin, progress } = entry;
  const replaced = entry.replaces === undefined ? '' : ` (replaces ${entry.replaces})`;
  const where = progress ? ` (${progress.statementsDone} of ${progress.statementsTotal})` : '';
  const other = origin === 'applied' || replaced ? null : origin;
  const from = other === null ? '' : ` (${other.replace(':', ' from ')})`;
  const phase = entry.isContract ? ' (contract)' : replaced;
  return [
    { text: label },
    { text: name },
    { text: renderState(state) + phase + where + from, colour: COLOURS[state] },
    { text: appliedAt ? renderTime(appliedAt) : '-' },
    { text: durationMs === null || !appliedAt ? '-' : renderDuration(durationMs) },
  ];
}

const REPEATABLE_COLOURS: Record<RepeatableState, keyof Style> = {
  ...{ applied: 'good', pending: 'warn', changed: 'warn', missing: 'bad' },
};

function renderRepeatable({ name, state, appliedAt, durationMs }: RepeatableStatusEntry): Cell[] {
  return [
    { text: 'repeatable' },
    { text: name },
    { text: renderState(state), colour: REPEATABLE_COLOURS[state] },
    { text: appliedAt ? renderTime(appliedAt) : '-' },
    { text: durationMs === null ? '-' : renderDuration(durationMs) },
  ];
}

/** What is to be said of a repeatable that is not applied as it stands here. */
const REPEATABLE_SAYS: Record<RepeatableState, string> = {
  applied: 'is applied',
  pending: 'is not applied yet',
  changed: 'has changed since it was applied',
  missing: 'is applied, but its file is gone; what it made stays',
};

function renderCounts({ counts, migrations, schema, repeatables = [] }: MigrationsStatus): string {
  const said = Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([state, count]) => `${count} ${renderState(state)}`);
  const again = (['applied', 'pending', 'changed', 'missing'] as const)
    .map((state) => ({ state, count: repeatables.filter((one) => one.state === state).length }))
    .filter(({ count }) => count > 0)
    .map(({ state, count }) => `${count} ${renderState(state)}`);
  const head = `${renderCount(migrations.length, 'migration')} in schema ${schema}: ${said.join(', ')}`;
  if (again.length === 0) return said.length === 0 ? head.replace(/: $/, '') : head;
  const more = `${renderCount(repeatables.length, 'repeatable')}: ${again.join(', ')}`;
  return migrations.length === 0 ? `${more} in schema ${schema}` : `${head}; ${more}`;
}

/**
 * Migrations that are not applied as they stand here.
 *
 * @param isChecked whether what is not applied as it stands here is an error, as with `--check`
 */
export function findingsOfStatus(
  { migrations, repeatables = [] }: MigrationsStatus,
  isChecked: boolean,
): Finding[] {
  return [
    ...migrations.flatMap((migration) => findingOf(migration, isChecked) ?? []),
    ...repeatables.flatMap((entry) => findingOfRepeatable(entry, isChecked) ?? []),
  ];
}

/**
 * Whether everything is applied as it stands here, but for comments and white space.
 *
 * @example if (!isUpToDate(await readStatus(options))) process.exitCode = 3;
 */
export function isUpToDate({ counts, repeatables = [] }: MigrationsStatus): boolean {
  const { applied: _, reworded: __, ...others } = counts;
  const isSettled = Object.values(others).every((count) => count === 0);
  return isSettled && !repeatables.some((one) => isToApply(one) || one.state === 'missing');
}

function findingOfRepeatable(
  { name, state, file }: RepeatableStatusEntry,
  isChecked: boolean,
): Finding | undefined {
  if (state === 'applied') return undefined;
  return {
    code: state,
    severity: isChecked ? 'error' : 'warning',
    message: `repeatable/${name} ${REPEATABLE_SAYS[state]}`,
    ...(file !== undefined && { location: { file } }),
    objects: [],
  };
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
  partial: 'replaces migrations of which the database has only some',
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
  const { migrations, repeatables = [] } = status;
  return {
    command: 'migrate status',
    checks: [
      ...migrations.map(({ label, name }) => ({ name: `${label}_${name}` })),
      ...repeatables.map(({ name }) => ({ name: `repeatable/${name}` })),
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
      ...repeatables.flatMap((entry): PipelineFinding[] => {
        const finding = findingOfRepeatable(entry, isChecked);
        if (finding === undefined) return [];
        const { location } = finding;
        const check = `repeatable/${entry.name}`;
        return [{ ...finding, check, ...(location && { location: { ...location, line: 1 } }) }];
      }),
      ...(drift ?? []).map(findingOfDrift),
    ],
    summary: renderCounts(status),
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
