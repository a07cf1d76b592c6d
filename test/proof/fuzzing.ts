import fc from 'fast-check';
import { keepCounts, settings } from './records.ts';

const { minutes, seed } = settings('fuzz', { minutes: 0 });

/** How many properties share the minutes of the long form. */
const PROPERTIES = 10;

/** Of a test with one property. */
export const FUZZ_TIMEOUT_MS = minutes * 60_000 + 60_000;

/**
 * Tries a property, and fails with its smallest case and the seed that repeats it. The short form tries a
 * few, the long one as many as fit into its share of the time.
 *
 * @param numRuns of the short form; default 25
 */
export async function expectAlways<Ts>(
  what: string,
  property: fc.IAsyncProperty<Ts>,
  numRuns = 25,
): Promise<void> {
  const tried = await fc.check(property, {
    seed,
    ...(minutes === 0
      ? { numRuns }
      : {
          numRuns: 10_000_000,
          interruptAfterTimeLimit: (minutes * 60_000) / PROPERTIES,
          markInterruptAsFailure: false,
        }),
  });
  await keepCounts('fuzz', what, { tried: tried.numRuns, failed: tried.failed ? 1 : 0 });
  if (tried.failed) {
    throw new Error(fc.defaultReportMessage(tried), { cause: tried.errorInstance });
  }
}
