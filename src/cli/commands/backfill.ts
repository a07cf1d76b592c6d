import { type CommandGroup, type CommandSpec, handlersOf } from '../define.ts';
import { backfillOptions, migrateOptions, runOptions } from '../options.ts';

const handler = handlersOf(() => import('../handlers/backfill.ts'));

const STATUS: CommandSpec = {
  name: 'status',
  summary: 'show how far each backfill is that is not done',
  description:
    'Shows the backfills that are running or interrupted: rows, the last batch, and why one rests. Writes nothing.',
  fleet: { writes: false, shows: 'text' },
  options: () => [...migrateOptions()],
  examples: ['backfill status', 'backfill status --json'],
  run: handler('handleBackfillStatus'),
};

const RUN: CommandSpec = {
  name: 'run',
  summary: 'run the backfills that are not done',
  description:
    'Runs the backfills that were interrupted, or left for later by `migrate up --no-wait`, and no other migration.',
  arguments: [['[version]', 'its migration (default: all that are not done)']],
  options: () => [...backfillOptions(), ...runOptions()],
  examples: ['backfill run', 'backfill run 014 --window 22:00-06:00'],
  run: handler('handleBackfillRun'),
};

/** One that asks something of a runner in another process. */
function asking(spec: Pick<CommandSpec, 'name' | 'summary' | 'description' | 'run'>): CommandSpec {
  return {
    ...spec,
    arguments: [['[version]', 'its migration (default: the only one that is not done)']],
    options: () => [...migrateOptions()],
    examples: [`backfill ${spec.name}`, `backfill ${spec.name} 014`],
  };
}

export const BACKFILL_COMMANDS: CommandGroup = {
  name: 'backfill',
  summary: 'look at backfills, run, pause and resume them',
  examples: ['backfill status', 'backfill pause', 'backfill resume'],
  commands: [
    STATUS,
    RUN,
    asking({
      name: 'pause',
      summary: 'let a backfill rest until it is resumed',
      description:
        'The runner, which may be another process, rests after the current batch. If none is running, the next one rests.',
      run: handler('handleBackfillPause'),
    }),
    asking({
      name: 'resume',
      summary: 'let a paused backfill continue',
      description:
        'The runner that rests continues. If none is running, `evdb backfill run` continues the backfill.',
      run: handler('handleBackfillResume'),
    }),
    asking({
      name: 'cancel',
      summary: 'end the runner of a backfill after its batch',
      description:
        'The runner ends with the error BACKFILL_CANCELLED. Committed batches stay: `evdb migrate up` continues, `evdb migrate down` rolls back.',
      run: handler('handleBackfillCancel'),
    }),
  ],
};
