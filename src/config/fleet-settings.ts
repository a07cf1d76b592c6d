import { isRecord, readDuration, reportUnknownKeys } from './records.ts';

type Label = string | number | boolean;

/** One member of a fleet; at least one of `url`, `database` and `schema` says where it is. */
export interface FleetMemberInput {
  /** What every line calls it; default: its schema, else its database. */
  name?: string | undefined;
  /** Its database; default: that of the fleet. */
  url?: string | undefined;
  /** Another database of the fleet's server. */
  database?: string | undefined;
  /** Its schema; default: the one that is configured. */
  schema?: string | undefined;
  /** What `--only` selects by, such as `{ region: 'eu' }`. */
  labels?: Readonly<Record<string, Label>> | null | undefined;
}

/** An entry of `fleets`: databases or schemas that commands with `--fleet` take one after the other. */
export interface FleetInput {
  /** A text is the name of a schema, or a URL. */
  members?: readonly (string | FleetMemberInput)[] | null | undefined;
  /** A file with the same list: JSON, YAML, or one member a line; relative to the config file. */
  file?: string | null | undefined;
  /**
   * A query that lists the members: its columns `name`, `url`, `database` and `schema` say where they
   * are, all others are labels.
   */
  query?: string | null | undefined;
  /** The database that is asked, and that holds members without a URL; default: the one that is configured. */
  url?: string | null | undefined;
  /** The same by an entry of `environments`. */
  environment?: string | null | undefined;
  /** How many members at a time; default 8. */
  concurrency?: number | null | undefined;
  /** The group that goes first: a number of members, or a label such as `plan=internal`. */
  canary?: string | number | null | undefined;
  /** How many members a wave has: a number, or a share such as `10%`. Default: all in one wave. */
  waveSize?: string | number | null | undefined;
  /** How long to wait after each wave but the last; default 0. */
  wavePause?: string | number | null | undefined;
  /** What is asked after each wave: `doctor`, `query:<select>` or `command:<words>`. Default: nothing. */
  waveCheck?: string | null | undefined;
  /** How many members may fail before no other one begins: a number, or a share such as `2%`. */
  failureBudget?: string | number | null | undefined;
  /** How long one member may take; default: any time. */
  memberTimeout?: string | number | null | undefined;
  /** The database that `evdb fleet add` copies a new one from; default: the migrations are applied. */
  template?: string | null | undefined;
}

/** A member as a list has it, not checked against the others. */
export interface FleetEntry {
  name?: string;
  url?: string;
  database?: string;
  schema?: string;
  labels: Record<string, string>;
}

/** The same as `FleetInput`, checked. */
export interface FleetSettings {
  members?: FleetEntry[];
  file?: string;
  query?: string;
  url?: string;
  environment?: string;
  concurrency?: number;
  canary?: string;
  waveSize?: string;
  wavePauseMs?: number;
  waveCheck?: string;
  failureBudget?: string;
  memberTimeoutMs?: number;
  template?: string;
}

const TEXTS = ['file', 'query', 'url', 'environment', 'waveCheck', 'template'] as const;
const AMOUNTS = ['canary', 'waveSize', 'failureBudget'] as const;
const DURATIONS = { wavePause: 'wavePauseMs', memberTimeout: 'memberTimeoutMs' } as const;
const KEYS = ['members', ...TEXTS, 'concurrency', ...AMOUNTS, ...Object.keys(DURATIONS)];
const SOURCES = ['members', 'file', 'query'];

/**
 * Checks the key `fleets` of a config file.
 *
 * @param problems gets a sentence for each thing that is wrong
 */
export function checkFleets(value: unknown, problems: string[]): Record<string, FleetSettings> {
  if (value === undefined || value === null) return {};
  if (!isRecord(value)) {
    problems.push('"fleets" must be an object with one entry for each fleet');
    return {};
  }
  return Object.fromEntries(
    Object.entries(value).map(([name, entry]) => [name, checkFleet(entry, name, problems)]),
  );
}

