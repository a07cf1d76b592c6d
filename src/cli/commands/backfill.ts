import { type CommandGroup, type CommandSpec, handlersOf } from '../define.ts';
import { migrateOptions } from '../options.ts';

const handler = handlersOf(() => import('../handlers/backfill.ts'));

const STATUS: CommandSpec = {
  name: 'status',
  summary: 'show how far each backfill is that is not done',
  description:
    'Shows the backfills that are running or interrupted: rows, the last batch, and why one rests. Writes nothing.',
  options: () => [...migrateOptions()],
  examples: ['backfill status', 'backfill status --json'],
  run: handler('handleBackfillStatus'),
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
  summary: 'look at backfills, pause and resume them',
  examples: ['backfill status', 'backfill pause', 'backfill resume'],
  commands: [
    STATUS,
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
        'The runner that rests continues. If none is running, `evdb migrate up` continues the backfill.',
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
