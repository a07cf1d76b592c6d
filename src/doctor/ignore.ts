import { EvdbError } from '../errors.ts';
import type { Finding } from '../finding.ts';
import { CHECK_GROUPS, type DoctorCheck } from './check.ts';

/** A finding that you have looked at and accept. */
export interface DoctorIgnore {
  /** Name of a check. */
  check: string;
  /** The object of the finding; `*` matches any text. Default: all findings of the check. */
  object?: string | undefined;
  reason: string;
  /** The last day on which it applies, as `2027-03-31` (UTC). Default: no end. */
  until?: string | undefined;
}

/** Whether the last day is over. */
export function isExpired({ until }: DoctorIgnore, now: Date): boolean {
  return until !== undefined && now.toISOString().slice(0, 10) > until;
}

/** Whether an entry is about a finding of a check. */
export function covers(
  { check, object }: DoctorIgnore,
  { code, objects }: Pick<Finding, 'code' | 'objects'>,
): boolean {
  if (check !== code) return false;
  if (object === undefined) return true;
  const [first = '', ...rest] = object.split('*');
  return objects.some((one) => (rest.length === 0 ? one === first : matches(one, first, rest)));
}

/** By hand, because a pattern made of names with many stars could take for ever. */
function matches(text: string, first: string, rest: string[]): boolean {
  if (!text.startsWith(first)) return false;
  const last = rest.at(-1) ?? '';
  let at = first.length;
  for (const part of rest.slice(0, -1)) {
    const found = text.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return text.length - last.length >= at && text.endsWith(last);
}

/**
 * Finds the checks that were asked for by their names or by those of groups.
 *
 * @throws {EvdbError} USAGE for a name that there is not
 */
export function selectChecks(
  checks: readonly DoctorCheck[],
  only: readonly string[] | undefined,
): readonly DoctorCheck[] {
  if (only === undefined || only.length === 0) return checks;
  const names = checks.map(({ name }) => name);
  for (const wanted of only) requireName(wanted, [...CHECK_GROUPS, ...names], 'check or group');
  return checks.filter(({ name, group }) => only.includes(name) || only.includes(group));
}

/**
 * Refuses entries that cannot hold: one that misspells its check would look as if it did.
 *
 * @throws {EvdbError} USAGE
 */
export function requireIgnores(
  checks: readonly DoctorCheck[],
  ignores: readonly DoctorIgnore[],
): void {
  const names = checks.map(({ name }) => name);
  for (const { check, reason, until } of ignores) {
    requireName(check, names, 'check');
    if (reason.trim() === '') throw invalid(check, 'has no reason');
    if (until !== undefined && !isDay(until)) throw invalid(check, `"${until}" is not a day`);
  }
}

/** Such as `2027-03-31`, and one that the calendar has. */
function isDay(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  const date = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text);
}

function invalid(check: string, what: string): EvdbError {
  return new EvdbError('USAGE', `the entry of doctor.ignore for ${check}: ${what}`, {
    hint: 'Write: { check, object?, reason, until? } with until as YYYY-MM-DD.',
  });
}

function requireName(name: string, known: readonly string[], what: string): void {
  if (known.includes(name)) return;
  throw new EvdbError('USAGE', `doctor has no ${what} "${name}"`, {
    hint: `There are: ${known.join(', ')}.`,
    details: { name, known },
  });
}
