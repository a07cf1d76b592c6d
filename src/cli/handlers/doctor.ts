import { withInspection } from '../../connection/inspection.ts';
import { runDoctor } from '../../doctor/doctor.ts';
import type { DoctorIgnore } from '../../doctor/ignore.ts';
import { renderDoctor } from '../../doctor/report.ts';
import type { FailOn } from '../commands/doctor.ts';
import type { CommandInput, CommandResult } from '../define.ts';
import { EXIT } from '../exit-codes.ts';
import { loadDirectConnection, migrateSettings } from '../settings.ts';

export async function handleDoctor(input: CommandInput): Promise<CommandResult> {
  const { context, flags, style } = input;
  const { config, connection } = await loadDirectConnection(input);
  const checkTimeoutMs = flags.checkTimeout as number | undefined;
  const options = {
    schema: config.schema,
    checkTimeoutMs,
    only: listOf(flags.only).flatMap((names) => names.split(',').map((name) => name.trim())),
    ignore: [...config.doctor.ignore, ...listOf(flags.ignore).map(parseIgnore)],
    readMigrationCounts: async () => {
      const { readStatus } = await import('../../migrate/plan/status.ts');
      return readStatus({ ...migrateSettings(config, context), connection });
    },
  };
  const report = await withInspection(connection, (session) => runDoctor(session, options), {
    statementTimeoutMs: checkTimeoutMs ?? 1000,
  });
  const failOn = flags.failOn as unknown as FailOn[];
  return {
    data: { ...report, failOn },
    text: renderDoctor(report, {
      style,
      format: flags.markdown ? 'markdown' : 'text',
      width: context.outSize().columns,
      full: flags.full === true,
    }),
    pipeline: async () => {
      const { pipelineOfDoctor } = await import('../../doctor/report.ts');
      return pipelineOfDoctor(report, failOn);
    },
    exitCode: failOn.some((status) => report.counts[status] > 0) ? EXIT.found : EXIT.done,
  };
}

/** `unused-indexes:public.reports_idx`; the name of an object may have a colon too. */
function parseIgnore(text: string): DoctorIgnore {
  const end = text.indexOf(':');
  const reason = 'by --ignore';
  if (end < 0) return { check: text, reason };
  return { check: text.slice(0, end), object: text.slice(end + 1), reason };
}

function listOf(flag: unknown): string[] {
  return Array.isArray(flag) ? flag.map(String) : [];
}