function checkFleet(value: unknown, name: string, problems: string[]): FleetSettings {
  const key = `fleets.${name}`;
  const settings: FleetSettings = {};
  if (!isRecord(value)) {
    problems.push(`"${key}" must be an object with one of ${SOURCES.join(', ')}`);
    return settings;
  }
  reportUnknownKeys(value, KEYS, key, problems);
  for (const one of TEXTS) {
    if (!isSet(value[one])) continue;
    if (typeof value[one] === 'string') settings[one] = value[one];
    else problems.push(`"${key}.${one}" must be a string`);
  }
  readAmounts(value, settings, { key, problems });
  if (isSet(value.members)) settings.members = checkMembers(value.members, key, problems);
  const sources = SOURCES.filter((one) => isSet(value[one]));
  if (sources.length !== 1) problems.push(`"${key}" must have one of ${SOURCES.join(', ')}`);
  // A variable that is not set must not lead to another database.
  if ('url' in value && settings.url === undefined) problems.push(`"${key}.url" is empty`);
  if (settings.url !== undefined && settings.environment !== undefined)
    problems.push(`"${key}" cannot have both url and environment`);
  return settings;
}

function readAmounts(
  value: Record<string, unknown>,
  settings: FleetSettings,
  { key, problems }: { key: string; problems: string[] },
): void {
  for (const one of AMOUNTS) {
    if (!isSet(value[one])) continue;
    const text = String(value[one]);
    const isLabel = one === 'canary' && /^[^=\s]+=./.test(text);
    if (isLabel || /^\d+(\.\d+)?%?$/.test(text)) settings[one] = text;
    else problems.push(`"${key}.${one}" must be a number of members, or a share such as "10%"`);
  }
  for (const [one, settingMs] of Object.entries(DURATIONS)) {
    if (!isSet(value[one])) continue;
    const durationMs = readDuration(value[one]);
    if (durationMs === undefined) problems.push(`"${key}.${one}" must be a duration such as "30s"`);
    else settings[settingMs as 'wavePauseMs' | 'memberTimeoutMs'] = durationMs;
  }
  const { concurrency } = value;
  if (!isSet(concurrency)) return;
  if (Number.isSafeInteger(concurrency) && Number(concurrency) > 0)
    settings.concurrency = Number(concurrency);
  else problems.push(`"${key}.concurrency" must be a positive whole number`);
}

/**
 * Checks a list of members, whether it stands in the config file or in another one.
 *
 * @param problems gets a sentence for each thing that is wrong, without the values: a URL holds a password
 */
export function checkMembers(value: unknown, key: string, problems: string[]): FleetEntry[] {
  if (!Array.isArray(value)) {
    problems.push(`"${key}.members" must be a list`);
    return [];
  }
  return value.flatMap((one, index) => {
    const place = `${key}.members[${index}]`;
    if (typeof one === 'string' && one.trim() !== '') return [memberOfText(one.trim())];
    if (isRecord(one)) return [checkMember(one, place, problems)];
    problems.push(`"${place}" must be a schema, a URL, or { name?, url?, database?, schema? }`);
    return [];
  });
}

/** A URL, or the name of a schema. */
export function memberOfText(text: string): FleetEntry {
  return text.includes('://') ? { url: text, labels: {} } : { schema: text, labels: {} };
}

const PLACES = ['name', 'url', 'database', 'schema'] as const;

function checkMember(
  value: Record<string, unknown>,
  place: string,
  problems: string[],
): FleetEntry {
  const member: FleetEntry = { labels: {} };
  reportUnknownKeys(value, [...PLACES, 'labels'], place, problems);
  for (const key of PLACES) {
    if (!(key in value)) continue;
    const text = value[key];
    // Left out, it would be the database of the fleet: not what somebody means whose variable is not set.
    if (typeof text === 'string' && text !== '') member[key] = text;
    else problems.push(`"${place}.${key}" must be a string that is not empty`);
  }
  if (!('url' in value || 'database' in value || 'schema' in value))
    problems.push(`"${place}" must have a url, a database or a schema`);
  if (isSet(value.labels)) member.labels = checkLabels(value.labels, place, problems);
  return member;
}

function checkLabels(value: unknown, place: string, problems: string[]): Record<string, string> {
  const isLabel = (one: unknown) => ['string', 'number', 'boolean'].includes(typeof one);
  if (isRecord(value) && Object.values(value).every(isLabel))
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, String(one)]));
  problems.push(`"${place}.labels" must be an object such as { "region": "eu" }`);
  return {};
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '';
}
