import { EvdbError } from '../errors.ts';

const MS_PER_UNIT: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1000],
  ['min', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);

/** PostgreSQL's own limit for its timeouts, and that of Node's timers. */
const LONGEST_MS = 2_147_483_647;

/**
 * Reads a duration as PostgreSQL writes them: a number with `ms`, `s`, `min`, `h` or `d`.
 *
 * @param value such as `'2s'`, `'1.5 min'`, `'500ms'`; a number without a unit means milliseconds
 * @param name what the duration is for, as the error message shall call it
 * @returns whole milliseconds, from 0 to 2147483647
 * @throws EvdbError `CONFIG_INVALID` where it cannot be read
 * @example parseDuration('10min') // 600000
 */
export function parseDuration(value: string | number, name = 'the duration'): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(String(value));
  const unit = match?.[2]?.toLowerCase() ?? '';
  const factor = unit === '' ? 1 : MS_PER_UNIT.get(unit);
  if (match?.[1] === undefined || factor === undefined) {
    const minutes = unit === 'm' ? ' Minutes are written "min".' : '';
    throw new EvdbError('CONFIG_INVALID', `${name}: "${value}" is not a duration`, {
      hint: `Write a number with ms, s, min, h or d, for example 500ms, 2s or 10min.${minutes}`,
    });
  }
  const durationMs = Math.round(Number(match[1]) * factor);
  if (durationMs > LONGEST_MS) {
    throw new EvdbError('CONFIG_INVALID', `${name}: "${value}" is too long`, {
      hint: `The longest possible duration is ${LONGEST_MS} ms, about 24 days.`,
    });
  }
  return durationMs;
}

/**
 * Writes a duration in the largest unit that needs no fraction; `parseDuration` reads it back.
 *
 * @example renderDuration(600000) // '10min'
 */
export function renderDuration(durationMs: number): string {
  const units = [...MS_PER_UNIT].reverse();
  const [unit, factor] = units.find(([, ms]) => durationMs > 0 && durationMs % ms === 0) ?? [
    'ms',
    1,
  ];
  return `${durationMs / factor}${unit}`;
}
