import type { MigrationProgress } from '../migrate/progress.ts';
import type { CliContext } from './context.ts';
import { toJsonLook } from './output.ts';
import type { ProgressPrinter } from './progress.ts';

/** Told of each batch, a backfill of a day would fill the log of a pipeline. */
const BATCHES_EVERY_MS = 1000;

/**
 * Tells of progress on stderr, one line of JSON each. Of the batches of a backfill it tells about one a
 * second, and the last one.
 */
export function createJsonProgress({
  context,
  command,
  printResult,
}: {
  context: CliContext;
  command: string;
  /** Prints what belongs to the results. */
  printResult: (progress: MigrationProgress) => void;
}): ProgressPrinter {
  let toldMs = Number.NEGATIVE_INFINITY;
  let untold: MigrationProgress | undefined;
  const tell = (progress: MigrationProgress) =>
    context.noteVerbatim(toJsonLook(command, { at: new Date().toISOString(), ...progress }));
  const tellLast = () => {
    if (untold) tell(untold);
    untold = undefined;
  };
  return {
    stop: tellLast,
    onProgress: (progress) => {
      const nowMs = performance.now();
      if (progress.kind === 'backfill' && nowMs - toldMs < BATCHES_EVERY_MS) {
        untold = progress;
        return;
      }
      if (progress.kind === 'backfill') {
        toldMs = nowMs;
        untold = undefined;
      } else tellLast();
      tell(progress);
      printResult(progress);
    },
  };
}
