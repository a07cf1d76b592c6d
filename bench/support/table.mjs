import { median } from './statistics.mjs';

/**
 * What a benchmark found out, in the shape in which all of them hand it to the table.
 *
 * @typedef {object} Figure
 * @property {number} [row] of docs/performance.md, where it is one of the fourteen
 * @property {string} what
 * @property {string} [over] what it is divided by
 * @property {number} [target] at most this; none: it is told only
 * @property {boolean} [isFloor] at least the target, then
 * @property {string} [unit] none for a ratio
 * @property {boolean} [isPeak] the highest of the rounds counts instead of their median
 * @property {string} [limit] the best that was seen possible
 * @property {number[]} rounds what it was in each
 * @property {Measured} [measured] what a ratio was made of
 * @property {string} [missing] why there is no figure
 *
 * @typedef {object} Measured
 * @property {number[]} ours in each round
 * @property {number[]} theirs
 * @property {string} unit
 *
 * @typedef {Figure & { now?: number, isMet?: boolean, before?: Figure & { now?: number } }} Settled
 */

/**
 * What the rounds come to, and whether that is what is wanted.
 *
 * @param {Figure} figure
 * @returns {Settled}
 */
export function settle(figure) {
  const { rounds, target, isFloor = false, isPeak = false, missing } = figure;
  if (missing !== undefined) return figure;
  if (rounds.length === 0) return { ...figure, missing: 'no round gave a figure' };
  const now = isPeak ? Math.max(...rounds) : median(rounds);
  if (target === undefined) return { ...figure, now };
  return { ...figure, now, isMet: isFloor ? now >= target : now <= target };
}

/**
 * Makes one list of figures of what several turns of a benchmark found: each turn is a round. What one
 * of them could not measure has no figure.
 *
 * @param {Figure[][]} turns
 * @returns {Settled[]}
 */
export function mergeTurns(turns) {
  if (turns.length === 1) return turns[0].map(settle);
  /** @type {Map<string, Settled[]>} */
  const found = new Map();
  for (const figure of turns.flat()) {
    const name = nameOf(figure);
    found.set(name, [...(found.get(name) ?? []), settle(figure)]);
  }
  return [...found.values()].map((same) => mergeFigure(same, turns.length));
}

/** @param {Settled[]} same @param {number} turns */
function mergeFigure(same, turns) {
  const { now: _, isMet: __, ...figure } = same[0];
  const missing = same.find((one) => one.missing !== undefined)?.missing;
  if (missing !== undefined) return { ...figure, rounds: [], measured: undefined, missing };
  if (same.length !== turns) {
    const reason = `only ${same.length} of ${turns} rounds gave a figure`;
    return { ...figure, rounds: [], measured: undefined, missing: reason };
  }
  const { measured } = figure;
  return settle({
    ...figure,
    rounds: same.map(({ now }) => now),
    measured: measured && {
      ...measured,
      ours: same.map((one) => median(one.measured.ours)),
      theirs: same.map((one) => median(one.measured.theirs)),
    },
  });
}

/**
 * Puts beside each figure what it was in another build.
 *
 * @param {Settled[]} figures
 * @param {Settled[]} before
 * @returns {Settled[]}
 */
export function setBefore(figures, before) {
  const byName = new Map(before.map((figure) => [nameOf(figure), figure]));
  return figures.map((figure) => ({ ...figure, before: byName.get(nameOf(figure)) }));
}

/** @param {Figure} figure */
function nameOf({ row, what, over }) {
  return JSON.stringify([row, what, over]);
}

/**
 * The table, for a terminal or as Markdown: its rows by their number, the others after them.
 *
 * @param {Settled[]} figures
 * @param {{ isMarkdown?: boolean }} [options]
 */
export function renderFigures(figures, { isMarkdown = false } = {}) {
  const columns = COLUMNS.filter(({ isNeeded }) => isNeeded?.(figures) ?? true);
  const sorted = figures.toSorted((a, b) => (a.row ?? Infinity) - (b.row ?? Infinity) || 0);
  const lines = [
    columns.map(({ head }) => head),
    ...sorted.map((figure) => columns.map(({ cell }) => cell(figure))),
  ];
  const isNumber = columns.map((column) => column.isNumber ?? false);
  return isMarkdown ? renderMarkdownTable(lines, isNumber) : renderTable(lines, isNumber);
}

/**
 * @type {{ head: string, isNumber?: boolean, isNeeded?: (all: Settled[]) => boolean, cell: (figure: Settled) => string }[]}
 *   isNeeded: where it does not hold for the figures, the column is left out
 */
