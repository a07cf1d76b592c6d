import { EvdbError } from '../errors.ts';

/*
 * How numbers are written for people: each kind has one way, with its unit.
 *
 *   renderCount     1 migration, 1,200 rows     how many of what
 *   renderNumber    1,200                       a number in a table
 *   renderBytes     512 B, 8.0 kB, 12 MB        sizes
 *   renderPercent   98.5 %                      shares
 *   renderDuration  850 µs, 2 min 5 s, 3 h 20 min   what was measured
 *   renderAge       45 s, 12 min, 9 days        about how long something has been so
 *   renderTime      2026-11-22 14:03:05         when
 */

export const SECOND_MS = 1000;
export const MINUTE_MS = 60 * SECOND_MS;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;

export const MIB = 1024 ** 2;
export const GIB = 1024 * MIB;

/** `1 migration`, `3 migrations`, `1,200 indexes`. */
export function renderCount(count: number, one: string, many = `${one}s`): string {
  return `${renderNumber(count)} ${count === 1 ? one : many}`;
}

/** With a comma between thousands, and at most two decimals; whole numbers beyond 2^53 come as text. */
export function renderNumber(value: number | string): string {
  const text = typeof value === 'number' && !Number.isInteger(value) ? value.toFixed(2) : value;
  const [whole = '', fraction] = String(text).split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ',');
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}

/** `512 B`, `8.0 kB`, `12 MB`: powers of 1024 under the names that PostgreSQL gives them. */
export function renderBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let size = bytes;
  let index = 0;
  // 9.95 would round to 10.0, and 1023.5 to 1024
  while (Math.abs(size) >= 1023.5 && index < units.length - 1) {
    size /= 1024;
    index += 1;
  }
  const digits = index > 0 && Math.abs(size) < 9.95 ? 1 : 0;
  return `${size.toFixed(digits)} ${units[index]}`;
}

/** Never says 100 % where something is missing, nor 0 % where something is there. */
export function renderPercent(percent: number): string {
  if (percent > 99.9 && percent < 100) return '>99.9 %';
  if (percent > 0 && percent < 0.1) return '<0.1 %';
  return `${percent.toFixed(1)} %`;
}

/** `850 µs`, `12 ms`, `3.4 s`, `2 min 5 s`, `3 h 20 min`, `34 d 2 h`. */
export function renderDuration(durationMs: number): string {
  if (durationMs < 0) return `-${renderDuration(-durationMs)}`;
  if (durationMs === 0) return '0 ms';
  if (durationMs < 0.0005) return '<1 µs';
  // What would round to 1000 of a unit is one of the next.
  if (durationMs < 0.9995) return `${Math.round(durationMs * 1000)} µs`;
  if (durationMs < SECOND_MS - 0.5) return `${Math.round(durationMs)} ms`;
  if (durationMs < MINUTE_MS - 50) return `${(durationMs / SECOND_MS).toFixed(1)} s`;
  if (durationMs < HOUR_MS - 500) {
    const seconds = Math.round(durationMs / SECOND_MS);
    return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  }
  if (durationMs < DAY_MS - 30_000) {
    const minutes = Math.round(durationMs / MINUTE_MS);
    return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  }
  const hours = Math.round(durationMs / HOUR_MS);
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** `850 ms`, `45 s`, `12 min`, `3.5 h`, `9 days`: about how long something has been so. */
export function renderAge(ms: number): string {
  if (ms < SECOND_MS) return `${Math.round(ms)} ms`;
  if (ms < 2 * MINUTE_MS) return `${Math.round(ms / SECOND_MS)} s`;
  if (ms < 2 * HOUR_MS) return `${Math.round(ms / MINUTE_MS)} min`;
  if (ms < 48 * HOUR_MS) return `${(ms / HOUR_MS).toFixed(1)} h`;
  return `${Math.round(ms / DAY_MS)} days`;
}

/** `2026-11-22 14:03:05`, in the time zone of whoever reads it. */
export function renderTime(iso: string): string {
  const date = new Date(iso);
  // The offset from UTC, asked for once, costs less than each local part on its own.
  const local = new Date(date.getTime() - date.getTimezoneOffset() * MINUTE_MS);
  return local.toISOString().slice(0, 19).replace('T', ' ');
}

const MS_PER_UNIT: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', SECOND_MS],
  ['min', MINUTE_MS],
  ['h', HOUR_MS],
  ['d', DAY_MS],
]);

/** PostgreSQL's own limit for its timeouts, and that of Node's timers. */
export const LONGEST_MS = 2_147_483_647;

/** A time as a timer can hold it: Node takes a longer one, such as `Infinity`, for 1 ms. */
export function timerMs(durationMs: number): number {
  return Math.min(durationMs, LONGEST_MS);
}

/**
 * Reads a duration as PostgreSQL writes them: a number with `ms`, `s`, `min`, `h` or `d`.
 *
 * @param value such as `'2s'`, `'1.5 min'`, `'500ms'`; a number (not text) without a unit means milliseconds
 * @param name what the duration is for, as the error message shall call it
 * @returns whole milliseconds, from 0 to 2147483647
 * @throws EvdbError `CONFIG_INVALID` where it cannot be read
 * @example parseDuration('10min') // 600000
 */
export function parseDuration(value: string | number, name = 'the duration'): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(String(value));
  const unit = match?.[2]?.toLowerCase() ?? '';
  // PostgreSQL means milliseconds by a bare number, other tools seconds; nobody means both.
  if (typeof value === 'string' && unit === '' && Number(match?.[1]) > 0) {
    throw new EvdbError('CONFIG_INVALID', `${name}: "${value}" has no unit`, {
      hint: `Write ${value.trim()}ms or ${value.trim()}s.`,
    });
  }
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
 * @example renderDurationSetting(600000) // '10min'
 */
export function renderDurationSetting(durationMs: number): string {
  const units = [...MS_PER_UNIT].reverse();
  const [unit, factor] = units.find(([, ms]) => durationMs > 0 && durationMs % ms === 0) ?? [
    'ms',
    1,
  ];
  return `${durationMs / factor}${unit}`;
}
