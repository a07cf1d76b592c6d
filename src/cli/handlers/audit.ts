import { withInspection, withWriting } from '../../connection/inspection.ts';
import type { ConnectionOptions } from '../../connection/options.ts';
import { EvdbError } from '../../errors.ts';
import {
  type AuditCleanupProgress,
  cleanUpAuditLog,
  previewAuditCleanup,
} from '../../events/audit-cleanup.ts';
import { createAuditFollower, type FollowAuditLogOptions } from '../../events/audit-follow.ts';
import {
  type AuditDimension,
  type AuditEntry,
  type AuditFilter,
  parseAuditCursor,
  readAuditLog,
  readAuditSummary,
} from '../../events/audit-log.ts';
import {
  previewView,
  renderCleanup,
  renderCleanupProgress,
  renderEntries,
  renderEntry,
  summaryView,
} from '../../events/report.ts';
import { renderReport } from '../../report/render-report.ts';
import { sameCommand } from '../../text/command-line.ts';
import { type CliContext, loadRenderOptions } from '../context.ts';
import type { CommandInput, CommandResult, Flags } from '../define.ts';
import { EXIT, withStop } from '../exit-codes.ts';
import { toJsonLook } from '../output.ts';
import { loadDirectConnection } from '../settings.ts';

/** All entries may have to be counted. */
const COUNT_TIMEOUT_MS = 30 * 60_000;

export async function handleAuditCleanup(input: CommandInput): Promise<CommandResult> {
  const { flags, context, style } = input;
  const { days, batch, maxDuration } = flags as {
    days: number;
    batch?: number;
    maxDuration?: number;
  };
  const { config, connection } = await loadDirectConnection(input);
  const { schema } = config;
  if (flags.dryRun) {
    const report = await withInspection(
      connection,
      (session) => previewAuditCleanup(session, { schema, days }),
      { statementTimeoutMs: COUNT_TIMEOUT_MS },
    );
    const text = renderReport(report, previewView(days), (await loadRenderOptions(input))());
    return {
      data: { dryRun: true, days, ...report },
      text: `${text}\nNothing was changed (--dry-run).`,
    };
  }
  const onProgress = createCleanupProgress(context);
  const result = await withStop(context, { said: 'rolling back the step that runs' }, (signal) =>
    withWriting(
      connection,
      (session) =>
        cleanUpAuditLog(session, {
          ...{ schema, days, batchSize: batch, maxDurationMs: maxDuration },
          ...{ onProgress, signal },
        }),
      { signal },
    ),
  );
  return {
    data: { dryRun: false, ...result },
    text: renderCleanup(result, style),
    exitCode: result.stoppedBy === 'locks' ? EXIT.temporary : EXIT.done,
  };
}

const TELL_EVERY_MS = 2_000;

/** Every partition is told, of the many batches one now and then. */
function createCleanupProgress(context: CliContext): (progress: AuditCleanupProgress) => void {
  let toldAtMs = performance.now();
  return (progress) => {
    const nowMs = performance.now();
    if (progress.kind === 'deleted' && nowMs - toldAtMs < TELL_EVERY_MS) return;
    if (progress.kind === 'deleted') toldAtMs = nowMs;
    context.note(`${renderCleanupProgress(progress)}\n`);
  };
}

export async function handleAuditLog(input: CommandInput): Promise<CommandResult> {
  const { flags, style } = input;
  const { limit, before } = flags as { limit: number; before?: string };
  const filter = readFilter(flags);
  if (before !== undefined) parseAuditCursor(before);
  const { config, connection } = await loadDirectConnection(input);
  const { schema } = config;
  if (flags.watch) return watchAuditLog(input, connection, { ...filter, schema, limit });
  const page = await withInspection(connection, (session) =>
    readAuditLog(session, { ...filter, schema, limit, before }),
  );
  const more =
    page.next === null
      ? []
      : [style.dim(`older entries: ${sameCommand('audit log', { before: page.next })}`)];
  const shown = page.rows.length === 0 ? 'no entry fits' : renderEntries(page.rows, style);
  return { data: page, text: [shown, ...more].join('\n') };
}

export async function handleAuditSummary(input: CommandInput): Promise<CommandResult> {
  const { by, limit } = input.flags as unknown as { by: AuditDimension[]; limit: number };
  const { since, until } = readFilter(input.flags);
  const { config, connection } = await loadDirectConnection(input);
  const report = await withInspection(
    connection,
    (session) => readAuditSummary(session, { schema: config.schema, by, since, until, limit }),
    { statementTimeoutMs: COUNT_TIMEOUT_MS },
  );
  return {
    data: report,
    text: renderReport(report, summaryView(by), (await loadRenderOptions(input))()),
  };
}

/** @throws {EvdbError} USAGE where no entry could fit */
function readFilter(flags: Flags): AuditFilter {
  const { table, record, actor, since, until } = flags as unknown as AuditFilter;
  if (since && until && since >= until) {
    throw new EvdbError('USAGE', '--since is not before --until', {
      hint: 'Entries are shown from --since on, until before --until.',
    });
  }
  return { table, record, actor, since, until };
}

const INTERVAL_MS = 1_000;

/** Prints entries as they come. Nothing is missed or repeated where a connection is made again. */
async function watchAuditLog(
  { context, flags, style }: CommandInput,
  connection: ConnectionOptions,
  options: FollowAuditLogOptions,
): Promise<CommandResult> {
  const { watch } = await import('../watch.ts');
  const follower = createAuditFollower(options);
  const print = (entry: AuditEntry) => {
    if (flags.json) context.outVerbatim(toJsonLook('audit log', entry));
    else context.out(`${renderEntry(entry, style)}\n`);
  };
  return watch(context, {
    connection,
    intervalMs: INTERVAL_MS,
    look: (session) => follower.look(session),
    show: (entries) => entries.forEach(print),
    warn: (text) => context.note(`${text}\n`),
  });
}