const COLUMNS = [
  {
    head: '#',
    isNumber: true,
    isNeeded: (all) => all.some(({ row }) => row !== undefined),
    cell: ({ row = '' }) => String(row),
  },
  { head: 'what', cell: ({ what }) => what },
  { head: 'over', cell: ({ over = '' }) => over },
  {
    head: 'target',
    isNumber: true,
    cell: ({ target, isFloor, unit }) =>
      target === undefined ? '' : `${isFloor ? '≥' : '≤'} ${renderQuantity(target, unit)}`,
  },
  {
    head: 'before',
    isNumber: true,
    isNeeded: (all) => all.some(({ before }) => before !== undefined),
    cell: ({ before }) => renderNow(before),
  },
  { head: 'now', isNumber: true, cell: renderNow },
  {
    head: 'rounds',
    isNumber: true,
    cell: ({ now, rounds }) =>
      now === undefined || rounds.length < 2
        ? ''
        : `${renderQuantity(Math.min(...rounds))} – ${renderQuantity(Math.max(...rounds))}`,
  },
  {
    head: 'measured',
    isNumber: true,
    isNeeded: (all) => all.some(({ measured }) => measured !== undefined),
    cell: ({ measured }) => (measured === undefined ? '' : renderMeasured(measured)),
  },
  { head: 'met', cell: renderMet },
  {
    head: 'limit',
    isNeeded: (all) => all.some(({ limit }) => limit !== undefined),
    cell: ({ limit = '' }) => limit,
  },
];

/** @param {Settled | undefined} figure */
function renderNow(figure) {
  return figure?.now === undefined ? '–' : renderQuantity(figure.now, figure.unit);
}

/** @param {Settled} figure */
function renderMet({ missing, isMet }) {
  if (missing !== undefined) return `not measured: ${missing}`;
  if (isMet === undefined) return '';
  return isMet ? 'yes' : 'no';
}

/** @param {Measured} measured */
function renderMeasured({ ours, theirs, unit }) {
  return `${renderQuantity(median(ours))} / ${renderQuantity(median(theirs))} ${unit}`;
}

/** As many digits as tell something, and what they count. */
export function renderQuantity(value, unit = '') {
  const isWhole = Number.isInteger(value) && unit !== '';
  const digits = isWhole || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  const text = value.toLocaleString('en-US', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  return unit === '' ? text : `${text} ${unit}`;
}

/**
 * When, where and with what the figures of a table were measured, in sentences.
 *
 * @param {object} conditions as run.mjs writes them down
 */
export function renderConditions({ at, rounds, machine, syncMs, versions, before, isClean }) {
  const list = Object.entries(versions)
    .filter(([, version]) => version !== undefined)
    .map(([name, version]) => `${name} ${version}`)
    .join(', ');
  const memory = renderQuantity(machine.memoryBytes / 2 ** 30, 'GiB');
  return [
    `Measured on ${at.slice(0, 10)} in ${rounds} rounds, ${isClean ? 'in a clean environment' : "in the shell's environment"},`,
    `on ${machine.cores} cores of ${machine.cpu} with ${memory} of memory (${machine.platform}),`,
    `where a page of 8 kB takes ${renderQuantity(syncMs, 'ms')} to the disk.`,
    `${list}.${before === undefined ? '' : ` "before" is evdb ${before}.`}`,
  ].join(' ');
}

/**
 * How many rows are met: a row of several figures where each of them is.
 *
 * @param {Settled[]} figures
 * @returns {{ met: number, rows: number }}
 */
export function countMet(figures) {
  const rows = new Map();
  for (const { row, isMet = false } of figures) {
    if (row !== undefined) rows.set(row, (rows.get(row) ?? true) && isMet);
  }
  return { met: [...rows.values()].filter(Boolean).length, rows: rows.size };
}

/**
 * A table for a terminal.
 *
 * @param {string[][]} lines the first is the head
 * @param {boolean[]} isNumber for each column: set to the right
 */
export function renderTable(lines, isNumber) {
  const [head, ...rest] = padCells(lines, isNumber).map((cells) => cells.join('  ').trimEnd());
  const width = Math.max(...[head, ...rest].map(({ length }) => length));
  return [head, '-'.repeat(width), ...rest].join('\n');
}

/** @param {string[][]} lines @param {boolean[]} isNumber */
function renderMarkdownTable(lines, isNumber) {
  const escaped = lines.map((cells) => cells.map((text) => text.replaceAll('|', '\\|')));
  const [head, ...rest] = padCells(escaped, isNumber);
  const rule = head.map((cell, i) => '-'.repeat(cell.length - 1) + (isNumber[i] ? ':' : '-'));
  return [head, rule, ...rest].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** @param {string[][]} lines @param {boolean[]} isNumber */
function padCells(lines, isNumber) {
  const widths = lines[0].map((_, i) => Math.max(3, ...lines.map((cells) => cells[i].length)));
  return lines.map((cells) =>
    cells.map((text, i) => (isNumber[i] ? text.padStart(widths[i]) : text.padEnd(widths[i]))),
  );
}

/**
 * Writes a part of a text anew that stands between `<!-- bench: name -->` and `<!-- /bench: name -->`.
 *
 * @param {string} text
 * @param {string} name
 * @param {string} body
 * @throws where the two markers do not stand there once each, in this order
 */
export function replacePart(text, name, body) {
  const [start, end] = [`<!-- bench: ${name} -->`, `<!-- /bench: ${name} -->`];
  const [before, ...behind] = text.split(start);
  const [, ...after] = (behind[0] ?? '').split(end);
  if (behind.length !== 1 || after.length !== 1 || before.includes(end)) {
    throw new Error(`"${start}" and then "${end}" have to stand there once each`);
  }
  return `${before}${start}\n\n${body}\n\n${end}${after[0]}`;
}
