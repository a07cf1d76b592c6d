import { isRecord, readDuration, reportUnknownKeys } from './records.ts';

/** The severity of a rule's findings; `off` disables the rule. */
export type LintSeverityInput = 'error' | 'warning' | 'info' | 'off';

/** The key `lint` of a config file. */
export interface LintSettingsInput {
  /** By the name of a rule. */
  rules?: Readonly<Record<string, LintSeverityInput>> | null | undefined;
  /** By the name of a group; a rule's own entry takes precedence over that of its group. */
  groups?: Readonly<Record<string, LintSeverityInput>> | null | undefined;
  /** Migrations up to this version are not linted. */
  startAfter?: string | number | null | undefined;
  /** Tables with fewer rows turn findings about locks into information; default: none. */
  smallTableRows?: number | null | undefined;
  /** The oldest major version that the migrations are for; default 14. */
  serverVersion?: number | string | null | undefined;
  /** The highest lock_timeout that a migration may set; default 10s. */
  maxLockTimeout?: string | number | null | undefined;
}

/** The same, checked. `evdb lint` checks whether such rules exist. */
export interface LintFileSettings {
  rules: Record<string, LintSeverityInput>;
  groups: Record<string, LintSeverityInput>;
  startAfter?: string;
  smallTableRows?: number;
  /** As in server_version_num. */
  serverVersion?: number;
  maxLockTimeoutMs?: number;
}

const KEYS = ['rules', 'groups', 'startAfter', 'smallTableRows', 'serverVersion', 'maxLockTimeout'];
const SEVERITIES = ['error', 'warning', 'info', 'off'];

/**
 * Checks the key `lint` of a config file.
 *
 * @param problems gets a sentence for each thing that is wrong
 */
export function checkLintSettings(value: unknown, problems: string[]): LintFileSettings {
  const settings: LintFileSettings = { rules: {}, groups: {} };
  if (value === undefined || value === null) return settings;
  if (!isRecord(value)) {
    problems.push(`"lint" must be an object with the keys ${KEYS.join(', ')}`);
    return settings;
  }
  reportUnknownKeys(value, KEYS, 'lint', problems);
  settings.rules = checkSeverities(value.rules, 'lint.rules', problems);
  settings.groups = checkSeverities(value.groups, 'lint.groups', problems);
  const check = <T>(key: string, read: (entry: unknown) => T | undefined, expected: string) => {
    const entry = value[key];
    if (entry === undefined || entry === null || entry === '') return undefined;
    const result = read(entry);
    if (result === undefined) problems.push(`"lint.${key}" must be ${expected}`);
    return result;
  };
  const startAfter = check('startAfter', readVersion, 'a version such as "012"');
  const smallTableRows = check('smallTableRows', readCount, 'a number of rows');
  const serverVersion = check('serverVersion', parseServerVersion, 'a major version such as 14');
  const maxLockTimeoutMs = check('maxLockTimeout', readDuration, 'a duration such as "10s"');
  return {
    ...settings,
    ...(startAfter !== undefined && { startAfter }),
    ...(smallTableRows !== undefined && { smallTableRows }),
    ...(serverVersion !== undefined && { serverVersion }),
    ...(maxLockTimeoutMs !== undefined && { maxLockTimeoutMs }),
  };
}

function checkSeverities(
  value: unknown,
  key: string,
  problems: string[],
): Record<string, LintSeverityInput> {
  if (value === undefined || value === null) return {};
  if (!isRecord(value)) {
    problems.push(`"${key}" must be an object such as { "name": "warning" }`);
    return {};
  }
  const checked: Record<string, LintSeverityInput> = {};
  for (const [name, severity] of Object.entries(value)) {
    if (isSeverity(severity)) checked[name] = severity;
    else problems.push(`"${key}.${name}" must be one of ${SEVERITIES.join(', ')}`);
  }
  return checked;
}

function isSeverity(value: unknown): value is LintSeverityInput {
  return typeof value === 'string' && SEVERITIES.includes(value);
}

function readVersion(value: unknown): string | undefined {
  const text = typeof value === 'number' ? String(value) : value;
  return typeof text === 'string' && /^\d{1,18}$/.test(text) ? text : undefined;
}

function readCount(value: unknown): number | undefined {
  return Number.isSafeInteger(value) && Number(value) >= 0 ? Number(value) : undefined;
}

/**
 * Reads `14`, as in server_version_num.
 *
 * @returns undefined if it is not a major version that evdb knows
 * @example
 * const serverVersion = parseServerVersion('14'); // 140000
 */
export function parseServerVersion(value: unknown): number | undefined {
  const text = String(value);
  const major = Number(text);
  return /^\d\d$/.test(text) && major >= OLDEST_MAJOR ? major * 10_000 : undefined;
}

const OLDEST_MAJOR = 14;
