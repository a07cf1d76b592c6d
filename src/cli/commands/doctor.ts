import { InvalidArgumentError, Option } from 'commander';
import type { DoctorIgnore } from '../../doctor/ignore.ts';
import type { CommandInput, CommandResult, CommandSpec } from '../define.ts';
import { EXIT } from '../exit-codes.ts';
import { migrateOptions, parseSeconds, repeated, reportOptions } from '../options.ts';
import { loadDirectConnection, migrateSettings } from '../settings.ts';

export const DOCTOR_COMMAND: CommandSpec = {
  name: 'doctor',
  summary: 'examine the database: every check in one run',
  description:
    'Runs every check on one connection: connections, locks, vacuum, indexes, tables, sequences, replication, configuration, event schema, evdb. It changes nothing, waits for no lock and gives each check a second (the business rules, which look at every registration, 30). What this role may not see is unknown, never ok. Exits 3 when something is critical, with --fail-on also when something is a warning or unknown.',
  fleet: { writes: false, shows: 'line' },
  options: () => [
    new Option(
      '--fail-on <status>',
      'exit 3 on this status beside critical: warning, unknown; several: again, or with commas',
    )
      .default(['critical'], 'critical')
      .argParser(parseFailOn),
    new Option(
      '--check-timeout <duration>',
      'how long each statement may run (default: 1s, of the business rules 30s)',
    ).argParser(parseSeconds),
    repeated('--only <name>', 'only this check or group; several: again, or with commas'),
    repeated('--ignore <check[:object]>', 'do not count what this check finds; may be repeated'),
    ...reportOptions(),
    ...migrateOptions(),
  ],
  examples: [
    'doctor',
    'doctor --only indexes,sequences --fail-on warning,unknown',
    'doctor --ignore "unused-indexes:public.reports_*" --json',
  ],
  hasFormats: true,
  run: handleDoctor,
};

const STATUSES = ['critical', 'warning', 'unknown'] as const;

/** A status that fails the run; critical always does. */
type FailOn = (typeof STATUSES)[number];

function parseFailOn(text: string, before: FailOn[]): FailOn[] {
  const wanted = text.split(',').map((name) => name.trim());
  const known = STATUSES.filter((status) => before.includes(status) || wanted.includes(status));
  if (wanted.every((name) => STATUSES.some((status) => status === name))) return known;
  throw new InvalidArgumentError(`It must be one of ${STATUSES.join(', ')}.`);
}

async function handleDoctor(input: CommandInput): Promise<CommandResult> {
  const { withInspection } = await import('../../connection/inspection.ts');
  const { runDoctor } = await import('../../doctor/doctor.ts');
  const { pipelineOfDoctor, renderDoctor } = await import('../../doctor/report.ts');
  const { context, flags, style } = input;
  const { config, connection } = await loadDirectConnection(input);
  const checkTimeoutMs = flags.checkTimeout as number | undefined;
  const options = {
    schema: config.schema,
    ledgerSchema: config.ledgerSchema,
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
    pipeline: async () => pipelineOfDoctor(report, failOn),
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
