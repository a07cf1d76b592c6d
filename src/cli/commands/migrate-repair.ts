import { Option } from 'commander';
import type { CommandInput, CommandSpec } from '../define.ts';
import { migrateOptions } from '../options.ts';

type Handlers = typeof import('./migrate-repair-handlers.ts');

/** Loads the handlers when one of them runs. */
function lazily(name: keyof Handlers) {
  return async (input: CommandInput) => (await import('./migrate-repair-handlers.ts'))[name](input);
}

/** The options of commands that write to the ledger and run no migration. */
function ledgerOptions(): Option[] {
  return [
    new Option('--reason <text>', 'why; goes into the history'),
    new Option('--dry-run', 'say what would be done, and do nothing'),
    ...migrateOptions(),
    new Option('--lock-wait <duration>', 'how long to wait for another runner (default: 60s)'),
  ];
}

export const REPAIR: CommandSpec = {
  name: 'repair',
  summary: 'make the ledger and the files agree again',
  description:
    'Takes over files that differ from what was applied only in comments or white space, and lists what somebody has to decide, each with the command for it (exit code 3). With a version it repairs that one: changed SQL is accepted and a file that is gone is forgotten, both with --confirm; --as settles what became of an interrupted statement. No migration is run; each repair is an entry in the history.',
  arguments: [['[version]', 'the one to repair (default: all that is safe)']],
  options: [
    new Option('--confirm', 'consent to a repair that is right only where you know that it is'),
    new Option('--as <verdict>', 'the statement in which this version was interrupted')
      .choices(['done', 'not-done'])
      .conflicts('forget'),
    new Option('--forget', 'drop the row of this version: it counts as never applied'),
    ...ledgerOptions(),
  ],
  examples: [
    'migrate repair',
    'migrate repair 003 --dry-run',
    'migrate repair 007 --as done',
    'migrate repair 003 --confirm --reason "fixed by hand, see the incident"',
  ],
  run: lazily('handleRepair'),
};

export const BASELINE: CommandSpec = {
  name: 'baseline',
  summary: 'take over a database whose objects are there already',
  description:
    'Counts every file up to a version as applied, without running it. For a database that was made by other means, before the first `migrate up`.',
  arguments: [['<version>', 'the newest one whose objects the database holds already']],
  options: [
    new Option(
      '--confirm',
      'consent, needed where the ledger has rows already, the schema is empty, or the environment is protected',
    ),
    ...ledgerOptions(),
  ],
  examples: ['migrate baseline 006 --dry-run', 'migrate baseline 006'],
  run: lazily('handleBaseline'),
};
