import { type Command, Option } from 'commander';
import type { CliContext } from '../context.ts';
import { type CommandSpec, defineCommand } from '../define.ts';
import { migrateOptions, repeated, reportOptions } from '../options.ts';
import type { CliState } from '../run.ts';

const DOCTOR: CommandSpec = {
  name: 'doctor',
  summary: 'examine the database: every check in one run',
  description:
    'Runs every check on one connection: connections, locks, vacuum, indexes, tables, sequences, replication, configuration, event schema, evdb. It changes nothing, waits for no lock and gives each check a second. What this role may not see is unknown, never ok. Exits 3 when something is critical.',
  options: [
    new Option('--fail-on <status>', 'exit 3 from this status on')
      .choices(['warning', 'critical'])
      .default('critical'),
    repeated('--only <name>', 'only this check or group; several: again, or with commas'),
    repeated('--ignore <check[:object]>', 'do not count what this check finds; may be repeated'),
    ...reportOptions(),
    ...migrateOptions(),
  ],
  examples: [
    'doctor',
    'doctor --only indexes,sequences --fail-on warning',
    'doctor --ignore "unused-indexes:public.reports_*" --json',
  ],
  hasFormats: true,
  run: async (input) => (await import('./doctor-handlers.ts')).handleDoctor(input),
};

export function addDoctorCommand(
  program: Command,
  use: { context: CliContext; state: CliState },
): void {
  defineCommand(program, DOCTOR, use);
}
