import type { DoctorIgnore } from '../../maintenance/doctor/ignore.ts';
import { type DoctorReport, runDoctor } from '../../maintenance/doctor/run.ts';
import { withInspection } from '../../maintenance/inspection.ts';
import { renderDoctor } from '../../report/doctor.ts';
import type { CommandInput, CommandResult } from '../define.ts';
import { EXIT } from '../exit-codes.ts';
import { loadDirectConnection, migrateSettings } from '../settings.ts';

export async function handleDoctor(input: CommandInput): Promise<CommandResult> {
  const { context, flags, style } = input;
  const { config, connection } = await loadDirectConnection(input);
  const options = {
    schema: config.schema,
    only: listOf(flags.only).flatMap((names) => names.split(',').map((name) => name.trim())),
    ignore: [...config.doctor.ignore, ...listOf(flags.ignore).map(parseIgnore)],
    readMigrationCounts: async () => {
      const { readStatus } = await import('../../migrate/status.ts');
      return readStatus({ ...migrateSettings(config, context), connection });
    },
  };
  const report = await withInspection(connection, (session) => runDoctor(session, options), {
    statementTimeoutMs: 1000,
  });
  return {
    data: { ...report, failOn: flags.failOn },
    text: renderDoctor(report, {
      style,
      format: flags.markdown ? 'markdown' : 'text',
      width: context.outSize().columns,
      full: flags.full === true,
    }),
    pipeline: async () => {
      const { pipelineOfDoctor } = await import('../../report/pipeline/from-doctor.ts');
      return pipelineOfDoctor(report, flags.failOn === 'warning' ? 'warning' : 'critical');
    },
    exitCode: isFailure(report, flags.failOn) ? EXIT.found : EXIT.done,
  };
}

function isFailure({ counts }: DoctorReport, failOn: unknown): boolean {
  return counts.critical > 0 || (failOn === 'warning' && counts.warning > 0);
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
