import { hash } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { EvdbError } from '../errors.ts';
import { readChecksum } from '../migrate/files/source.ts';
import { commandLine } from '../text/command-line.ts';
import type { FleetMember } from './members.ts';
import type { MemberOutcome } from './run.ts';

/** What a run is the same by: who continues it must do the same with the same files. */
export interface FleetRun {
  fleet: string;
  /** Such as `migrate up`. */
  command: string;
  /** Over its options and files. */
  digest: string;
}

/** The record of a run; a line for each member that is done. */
export interface FleetRecord {
  /** Whether this run, or the one that it continues, has done a member. */
  isDone(member: FleetMember): boolean;
  /** Writes down what became of a member; it is on its way to the disk when this returns. */
  note(outcome: MemberOutcome, member: FleetMember): void;
  /** Removes the record where nothing is left to do. */
  close(isComplete: boolean): void;
}

/**
 * A digest of what a run does and of the SQL files, so that only the same run is continued.
 *
 * @param facts what it was given, as JSON can write it
 * @param directories of the files, with the folders in them; one that cannot be read counts as empty, because
 *   each member tells of it
 * @example
 * const digest = digestOfRun({ to: '012' }, ['migrations']);
 */
export function digestOfRun(facts: object, directories: readonly string[]): string {
  const files = directories.flatMap((directory) =>
    listSqlFiles(directory).map((path) => [path, readChecksum(join(directory, path))]),
  );
  return hash('sha256', JSON.stringify([facts, files]), 'hex');
}

function listSqlFiles(directory: string): string[] {
  try {
    const names = readdirSync(directory, { recursive: true, encoding: 'utf8' });
    return names.filter((name) => name.endsWith('.sql')).sort();
  } catch {
    // said above
    return [];
  }
}

/** How many records of runs that were never continued are kept, of each command and fleet. */
const MOST_KEPT = 10;

/**
 * Begins the record of a run, or goes on with that of the newest run that was not completed.
 *
 * @param directory of the project's own files, such as `.evdb`
 * @throws {EvdbError} USAGE where there is nothing to resume, or it was another run; FILE_UNREADABLE where it
 *   cannot be written
 * @example
 * const digest = digestOfRun({}, ['migrations']);
 * const run = { fleet: 'tenants', command: 'migrate up', digest };
 * const record = openFleetRecord('.evdb', run, false);
 */
export function openFleetRecord(directory: string, run: FleetRun, resumes: boolean): FleetRecord {
  const folder = join(directory, 'fleet-runs');
  const prefix = `${safeName(run.fleet)}.${run.command.replaceAll(' ', '-')}.`;
  const records = listRecords(folder, prefix);
  const path = resumes
    ? requireRecord(records.at(-1), run)
    : beginRecord(folder, prefix, run, records);
  const done = new Set(readDone(path));
  // Behind half a line of a runner that was killed, the next one would be lost.
  if (resumes) write(() => appendFileSync(path, '\n'), path);
  return {
    isDone: (member) => done.has(keyOf(member)),
    note: ({ state, exitCode }, member) => {
      if (state !== 'done' && state !== 'found') return;
      const line = { member: member.name, key: keyOf(member), state, exitCode, at: now() };
      write(() => appendFileSync(path, `${JSON.stringify(line)}\n`), path);
    },
    close: (isComplete) => {
      // Those of earlier runs are no longer needed either.
      if (isComplete) for (const one of [...records, path]) rmSync(one, { force: true });
    },
  };
}

const now = () => new Date().toISOString();

/** A member that moved to another place is another one. */
function keyOf({ name, url = '', database = '', schema = '' }: FleetMember): string {
  return hash('sha256', [name, url, database, schema].join('\0'), 'hex').slice(0, 32);
}

function safeName(name: string): string {
  return encodeURIComponent(name).replace(/[*.]/g, '_').slice(0, 100);
}

/** The oldest first: their names begin with the time. */
function listRecords(folder: string, prefix: string): string[] {
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => name.startsWith(prefix));
  return names.sort().map((name) => join(folder, name));
}

function beginRecord(
  folder: string,
  prefix: string,
  run: FleetRun,
  records: readonly string[],
): string {
  const time = now().replace(/[-:.]/g, '');
  const path = join(folder, `${prefix}${time}-${process.pid}.jsonl`);
  write(() => {
    mkdirSync(folder, { recursive: true });
    const ignore = join(dirname(folder), '.gitignore');
    if (!existsSync(ignore)) writeFileSync(ignore, '*\n');
    writeFileSync(path, `${JSON.stringify({ ...run, startedAt: now() })}\n`);
    for (const old of records.slice(0, -MOST_KEPT)) rmSync(old, { force: true });
  }, path);
  return path;
}

function write(work: () => void, path: string): void {
  try {
    work();
  } catch (cause) {
    throw new EvdbError('FILE_UNREADABLE', `cannot write the record of the run ${path}`, {
      hint: 'Check the permissions and the space of the folder.',
      cause,
    });
  }
}

function requireRecord(path: string | undefined, run: FleetRun): string {
  const [head] = path === undefined ? [] : readLines(path);
  if (path !== undefined && head?.digest === run.digest) return path;
  const plain = commandLine(run.command, { fleet: run.fleet });
  throw path === undefined
    ? new EvdbError(
        'USAGE',
        `no run of ${run.command} on the fleet "${run.fleet}" is left to resume`,
        {
          hint: `Begin one: ${plain}. Members where nothing is to do cost a moment each.`,
        },
      )
    : new EvdbError('USAGE', `the run of ${String(head?.startedAt)} was another one`, {
        hint: `Its options or the migration files were not those of now. Begin a new one: ${plain}`,
      });
}

function readDone(path: string): string[] {
  return readLines(path).flatMap(({ key }) => (typeof key === 'string' ? [key] : []));
}

/** The last line may be half of one: of a runner that was killed. */
function readLines(path: string): Record<string, unknown>[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .flatMap((line) => {
      try {
        return [JSON.parse(line) as Record<string, unknown>];
      } catch {
        return [];
      }
    });
}
