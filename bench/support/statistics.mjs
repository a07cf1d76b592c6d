import { TURN } from './arguments.mjs';

/** @param {number[]} values */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * The median of the ratios of neighbours: two runs of the same round saw the same machine, which
 * the medians of all rounds did not.
 *
 * @param {number[]} values
 * @param {number[]} base of the same rounds
 */
export function medianRatio(values, base) {
  return median(values.map((value, index) => value / base[index]));
}

/**
 * Runs every contender once a round; each round starts with another one, so that none always
 * follows the same neighbour.
 *
 * @template Result
 * @param {Record<string, (round: number) => Promise<Result>>} contenders
 * @param {number} rounds
 * @param {(round: number, name: string, result: Result) => void} [onRun]
 * @returns {Promise<Record<string, Result[]>>}
 */
export async function interleave(contenders, rounds, onRun) {
  const names = Object.keys(contenders);
  /** @type {Record<string, Result[]>} */
  const results = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(TURN + round + turn) % names.length];
      const result = await contenders[name](round);
      results[name].push(result);
      onRun?.(round, name, result);
    }
  }
  return results;
}
