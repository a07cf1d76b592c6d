import { round, toMegabytes } from './report.mjs';
import { median } from './statistics.mjs';

/** An added one costs the same everywhere where a cost is linear; noise takes its part. */
const GROWTH_LIMIT = 1.3;

export const GROWTH_HEAD = [
  'command',
  'wall s',
  'ms of one',
  'ms of an added one',
  'CPU ms of an added one',
  'growth',
  'CPU s',
  'peak MB',
];

/**
 * What a command costs by the number of things that it works on; `added` is what each of them beyond
 * the size before cost, constant where that is linear.
 *
 * @typedef {{ wallMs: number, userMs: number, systemMs: number, peakRssBytes: number }} Used
 * @param {string} command
 * @param {{ size: number, runs: Used[] }[]} measured by size
 */
export function summariseGrowth(command, measured) {
  const lines = measured.map(({ size, runs }) => ({
    command,
    size,
    wallMs: median(runs.map(({ wallMs }) => wallMs)),
    cpuMs: median(runs.map(({ userMs, systemMs }) => userMs + systemMs)),
    peakRssMb: Math.max(...runs.map(({ peakRssBytes }) => toMegabytes(peakRssBytes))),
  }));
  const costs = lines.slice(1).map((line, index) => {
    const more = line.size - lines[index].size;
    return {
      wallMs: (line.wallMs - lines[index].wallMs) / more,
      cpuMs: (line.cpuMs - lines[index].cpuMs) / more,
    };
  });
  return lines.map((line, index) => {
    const cost = costs[index - 1];
    if (!cost) return line;
    const growth = { cpu: cost.cpuMs / costs[0].cpuMs, wall: cost.wallMs / costs[0].wallMs };
    return { ...line, added: cost, growth };
  });
}

/**
 * @param {ReturnType<typeof summariseGrowth>} lines
 * @param {string} things
 */
export function renderGrowth(lines, things) {
  return lines.map(({ command, size, wallMs, cpuMs, peakRssMb, added, growth }) => [
    `${command}, ${size} ${things}`,
    round(wallMs / 1000),
    round(wallMs / size, 3),
    ...(added
      ? [round(added.wallMs, 3), round(added.cpuMs, 3), `× ${round(growth.wall)}`]
      : ['', '', '']),
    round(cpuMs / 1000),
    round(peakRssMb, 0),
  ]);
}

/**
 * Of the biggest size: what an added one cost over what it cost between the two smallest, and the memory.
 *
 * @param {ReturnType<typeof summariseGrowth>} lines
 * @param {string} things
 * @returns {import('./table.mjs').Figure[]}
 */
export function figuresOfGrowth(lines, things) {
  if (lines.length < 3) return [];
  const { command, size, wallMs, peakRssMb, added, growth } = lines.at(-1);
  const [first, second] = lines.map((line) => line.size.toLocaleString('en-US'));
  const many = `${size.toLocaleString('en-US')} ${things}`;
  const theirs = lines[1].added.wallMs;
  const isKnown = added.wallMs > 0 && theirs > 0;
  return [
    {
      what: `\`${command}\`, ${many}: time of an added one`,
      over: `between ${first} and ${second}`,
      target: GROWTH_LIMIT,
      ...(isKnown
        ? {
            rounds: [growth.wall],
            measured: { ours: [added.wallMs], theirs: [theirs], unit: 'ms' },
          }
        : {
            rounds: [],
            missing: 'the time does not grow with the size: the machine was not quiet',
          }),
    },
    { what: `\`${command}\`, ${many}: time`, unit: 's', rounds: [wallMs / 1000] },
    {
      what: `\`${command}\`, ${many}: peak memory`,
      unit: 'MB',
      isPeak: true,
      rounds: [peakRssMb],
    },
  ];
}
