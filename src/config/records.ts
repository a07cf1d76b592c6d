import { parseDuration } from '../text/units.ts';
import { renderSuggestion } from '../text/words.ts';

/** Whether an entry of a config file is an object with keys. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Notes the keys that an object of a config file must not have, each with the one that may be meant.
 *
 * @param place the object's own key, such as `fleets.tenants`
 */
export function reportUnknownKeys(
  value: Record<string, unknown>,
  known: readonly string[],
  place: string,
  problems: string[],
): void {
  for (const key of Object.keys(value)) {
    if (known.includes(key)) continue;
    problems.push(`unknown key "${place}.${key}"${renderSuggestion(key, known)}`);
  }
}

/** A duration in ms, as text with a unit or as a number; undefined where it is none. */
export function readDuration(value: unknown): number | undefined {
  if (typeof value !== 'string' && typeof value !== 'number') return undefined;
  try {
    return parseDuration(value);
  } catch {
    return undefined;
  }
}
