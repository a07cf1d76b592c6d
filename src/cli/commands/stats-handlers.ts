import { withInspection } from '../../connection/inspection.ts';
import type { ReportRenderOptions } from '../../report/render-report.ts';
import { loadTable } from '../context.ts';
import type { CommandInput, CommandResult } from '../define.ts';
import { loadDirectConnection } from '../settings.ts';
import type { StatsTopic, TopicOptions } from './stats-topics.ts';

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
