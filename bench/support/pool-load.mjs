/**
 * @typedef {object} Statement
 * @property {string} text
 * @property {(i: number) => unknown[]} params
 */

const WARM_UP_SECONDS = 0.5;

/**
 * Has callers run a statement one after the other for some time.
 *
 * @param {() => { query: Function, end?: Function, close?: Function }} make
 * @param {Statement} statement
 * @param {{ seconds: number, callers: number }} options
 */
export async function drive(make, statement, { seconds, callers }) {
  const pool = make();
  await load(pool, statement, WARM_UP_SECONDS, callers);
  globalThis.gc?.();
  const startedAt = performance.now();
  const times = await load(pool, statement, seconds, callers);
  const tookSeconds = (performance.now() - startedAt) / 1000;
  await (pool.close ? pool.close() : pool.end());
  times.sort((a, b) => a - b);
  return {
    rate: times.length / tookSeconds,
    p50Ms: times[Math.floor(times.length * 0.5)],
    p99Ms: times[Math.floor(times.length * 0.99)],
  };
}

async function load(pool, { text, params }, seconds, callers) {
  const times = [];
  const until = performance.now() + seconds * 1000;
  const call = async (caller) => {
    for (let i = caller; performance.now() < until; i += callers) {
      const startedAt = performance.now();
      await pool.query(text, params(i));
      times.push(performance.now() - startedAt);
    }
  };
  await Promise.all(Array.from({ length: callers }, (_, caller) => call(caller)));
  return times;
}

/**
 * Keeps a pool busy and looks at the heap after each tenth of the time. Needs `node --expose-gc`.
 *
 * @param {Parameters<typeof drive>[0]} make
 * @param {Statement} statement
 * @param {{ minutes: number, callers: number }} options
 */
export async function watchMemory(make, statement, { minutes, callers }) {
  if (!globalThis.gc) throw new Error('run it as: node --expose-gc bench/pool.mjs …');
  const pool = make();
  const samples = [];
  for (let part = 0; part < 10; part++) {
    const until = performance.now() + minutes * 6_000;
    while (performance.now() < until) await load(pool, statement, 1, callers);
    globalThis.gc();
    const { heapUsed, rss } = process.memoryUsage();
    samples.push({ heapUsed, rss });
    console.log(`memory ${part + 1}/10: heap ${heapUsed >> 10} KiB, resident ${rss >> 20} MiB`);
  }
  await (pool.close ? pool.close() : pool.end());
  return { samples, growth: samples.at(-1).heapUsed / samples[0].heapUsed };
}
