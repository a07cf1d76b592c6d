import { EvdbError } from '../errors.ts';

/** `850 µs`, `12 ms`, `3.4 s`, `2 min 5 s`. */
export function renderDuration(durationMs: number): string {
  if (durationMs < 1) return `${Math.round(durationMs * 1000)} µs`;
  if (durationMs < 1000) return `${Math.round(durationMs)} ms`;
  if (durationMs < 60_000) return `${(durationMs / 1000).toFixed(1)} s`;
  const seconds = Math.round(durationMs / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** `2026-11-22 14:03:05`, in the time zone of whoever reads it. */
export function renderTime(iso: string): string {
  const date = new Date(iso);
  // The offset from UTC, asked for once, costs less than each local part on its own.
  const local = new Date(date.getTime() - date.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 19).replace('T', ' ');
}

/** `1 migration`, `3 migrations`. */
export function renderCount(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

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
export function renderSetting(durationMs: number): string {
  const units = [...MS_PER_UNIT].reverse();
  const [unit, factor] = units.find(([, ms]) => durationMs > 0 && durationMs % ms === 0) ?? [
    'ms',
    1,
  ];
  return `${durationMs / factor}${unit}`;
}

/** Durations in ms, for thresholds. */
export const SECOND_MS = 1000;
export const MINUTE_MS = 60 * SECOND_MS;
export const HOUR_MS = 60 * MINUTE_MS;

const MIB = 1024 ** 2;
export const GIB = 1024 * MIB;
/** Below it neither an index nor a scan costs much. */
export const SMALL_BYTES = 10 * MIB;

/** `45 s`, `12 min`, `3.5 h`, `9 days`. */
export function describeAge(ms: number): string {
  if (ms < 2 * MINUTE_MS) return `${Math.round(ms / SECOND_MS)} s`;
  if (ms < 2 * HOUR_MS) return `${Math.round(ms / MINUTE_MS)} min`;
  if (ms < 48 * HOUR_MS) return `${(ms / HOUR_MS).toFixed(1)} h`;
  return `${Math.round(ms / (24 * HOUR_MS))} days`;
}

/** `512 kB`, `12 MB`, `3.4 GB`, as PostgreSQL names powers of 1024. */
export function describeBytes(bytes: number): string {
  if (bytes < MIB) return `${Math.round(bytes / 1024)} kB`;
  if (bytes < GIB) return `${Math.round(bytes / MIB)} MB`;
  return `${(bytes / GIB).toFixed(1)} GB`;
}

/** `1 index`, `3 indexes`. */
export function describeCount(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
