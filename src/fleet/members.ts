import { extname, resolve } from 'node:path';
import { readTextOf } from '../config/file.ts';
import {
  checkMembers,
  type FleetEntry,
  type FleetSettings,
  memberOfText,
} from '../config/fleet-settings.ts';
import { withInspection } from '../connection/inspection.ts';
import type { ConnectionOptions } from '../connection/options.ts';
import type { Row } from '../connection/session.ts';
import { EvdbError } from '../errors.ts';

/** One database or schema of a fleet. */
export interface FleetMember {
  /** Unique within the fleet; what every line calls it. */
  name: string;
  /** Its database; absent: that of the fleet. May hold a password. */
  url?: string;
  /** Another database of the fleet's server. */
  database?: string;
  /** Absent: the schema that is configured. */
  schema?: string;
  labels: Readonly<Record<string, string>>;
}

/** What a list of members is read from. */
export interface ReadFleetOptions {
  /** What messages call it. */
  name: string;
  settings: FleetSettings;
  /** What a relative path of a file is relative to. */
  projectDir: string;
  /** The database that a query asks; called only where there is one. */
  connect: () => Promise<ConnectionOptions>;
  /** Ends the asking; default: nothing does. */
  signal?: AbortSignal | undefined;
}

/**
 * Lists the members of a fleet: from the config file, from another file, or from a query.
 *
 * @returns in their order there, each name once
 * @throws {EvdbError} CONFIG_INVALID for a list that is empty, not valid, or has a name twice, and those of
 *   `withInspection` for a query
 * @example
 * const members = await readFleet({
 *   name: 'tenants',
 *   settings: { query: 'select schema_name as schema, region from control.tenants order by 1' },
 *   projectDir: process.cwd(),
 *   connect: async () => connection,
 * });
 */
export async function readFleet(options: ReadFleetOptions): Promise<FleetMember[]> {
  const members = (await listEntries(options)).map(nameMember);
  refuseTwins(members, options.name);
  if (members.length > 0) return members;
  throw new EvdbError('CONFIG_INVALID', `the fleet "${options.name}" has no member`, {
    hint: `Check fleets.${options.name} in the config file, and what its list or query gives.`,
  });
}

async function listEntries(options: ReadFleetOptions): Promise<FleetEntry[]> {
  const { settings, name, projectDir, connect, signal } = options;
  if (settings.members) return settings.members;
  if (settings.file !== undefined) return readList(resolve(projectDir, settings.file), name);
  const query = settings.query ?? '';
  const rows = await withInspection(await connect(), (session) => session.run(query), { signal });
  return rows.map((row, index) => entryOfRow(row, `${name}: row ${index + 1} of the query`));
}

async function readList(path: string, name: string): Promise<FleetEntry[]> {
  const hint = `Check fleets.${name}.file in the config file.`;
  const text = readTextOf(path, `the file ${path} of the fleet "${name}"`, () => hint);
  const kind = extname(path).toLowerCase();
  if (kind !== '.json' && kind !== '.yaml' && kind !== '.yml') {
    const lines = text.split(/\r?\n/).map((line) => line.trim());
    return lines.filter((line) => line !== '' && !line.startsWith('#')).map(memberOfText);
  }
  const value = await parseList(path, text, kind);
  const list = Array.isArray(value) ? value : (value as { members?: unknown } | null)?.members;
  const problems: string[] = [];
  const entries = checkMembers(list, name, problems);
  if (problems.length === 0) return entries;
  throw new EvdbError('CONFIG_INVALID', `${path}: ${problems.join('; ')}`, {
    hint: 'It must be a list of schemas, URLs, or objects { name?, url?, database?, schema?, labels? }.',
  });
}

async function parseList(path: string, text: string, kind: string): Promise<unknown> {
  try {
    if (kind === '.json') return JSON.parse(text);
    const { cosmiconfig } = await import('cosmiconfig');
    return (await cosmiconfig('evdb', { searchStrategy: 'none' }).load(path))?.config;
  } catch {
    // The parser's own message quotes the text, which may hold a password.
    throw new EvdbError('CONFIG_INVALID', `${path} is not valid ${kind.slice(1).toUpperCase()}`, {
      hint: 'It must be a list of members.',
    });
  }
}

function entryOfRow(row: Row, place: string): FleetEntry {
  const { name, url, database, schema, ...others } = row;
  const places = Object.entries({ name, url, database, schema }).filter(
    ([, value]) => value !== undefined && value !== null && value !== '',
  );
  const labels = Object.entries(others).filter(([, value]) => value !== null);
  const entry: FleetEntry = {
    ...Object.fromEntries(places.map(([key, value]) => [key, String(value)])),
    labels: Object.fromEntries(labels.map(([key, value]) => [key, String(value)])),
  };
  if (entry.url ?? entry.database ?? entry.schema) return entry;
  throw new EvdbError('CONFIG_INVALID', `fleet ${place} has no url, database or schema`, {
    hint: 'Name the column that says where a member is: select schema_name as schema, region from …',
  });
}

function nameMember(entry: FleetEntry): FleetMember {
  const name = entry.name ?? entry.schema ?? entry.database ?? databaseOf(entry.url ?? '');
  return { ...entry, name };
}

/** A URL names its database at the end of its path; what is no URL is told where it is opened. */
function databaseOf(url: string): string {
  const [, path = ''] = /^[^:]+:\/\/[^/?]*\/([^?]*)/.exec(url) ?? [];
  return decodeURIComponent(path) || 'unnamed';
}

function refuseTwins(members: readonly FleetMember[], fleet: string): void {
  const seen = new Set<string>();
  const twins = new Set<string>();
  for (const { name } of members) (seen.has(name) ? twins : seen).add(name);
  if (twins.size === 0) return;
  const [first] = twins;
  const more = twins.size > 1 ? `, and ${twins.size - 1} more names twice` : '';
  throw new EvdbError('CONFIG_INVALID', `the fleet "${fleet}" has "${first}" twice${more}`, {
    hint: 'Give each member a name of its own, or leave out the one that is there twice.',
    details: { names: [...twins].slice(0, 20) },
  });
}
