import { InvalidArgumentError, Option } from 'commander';
import type { CommandSpec } from '../define.ts';
import { migrateOptions, parseSeconds, repeated, reportOptions } from '../options.ts';

export const DOCTOR_COMMAND: CommandSpec = {
  name: 'doctor',
  summary: 'examine the database: every check in one run',
  description:
    'Runs every check on one connection: connections, locks, vacuum, indexes, tables, sequences, replication, configuration, event schema, evdb. It changes nothing, waits for no lock and gives each check a second (the business rules, which look at every registration, 30). What this role may not see is unknown, never ok. Exits 3 when something is critical, with --fail-on also when something is a warning or unknown.',
  options: [
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
  run: async (input) => (await import('../handlers/doctor.ts')).handleDoctor(input),
};

const STATUSES = ['critical', 'warning', 'unknown'] as const;

/** A status that fails the run; critical always does. */
export type FailOn = (typeof STATUSES)[number];

function parseFailOn(text: string, before: FailOn[]): FailOn[] {
  const wanted = text.split(',').map((name) => name.trim());
  const known = STATUSES.filter((status) => before.includes(status) || wanted.includes(status));
  if (wanted.every((name) => STATUSES.some((status) => status === name))) return known;
  throw new InvalidArgumentError(`It must be one of ${STATUSES.join(', ')}.`);
}
