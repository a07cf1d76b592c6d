/** Numbers that look random and are the same in every run with the same seed. */
export interface Random {
  /** A whole number from 0 to `limit - 1`. */
  below(limit: number): number;
  pick<T>(list: readonly T[]): T;
}

/** @param seed any whole number; print it where a test fails. */
export function randomOf(seed: number): Random {
  // splitmix32: neighbouring seeds give sequences that have nothing in common.
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  };
  const below = (limit: number) => next() % limit;
  return {
    below,
    pick: <T>(list: readonly T[]): T => {
      if (list.length === 0) throw new Error('nothing to pick from');
      return list[below(list.length)] as T;
    },
  };
}

/**
 * The seeds of a test: its own few, or the one in `EVDB_TEST_SEED`, to see a failure again, or the
 * first so many that `EVDB_TEST_SEEDS` asks for, for a long run by hand.
 */
export function seedsOf(...seeds: number[]): number[] {
  const { EVDB_TEST_SEED: chosen, EVDB_TEST_SEEDS: count } = process.env;
  if (chosen !== undefined) return [Number(chosen)];
  return count === undefined ? seeds : Array.from({ length: Number(count) }, (_, at) => at + 1);
}
