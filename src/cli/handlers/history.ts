import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Config } from '../../config/resolve.ts';
import { withInspection, withWriting } from '../../connection/inspection.ts';
import type { ConnectionOptions } from '../../connection/options.ts';
import type { Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { readPlainFile, whyUnreadable, writeFileWhole } from '../../file-system.ts';
import { diffSnapshots } from '../../history/diff.ts';
import { renderDiff, renderSnapshots } from '../../history/report.ts';
import { readStatsSnapshot } from '../../history/snapshot.ts';
import type { MigrationResult } from '../../migrate/apply/migrator.ts';
import type { MigrateUpOptions } from '../../migrate/checks/up.ts';
import { readMigrationHistory } from '../../migrate/ledger/history.ts';
import type { ReportNote } from '../../report/columns.ts';
import { chooseSnapshot, keepSnapshots, listSnapshots, readSnapshot } from '../../stats/history.ts';
import {
  parseSnapshotFile,
  renderSnapshotFile,
  type SnapshotReason,
  type StatsSnapshot,
} from '../../stats/snapshot-format.ts';
import { commandLine } from '../../text/command-line.ts';
import { DAY_MS, renderBytes, renderCount } from '../../text/units.ts';
import { type CliContext, loadRenderOptions } from '../context.ts';
import type { CommandInput, CommandResult } from '../define.ts';
import { loadDirectConnection } from '../settings.ts';

/** What a snapshot is chosen by. */
export type SnapshotChoice = { version: string } | { at: Date } | { file: string };

export async function handleSnapshot(input: CommandInput): Promise<CommandResult> {
  const { flags, context } = input;
  const { config, connection } = await loadDirectConnection(input);
  const { ledgerSchema } = config;
  if (flags.list) {
    const entries = await withInspection(connection, (session) =>
      listSnapshots(session, { ledgerSchema }),
    );
    const howOf = await loadRenderOptions(input);
    return { data: { snapshots: entries }, text: renderSnapshots(entries, howOf()) };
  }
  const snapshot = await takeSnapshot(config, connection);
  for (const { text } of snapshot.notes) context.note(`unknown  ${text}\n`);
  const facts = summaryOf(snapshot);
  const to = flags.to as string | undefined;
  if (to !== undefined) {
    const content = renderSnapshotFile(snapshot);
    writeFileWhole(resolve(context.cwd, to), content);
    const data = { ...facts, id: null, file: to, sizeBytes: Buffer.byteLength(content) };
    return { data, text: `wrote ${to}: ${describe(data)}` };
  }
  const keepMs = flags.keepDays === undefined ? undefined : Number(flags.keepDays) * DAY_MS;
  const [entry] = await withWriting(connection, (session) =>
    keepSnapshots(session, [snapshot], { ledgerSchema, keepMs }),
  );
  const data = { ...facts, id: entry?.id ?? null, file: null, sizeBytes: entry?.sizeBytes ?? 0 };
  return { data, text: `kept snapshot ${data.id}: ${describe(data)}` };
}

function takeSnapshot(
  { schema, ledgerSchema, doctor }: Config,
  connection: ConnectionOptions,
  reason: SnapshotReason = 'requested',
): Promise<StatsSnapshot> {
  return readStatsSnapshot(connection, {
    ...{ reason, ledgerSchema },
    doctor: { schema, ledgerSchema, ignore: doctor.ignore },
  });
}

function summaryOf({ takenAt, reason, ...lists }: StatsSnapshot) {
  const { tables, indexes, statements, settings, findings, notes } = lists;
  return {
    takenAt,
    reason,
    counts: {
      tables: tables.length,
      indexes: indexes.length,
      statements: statements?.length ?? null,
      settings: Object.keys(settings).length,
      findings: findings?.length ?? null,
    },
    notes,
  };
}

function describe({
  counts,
  sizeBytes,
}: Pick<ReturnType<typeof summaryOf>, 'counts'> & { sizeBytes: number }): string {
  const { tables, indexes, statements, findings } = counts;
  const parts = [
    renderCount(tables, 'table'),
    renderCount(indexes, 'index', 'indexes'),
    statements === null ? 'statements unknown' : renderCount(statements, 'statement'),
    ...(findings === null ? [] : [renderCount(findings, 'finding')]),
  ];
  return `${parts.join(', ')}; ${renderBytes(sizeBytes)}`;
}

export async function handleDiff(input: CommandInput): Promise<CommandResult> {
  const { flags, context } = input;
  const { config, connection } = await loadDirectConnection(input);
  const since = flags.since as unknown as SnapshotChoice | undefined;
  const until = flags.until as unknown as SnapshotChoice | undefined;
  const { before, stored, notes } = await withInspection(connection, async (session) => {
    const chosen = await choose(session, config, { ...context, choice: since });
    const other =
      until && (await choose(session, config, { ...context, choice: until, isUntil: true }));
    return {
      before: chosen.snapshot,
      stored: other?.snapshot,
      notes: [...chosen.notes, ...(other?.notes ?? [])],
    };
  });
  const after = stored ?? (await takeSnapshot(config, connection));
  if (after.takenAt <= before.takenAt) {
    throw new EvdbError('USAGE', 'there is no later snapshot to compare with', {
      hint: 'Without --until, the database as it is now is compared.',
    });
  }
  const diff = diffSnapshots(before, after);
  const told = { ...diff, notes: [...notes, ...diff.notes] };
  const howOf = await loadRenderOptions(input);
  return { data: told, text: renderDiff(told, howOf()) };
}

/** The snapshot that was asked for; without a choice, the last one. */
async function choose(
  session: Session,
  { schema, ledgerSchema }: Config,
  { choice, cwd, isUntil }: { choice: SnapshotChoice | undefined; cwd: string; isUntil?: boolean },
): Promise<{ snapshot: StatsSnapshot; notes: ReportNote[] }> {
  if (choice && 'file' in choice) return { snapshot: readFile(cwd, choice.file), notes: [] };
  const entries = await listSnapshots(session, { ledgerSchema });
  const at =
    choice && 'version' in choice
      ? await timeOf(session, choice.version, { schema, ledgerSchema })
      : (choice?.at ?? new Date());
  // What a migration brought is to be seen: the snapshot after it ends the time up to it.
  const later = isUntil && choice && 'version' in choice && entries.find((one) => one.takenAt > at);
  const { entry, warning } = later ? { entry: later } : chooseSnapshot(entries, at);
  const notes: ReportNote[] = warning === undefined ? [] : [{ level: 'warning', text: warning }];
  return { snapshot: await readSnapshot(session, entry.id, { ledgerSchema }), notes };
}

function readFile(cwd: string, file: string): StatsSnapshot {
  const path = resolve(cwd, file);
  if (!existsSync(path)) {
    throw new EvdbError('USAGE', `"${file}" is no version, no time and no file`, {
      hint: 'Give the version of a migration (012), yesterday, an age (7d), a time (2026-11-28 14:00), or a file that `--to` has written.',
    });
  }
  try {
    return parseSnapshotFile(readPlainFile(path).toString(), file);
  } catch (error) {
    if (error instanceof EvdbError) throw error;
    throw new EvdbError('USAGE', `${file} ${whyUnreadable(error)}`, { cause: error });
  }
}

/** When a migration was last applied, or began to be: snapshots before that do not know it. */
async function timeOf(
  session: Session,
  version: string,
  options: { schema: string; ledgerSchema: string },
): Promise<Date> {
  const history = await readMigrationHistory(session, options);
  const applied = history
    ?.filter(({ label }) => label !== null && BigInt(label) === BigInt(version))
    .filter(({ action }) => ['up', 'adopted', 'baseline'].includes(action))
    .at(-1);
  if (!applied) {
    throw new EvdbError('UNKNOWN_VERSION', `the ledger does not know when ${version} was applied`, {
      hint: `\`${commandLine('migrate status')}\` lists what is applied.`,
    });
  }
  return new Date(applied.occurredAt.getTime() - (applied.durationMs ?? 0));
}

/** `up` between two snapshots, where there is something to apply. */
export async function betweenSnapshots(
  { context }: CommandInput,
  config: Config,
  options: MigrateUpOptions,
  up: (given: MigrateUpOptions) => Promise<MigrationResult>,
): Promise<(given: MigrateUpOptions) => Promise<MigrationResult>> {
  const { planMigrateUp } = await import('../../migrate/apply/commands.ts');
  // What is refused, `up` itself explains.
  const plan = await planMigrateUp(options).catch(() => undefined);
  if (plan === undefined || plan.steps.length === 0) return up;
  const { connection } = options;
  return (given) => withSnapshots(config, { connection, context }, () => up(given));
}

/**
 * Keeps what the statistics were before and after something that changes the database. A snapshot that
 * cannot be taken is a warning: it must not keep a migration from running.
 */
async function withSnapshots<T>(
  config: Config,
  { connection, context }: { connection: ConnectionOptions; context: CliContext },
  work: () => Promise<T>,
): Promise<T> {
  const take = (reason: SnapshotReason) =>
    takeSnapshot(config, connection, reason).catch((error: unknown) => warn(context, error));
  const before = await take('before up');
  try {
    return await work();
  } finally {
    const after = await take('after up');
    const taken = [before, after].filter((snapshot) => snapshot !== undefined);
    const { ledgerSchema } = config;
    await withWriting(connection, (session) =>
      keepSnapshots(session, taken, { ledgerSchema }),
    ).catch((error: unknown) => warn(context, error));
  }
}

function warn(context: CliContext, error: unknown): undefined {
  if (!(error instanceof EvdbError)) throw error;
  context.note(`warning  no snapshot was taken: ${error.message}\n`);
}
