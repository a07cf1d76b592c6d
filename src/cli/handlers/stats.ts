import { withInspection } from '../../connection/inspection.ts';
import type { ReportNote, StatsReport } from '../../report/columns.ts';
import { type ReportRenderOptions, renderReport } from '../../report/render-report.ts';
import { UPDATE_VIEW, type UpdateStatisticsRow, updateStatistics } from '../../stats/update.ts';
import { renderCount } from '../../text/units.ts';
import type { StatsTopic, TopicOptions } from '../commands/stats.ts';
import { loadTable } from '../context.ts';
import type { CommandInput, CommandResult } from '../define.ts';
import { EXIT, withStop } from '../exit-codes.ts';
import { loadDirectConnection } from '../settings.ts';

/** As watch(1) does. */
const DEFAULT_INTERVAL_MS = 2000;

/** Looks at a topic once, or again and again. */
export async function handleTopic(topic: StatsTopic, input: CommandInput): Promise<CommandResult> {
  const watch = input.flags.watch as number | true | undefined;
  const options = readTopicOptions(input);
  const { connection } = await loadDirectConnection(input);
  const howOf = await loadRenderOptions(input);
  if (watch !== undefined) {
    const { watchReports } = await import('../watch.ts');
    return watchReports(input, {
      command: `stats ${topic.name}`,
      intervalMs: watch === true ? DEFAULT_INTERVAL_MS : watch,
      connection,
      look: async (session) => {
        const { report, render } = await topic.look(session, options);
        return { data: report, text: render(howOf()) };
      },
    });
  }
  const look = await withInspection(connection, (session) => topic.look(session, options));
  return { data: look.report, text: look.render(howOf()) };
}

function readTopicOptions({ flags }: CommandInput): TopicOptions {
  const { schema, limit, all, minAge } = flags as Record<string, never>;
  return { schema, limit, includeIdle: all, minimumAgeMs: minAge };
}

/** How reports are shown: asked for each time, because a terminal changes its size. */
export async function loadRenderOptions({
  context,
  flags,
  style,
}: CommandInput): Promise<() => ReportRenderOptions> {
  if (flags.markdown) return () => ({ style, format: 'markdown' });
  const table = await loadTable(context);
  return () => ({
    style,
    width: context.outSize().columns,
    full: flags.full === true,
    ...(table && { table }),
  });
}

export async function handleUpdate(input: CommandInput): Promise<CommandResult> {
  const { context, flags } = input;
  const { connection } = await loadDirectConnection(input);
  const rows: UpdateStatisticsRow[] = [];
  let total = 0;
  const isInterrupted = await withStop(
    context,
    { said: 'ending the table at hand' },
    async (signal) => {
      try {
        await updateStatistics(connection, {
          schema: flags.schema as string | undefined,
          signal,
          onProgress: (row, done, of) => {
            rows.push(row);
            total = of;
            sayProgress(context, `${done} of ${of}: ${row.schema}.${row.table}`);
          },
        });
        return false;
      } catch (error) {
        if (!signal.aborted) throw error;
        return true;
      } finally {
        sayProgress(context, '');
      }
    },
  );
  const notes = isInterrupted ? [interruptedNote(rows.length, total)] : [];
  const report: StatsReport<UpdateStatisticsRow> = { rows, countedSince: null, notes };
  const howOf = await loadRenderOptions(input);
  const text = renderReport(report, UPDATE_VIEW, howOf());
  return {
    data: { ...report, isInterrupted },
    text: rows.length > 0 ? `${text}\n\n${summarize(rows)}` : text,
    exitCode: isInterrupted ? EXIT.interrupted : exitCodeOf(rows),
  };
}

/** One line that is written over and over, and wiped away at the end. */
function sayProgress({ isInteractive, err }: CommandInput['context'], text: string): void {
  if (isInteractive) err(`\r\u001b[K${text}`);
}

function interruptedNote(done: number, total: number): ReportNote {
  const rest = total > done ? `, ${renderCount(total - done, 'table')} left` : '';
  return {
    level: 'warning',
    text: `interrupted${rest}: what is listed keeps its new statistics`,
    hint: 'Run it again for the rest.',
  };
}

function summarize(rows: UpdateStatisticsRow[]): string {
  const count = (prefix: string) => rows.filter(({ outcome }) => outcome.startsWith(prefix)).length;
  const others = [
    [count('skipped'), 'skipped'],
    [count('failed'), 'failed'],
  ] as const;
  const said = others.filter(([number]) => number > 0).map(([number, what]) => `${number} ${what}`);
  const analyzed = `analyzed ${count('analyzed')} of ${renderCount(rows.length, 'table')}`;
  return [analyzed, ...said].join(', ');
}

/** Locks pass; what fails or is forbidden does so the next time too. */
function exitCodeOf(rows: UpdateStatisticsRow[]): number {
  const outcomes = new Set(rows.map(({ outcome }) => outcome));
  if (outcomes.has('failed') || outcomes.has('skippedNoPrivilege')) return EXIT.failed;
  return outcomes.has('skippedLocked') ? EXIT.temporary : EXIT.done;
}
