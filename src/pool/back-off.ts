const FIRST_DELAY_MILLIS = 100;
const LONGEST_DELAY_MILLIS = 3_000;

/**
 * How long to wait before the next attempt, in ms: doubling with each failure, and a random part of
 * it, so that a thousand clients do not come back to a server at once.
 *
 * Source: Marc Brooker, "Exponential Backoff And Jitter", 2015.
 */
export function backOffMillis(failures: number, random: () => number = Math.random): number {
  const longest = Math.min(FIRST_DELAY_MILLIS * 2 ** (failures - 1), LONGEST_DELAY_MILLIS);
  return longest * (0.5 + random() / 2);
}
