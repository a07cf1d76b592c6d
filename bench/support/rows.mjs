/**
 * The fourteen rows of docs/performance.md: what is measured by which benchmark, over what, and what
 * is wanted: at most the target, with `isFloor` at least. A row of several figures has several keys;
 * 12 and 13 have a figure for each part that their benchmark names. `limit` is the best that was
 * seen possible.
 *
 * @type {Record<string, Omit<import('./table.mjs').Figure, 'rounds'>>}
 */
const ROWS = {
  1: {
    row: 1,
    what: '`migrate up`, 1,000 small migrations',
    over: 'psql with a ledger insert each',
    target: 0.8,
    limit: '0.65: messages sent ahead, a light ledger',
  },
  2: {
    row: 2,
    what: '`migrate up`, 1,000 small migrations',
    over: 'dbmate',
    target: 0.8,
    limit: '0.65: as over psql, which is as fast',
  },
  3: {
    row: 3,
    what: '`migrate up`, 30 migrations, fresh database',
    over: 'dbmate',
    target: 1.6,
    limit: '1.1: Node, `postgres`, the same SQL in 31 messages',
  },
  '4 status': {
    row: 4,
    what: '`migrate status`, 1,000 applied',
    over: '`node -e 0`',
    target: 2.8,
    limit: '2.1: Node, `postgres` and one query',
  },
  '4 up': {
    row: 4,
    what: '`migrate up` with nothing to do, 1,000 applied',
    over: '`node -e 0`',
    target: 2.8,
    limit: '2.1: Node, `postgres` and one query',
  },
  '4 status, Node 24': {
    row: 4,
    what: '`migrate status`, 1,000 applied, Node 24',
    over: '`node -e 0`, Node 24',
    target: 2.2,
    limit: '2.0: the same, compiled code kept',
  },
  '4 up, Node 24': {
    row: 4,
    what: '`migrate up` with nothing to do, 1,000 applied, Node 24',
    over: '`node -e 0`, Node 24',
    target: 2.2,
    limit: '2.0: the same, compiled code kept',
  },
  5: {
    row: 5,
    what: '`lint` of one file',
    over: '`node -e 0`',
    target: 3,
    limit: '1.75: the parser alone',
  },
  6: {
    row: 6,
    what: 'lint of 1,000 files, processor time',
    over: 'the parser alone',
    target: 3,
    limit: '1.0',
  },
  '7 rate': {
    row: 7,
    what: 'pool, `select 1`: queries a second',
    over: "`pg`'s pool",
    target: 1.05,
    isFloor: true,
    limit: '1.3: the smallest client that works',
  },
  '7 p99': {
    row: 7,
    what: 'pool, `select 1`: 99th percentile',
    over: "`pg`'s pool",
    target: 1,
  },
  '8 rate': {
    row: 8,
    what: 'pool, with parameters: queries a second',
    over: "`pg`'s pool",
    target: 1.1,
    isFloor: true,
  },
  '8 p99': {
    row: 8,
    what: 'pool, with parameters: 99th percentile',
    over: "`pg`'s pool",
    target: 1,
  },
  9: {
    row: 9,
    what: 'registrations, 1,000 events, calls a second',
    over: 'a plain insert with the same audit',
    target: 0.65,
    isFloor: true,
    limit: '0.61 to 0.72: the bare statement',
  },
  10: {
    row: 10,
    what: 'registrations, one event, no fsync, calls a second',
    over: 'one update with its audit row',
    target: 0.6,
    isFloor: true,
    limit: '0.43: one statement without triggers',
  },
  '11 copy': {
    row: 11,
    what: 'a file of 500 MB, `copy`: speed',
    over: '`psql -1 -f`',
    target: 0.9,
    isFloor: true,
    limit: '1.0',
  },
  '11 inserts': {
    row: 11,
    what: 'a file of 500 MB, inserts of 100 rows: speed',
    over: '`psql -1 -f`',
    target: 0.9,
    isFloor: true,
    limit: '1.0',
  },
  '11 memory': {
    row: 11,
    what: 'a file of 500 MB: peak memory',
    target: 200,
    unit: 'MB',
    isPeak: true,
  },
  12: {
    row: 12,
    what: 'a page of `search_events`',
    over: 'the bare index query',
    target: 1.3,
    limit: '1.0',
  },
  13: {
    row: 13,
    what: 'the whole command',
    over: 'its SQL in psql',
    target: 1.5,
    limit: '1.6 for a question of no time: Node, `postgres` and `select 1`',
  },
  14: {
    row: 14,
    what: 'start of the embedded server that is there already',
    target: 60,
    unit: 'ms',
    limit: '32 ms: a server alone',
  },
};

/**
 * @param {string | number} key of ROWS
 * @param {string} [part] of a row that has a figure for each
 * @returns {Omit<import('./table.mjs').Figure, 'rounds'>}
 */
function describeRow(key, part) {
  const row = ROWS[key];
  return part === undefined ? row : { ...row, what: `${row.what}, ${part}` };
}

/**
 * A figure of what it was in each round, of a row by its key or of what is described.
 *
 * @param {string | number | Omit<import('./table.mjs').Figure, 'rounds'>} row
 * @param {number[]} rounds
 * @param {{ part?: string, measured?: import('./table.mjs').Measured }} [more]
 * @returns {import('./table.mjs').Figure}
 */
export function figureOf(row, rounds, { part, measured } = {}) {
  const described = typeof row === 'object' ? row : describeRow(row, part);
  return { ...described, rounds, ...(measured && { measured }) };
}

/**
 * A ratio, from what evdb and its contender took in the same rounds.
 *
 * @param {Parameters<typeof figureOf>[0]} row
 * @param {number[]} ours
 * @param {number[]} theirs
 * @param {{ unit: string, part?: string, isSpeed?: boolean }} options isSpeed: of times, but more is better
 */
export function ratioOf(row, ours, theirs, { unit, part, isSpeed = false }) {
  const rounds = ours.map((value, i) => (isSpeed ? theirs[i] / value : value / theirs[i]));
  return figureOf(row, rounds, { part, measured: { ours, theirs, unit } });
}

/**
 * A figure that could not be measured here, and why.
 *
 * @param {string | number} key of ROWS
 * @param {string} reason
 * @returns {import('./table.mjs').Figure}
 */
export function missingFigure(key, reason) {
  return { ...describeRow(key), rounds: [], missing: reason };
}

/**
 * What a benchmark that failed leaves of its rows: why there is no figure.
 *
 * @param {{ name: string, rows?: number[] }} benchmark
 * @param {string} reason
 * @returns {import('./table.mjs').Figure[]}
 */
export function missingFigures({ name, rows }, reason) {
  if (rows === undefined) return [{ what: name, rounds: [], missing: reason }];
  return Object.keys(ROWS)
    .filter((key) => rows.includes(ROWS[key].row))
    .map((key) => missingFigure(key, `${name}: ${reason}`));
}
