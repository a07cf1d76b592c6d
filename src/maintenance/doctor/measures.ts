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
