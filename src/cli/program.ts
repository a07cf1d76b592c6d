import { Command } from 'commander';
import { addAuditCommands } from './commands/audit.ts';
import { addConfigCommand } from './commands/config.ts';
import { addDbCommands } from './commands/db.ts';
import { addDoctorCommand } from './commands/doctor.ts';
import { addEventsCommands } from './commands/events.ts';
import { addInitCommand } from './commands/init.ts';
import { addLintCommand } from './commands/lint.ts';
import { addMigrateCommands } from './commands/migrate.ts';
import { addRulesCommands } from './commands/rules.ts';
import { addSchemaCommands } from './commands/schema.ts';
import { addServerCommands } from './commands/server.ts';
import { addStatsCommands } from './commands/stats.ts';
import type { CliContext } from './context.ts';
import { commandPath } from './define.ts';
import type { CliState } from './run.ts';

/** The whole command line. Handlers are thin and load what they need when they run. */
export function buildProgram(context: CliContext, state: CliState): Command {
  const program = new Command('evdb')
    .description('PostgreSQL migrations and operations that never leave anything half done')
    .option('-V, --version', 'print the version')
    .configureOutput({ writeOut: context.out, writeErr: context.err, outputError: () => undefined })
    .exitOverride()
    .addHelpText('after', HELP);
  const use = { context, state };
  addInitCommand(program, use);
  addMigrateCommands(program, use);
  addLintCommand(program, use);
  addSchemaCommands(program, use);
  addStatsCommands(program, use);
  addDoctorCommand(program, use);
  addDbCommands(program, use);
  addRulesCommands(program, use);
  addAuditCommands(program, use);
  addEventsCommands(program, use);
  addServerCommands(program, use);
  addConfigCommand(program, use);
  for (const command of program.commands) inheritSettings(command, program, state);
  return program;
}

const HELP = `
Example:
  $ evdb migrate up --embedded

Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 a check found something,
4 temporary (try again), 130 interrupted.
`;

/** commander passes these on only to commands that are made after they were set. */
function inheritSettings(command: Command, from: Command, state: CliState): void {
  command.copyInheritedSettings(from).exitOverride((error) => {
    state.command = commandPath(command);
    throw error;
  });
  for (const child of command.commands) inheritSettings(child, command, state);
}
