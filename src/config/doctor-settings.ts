import { isRecord } from './records.ts';
/** One entry of `doctor.ignore`: a finding that you have looked at and accept. */
export interface DoctorIgnoreInput {
  /** Name of a check. */
  check: string;
  /** The object of the finding; `*` matches any text. Default: all findings of the check. */
  object?: string | null | undefined;
  /** Why it is accepted. */
  reason: string;
  /** The last day on which it applies: `2027-03-31`. Default: no end. */
  until?: string | Date | null | undefined;
}

/** The key `doctor` of a config file. */
export interface DoctorSettingsInput {
  /** Findings that you have looked at and accept. */
  ignore?: readonly DoctorIgnoreInput[] | null | undefined;
}

/** The same, checked. Whether there is such a check, `evdb doctor` knows. */
export interface DoctorSettings {
  ignore: { check: string; object?: string; reason: string; until?: string }[];
}

/**
 * Checks the key `doctor` of a config file.
 *
 * @param problems gets a sentence for each thing that is wrong
 */
export function checkDoctorSettings(value: unknown, problems: string[]): DoctorSettings {
  const settings: DoctorSettings = { ignore: [] };
  if (value === undefined || value === null) return settings;
  if (!isRecord(value)) {
    problems.push('"doctor" must be an object with the key ignore');
    return settings;
  }
  reportUnknownKeys(value, ['ignore'], 'doctor', problems);
  const { ignore } = value;
  if (ignore === undefined || ignore === null) return settings;
  if (!Array.isArray(ignore)) {
    problems.push('"doctor.ignore" must be a list of { check, object?, reason, until? }');
    return settings;
  }
  for (const [index, entry] of ignore.entries()) {
    const checked = checkIgnore(entry, `doctor.ignore[${index}]`, problems);
    if (checked) settings.ignore.push(checked);
  }
  return settings;
}

const IGNORE_KEYS = ['check', 'object', 'reason', 'until'];

function checkIgnore(
  value: unknown,
  key: string,
  problems: string[],
): DoctorSettings['ignore'][number] | undefined {
  if (!isRecord(value)) {
    problems.push(`"${key}" must be an object { check, object?, reason, until? }`);
    return undefined;
  }
  const before = problems.length;
  reportUnknownKeys(value, IGNORE_KEYS, key, problems);
  const { check, object = null, reason, until = null } = value;
  if (!isText(check)) problems.push(`"${key}.check" must be the name of a check`);
  if (object !== null && !isText(object)) problems.push(`"${key}.object" must be a string`);
  if (!isText(reason)) problems.push(`"${key}.reason" must say why, as a string`);
  const day = until === null ? null : readDay(until);
  if (day === undefined) problems.push(`"${key}.until" must be a day such as "2027-03-31"`);
  if (problems.length > before) return undefined;
  return {
    check: String(check),
    ...(object !== null && { object: String(object) }),
    reason: String(reason),
    ...(day && { until: day }),
  };
}

/** YAML turns a day without quotes into a date. */
function readDay(value: unknown): string | undefined {
  const isDate = value instanceof Date && !Number.isNaN(value.getTime());
  const text = isDate ? value.toISOString().slice(0, 10) : value;
  if (typeof text !== 'string' || !/^\d{4}-\d{2}-\d{2}$/.test(text)) return undefined;
  const date = new Date(`${text}T00:00:00Z`);
  const isDay = !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text);
  return isDay ? text : undefined;
}

function reportUnknownKeys(
  value: Record<string, unknown>,
  known: readonly string[],
  key: string,
  problems: string[],
): void {
  for (const name of Object.keys(value)) {
    if (!known.includes(name)) problems.push(`unknown key "${key}.${name}"`);
  }
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== '';
}
