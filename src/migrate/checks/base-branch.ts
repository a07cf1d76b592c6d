import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { EvdbError } from '../../errors.ts';
import { normaliseTokens } from '../../sql/lexical.ts';
import { commandLine, quoteWord } from '../../text/command-line.ts';
import { parseDirectives } from '../files/directives.ts';
import { REPEATABLE_FOLDER } from '../files/repeatables.ts';
import { readReplaces } from '../files/source.ts';
import {
  compareVersions,
  displayPath,
  isVersion,
  parseVersion,
  type Version,
} from '../files/version.ts';
import type { ValidationFinding } from './validate.ts';

/** A file and the name that it should have. */
export interface MigrationRename {
  from: string;
  to: string;
}

/** What a comparison with a base branch tells. */
interface BaseCheck {
  findings: ValidationFinding[];
  skipped: { check: string; reason: string }[];
  /** The files that are the same on the base, as they are shown. */
  unchanged: Set<string>;
}

/**
 * Holds the migrations of this checkout against those of a base branch: versions that collide with
 * or fall behind it, and scripts of it that were changed here.
 *
 * @throws {EvdbError} GIT_FAILED
 */
export async function checkBase(directory: string, ref: string): Promise<BaseCheck> {
  const here = readdirSync(directory);
  const base = await readFolderAt(directory, ref);
  const replaced = await readReplaced(directory, here, base);
  const placed = scriptsOf(here).filter(
    ({ version, fileName }) => !replaced.byBase.has(version) && !replaced.baselines.has(fileName),
  );
  const misplaced = planRenames(placed, scriptsOf(base.fileNames), new Date());
  const tracked = misplaced.length === 0 ? [] : split(await git(directory, ['ls-files', '-z']));
  const findings = misplaced.map((one) => misplacedFinding(one, { directory, ref, here, tracked }));
  const unchanged = unchangedOf(base, directory);
  if (base.changedSince === undefined) {
    const reason = 'this clone does not contain the commit where the branches diverged';
    const check = `scripts of ${ref} that were changed here`;
    return { findings, skipped: [{ check, reason }], unchanged };
  }
  // What became the same there needs no word.
  const changed = base.changedSince.filter((name) => {
    const [script] = scriptsOf([name]);
    if (!script || !base.differing.includes(name)) return false;
    return here.includes(name) || !replaced.here.has(script.version);
  });
  const changes = await Promise.all(
    changed.map(async (name) => {
      const how = here.includes(name) ? await readChange(directory, name, base) : 'removed';
      return changedFinding(name, how, { directory, ref });
    }),
  );
  return { findings: [...findings, ...changes], skipped: [], unchanged };
}

/** What baselines say that only one of the sides has. */
interface Replaced {
  /** Versions that baselines of this checkout replace. */
  here: Set<Version>;
  /** Versions that baselines of the base replace. */
  byBase: Set<Version>;
  /** The files of the baselines of this checkout: each has the version of what it replaces. */
  baselines: Set<string>;
}

async function readReplaced(
  directory: string,
  here: readonly string[],
  { fileNames, commit }: FolderAtCommit,
): Promise<Replaced> {
  const found: Replaced = { here: new Set(), byBase: new Set(), baselines: new Set() };
  for (const { fileName } of scriptsOf(here.filter((name) => !fileNames.includes(name)))) {
    const lines = readReplaces({ upPath: join(directory, fileName) });
    if (lines.length > 0) found.baselines.add(fileName);
    for (const { versions } of lines) for (const one of versions) found.here.add(one);
  }
  for (const { fileName } of scriptsOf(fileNames.filter((name) => !here.includes(name)))) {
    const text = await git(directory, ['show', `${commit}:./${fileName}`]);
    const lines = replacesIn(text, fileName);
    for (const { versions } of lines) for (const one of versions) found.byBase.add(one);
  }
  return found;
}

function replacesIn(text: string, fileName: string) {
  try {
    return parseDirectives(text, fileName).replaces ?? [];
  } catch (error) {
    if (error instanceof EvdbError) return [];
    throw error;
  }
}

/** How a script of the base is here. */
type ScriptChange = 'removed' | 'changed' | 'reworded';

/** Compared by tokens, as `migrate up` compares what is applied. */
async function readChange(
  directory: string,
  name: string,
  { parted = '' }: FolderAtCommit,
): Promise<ScriptChange> {
  const before = await git(directory, ['show', `${parted}:./${name}`]);
  const after = readFileSync(join(directory, name), 'utf8');
  const tokens = (text: string) =>
    normaliseTokens(text.replace(/^\ufeff/, '').replaceAll('\r\n', '\n'));
  return tokens(before) === tokens(after) ? 'reworded' : 'changed';
}

/** What the base holds and this checkout has not touched, also where the base has gone on since. */
function unchangedOf(
  { allNames, changedSince, differing }: FolderAtCommit,
  directory: string,
): Set<string> {
  const touched = changedSince ?? differing;
  const same = allNames.filter((name) => !differing.includes(name) || !touched.includes(name));
  return new Set(same.map((name) => displayPath(join(directory, name))));
}

/** What is not on the base already, and how much is. */
export function newAgainst(
  { unchanged }: BaseCheck,
  findings: readonly ValidationFinding[],
  ref: string,
): { findings: ValidationFinding[]; skipped: { check: string; reason: string }[] } {
  const added = findings.filter(
    ({ location }) => location === undefined || !unchanged.has(location.file),
  );
  const known = findings.length - added.length;
  if (known === 0) return { findings: added, skipped: [] };
  const check = `${known === 1 ? 'a finding' : `${known} findings`} in files that are the same on ${ref}`;
  return {
    findings: added,
    skipped: [{ check, reason: 'they are on the base branch already' }],
  };
}

/** Up scripts with a fitting name; what is wrong with the others, other checks tell. */
function scriptsOf(fileNames: readonly string[]): ScriptName[] {
  return fileNames.flatMap((fileName) => {
    const [, label = '', name = ''] = /^(\d+)_(.+)\.sql$/.exec(fileName) ?? [];
    if (!isVersion(label) || name.endsWith('.down')) return [];
    return [{ version: parseVersion(label), label, name, fileName }];
  });
}

interface Compared {
  directory: string;
  ref: string;
  here: readonly string[];
}

function misplacedFinding(
  misplaced: Misplaced,
  at: Compared & { tracked: readonly string[] },
): ValidationFinding {
  const { script, reason, other } = misplaced;
  const says = {
    collision: `has the version of ${other.fileName} on ${at.ref}`,
    behind: `is older than ${other.fileName} on ${at.ref}: databases that have that refuse it as out of order`,
    overtaken: `has to stay after ${other.fileName}, which moves`,
  };
  const renames = renamesOf(misplaced, at);
  const commands = renames
    .map(({ from, to }) => {
      const move = at.tracked.includes(basename(from)) ? 'git mv' : 'mv';
      return `${move} ${quoteWord(from, 'posix')} ${quoteWord(to, 'posix')}`;
    })
    .join(' && ');
  return {
    severity: 'error',
    code: reason === 'collision' ? 'VERSION_COLLISION' : 'BEHIND_BASE',
    message: `${script.fileName} ${says[reason]}`,
    hint: `Rename it: ${commands} (where it is applied already, roll it back first: ${commandLine('migrate down')})`,
    location: { file: displayPath(join(at.directory, script.fileName)), line: 1, column: 1 },
    objects: [],
    details: { renames },
  };
}

function renamesOf(
  { script, newFileName }: Misplaced,
  { directory, here }: Compared,
): MigrationRename[] {
  const down = (name: string) => name.replace(/\.sql$/, '.down.sql');
  const pairs = [
    [script.fileName, newFileName],
    [down(script.fileName), down(newFileName)],
  ] as const;
  return pairs
    .filter(([from]) => here.includes(from))
    .map(([from, to]) => ({
      from: displayPath(join(directory, from)),
      to: displayPath(join(directory, to)),
    }));
}

function changedFinding(
  name: string,
  how: ScriptChange,
  { directory, ref }: Pick<Compared, 'directory' | 'ref'>,
): ValidationFinding {
  const says = {
    removed: `is on ${ref}, and was removed here`,
    changed: `is on ${ref} already, and its SQL was changed here`,
    reworded: `is on ${ref} already, and its comments or white space were changed here`,
  };
  return {
    severity: how === 'reworded' ? 'warning' : 'error',
    code: 'CHANGED_SINCE_BASE',
    message: `${name} ${says[how]}`,
    hint:
      how === 'reworded'
        ? 'Databases that have applied it accept this and say that the file differs.'
        : 'Databases that have applied it refuse the change. Put it back, and write a new migration.',
    location: {
      file: displayPath(join(directory, name)),
      ...(how !== 'removed' && { line: 1, column: 1 }),
    },
    objects: [],
  };
}

/** The up script of a migration, by its name alone. */
export interface ScriptName {
  version: Version;
  /** The digits as the file name has them. */
  label: string;
  /** What follows the digits, such as `add_venues`. */
  name: string;
  /** `012_add_venues.sql` */
  fileName: string;
}

/** A migration of this branch that does not fit behind those of the base branch. */
interface Misplaced {
  script: ScriptName;
  /**
   * - `collision`: the base branch uses its version for `other`
   * - `behind`: `other` of the base branch is newer
   * - `overtaken`: `other` of this branch moves behind it, and stood before it
   */
  reason: 'collision' | 'behind' | 'overtaken';
  other: ScriptName;
  /** `014_add_venues.sql` */
  newFileName: string;
}

const TIMESTAMP_DIGITS = 14;

/**
 * Finds the migrations that only this branch has and that would not run behind those of the base
 * branch, and the versions that put them there in the order they have among themselves. Pure.
 *
 * @param now numbers the renamed ones where the base branch uses timestamps
 */
export function planRenames(
  here: readonly ScriptName[],
  base: readonly ScriptName[],
  now: Date,
): Misplaced[] {
  const known = new Set(base.map(({ fileName }) => fileName));
  const byVersion = new Map(base.map((script) => [script.version, script]));
  const own = here
    .filter(({ fileName }) => !known.has(fileName))
    .sort((a, b) => compareVersions(a.version, b.version) || (a.name < b.name ? -1 : 1));
  const newest = base.reduce<ScriptName | undefined>(
    (last, script) => (last && compareVersions(last.version, script.version) > 0 ? last : script),
    undefined,
  );
  const misplaced: Misplaced[] = [];
  let last = newest;
  for (const script of own) {
    if (
      last === undefined ||
      newest === undefined ||
      compareVersions(script.version, last.version) > 0
    ) {
      last = script;
      continue;
    }
    const label = nextLabel(last, now);
    const newFileName = `${label}_${script.name}.sql`;
    const twin = byVersion.get(script.version);
    const isBehind = compareVersions(script.version, newest.version) < 0;
    const reason = twin ? 'collision' : isBehind ? 'behind' : 'overtaken';
    const other = twin ?? (isBehind ? newest : last);
    misplaced.push({ script, reason, other, newFileName });
    last = { ...script, version: parseVersion(label), label, fileName: newFileName };
  }
  return misplaced;
}

function nextLabel({ version, label }: ScriptName, now: Date): string {
  const after = String(BigInt(version) + 1n);
  if (version.length < TIMESTAMP_DIGITS) return after.padStart(label.length, '0');
  const time = now.toISOString().replace(/\D/g, '').slice(0, TIMESTAMP_DIGITS);
  return compareVersions(time, after) < 0 ? after : time;
}

/** What a folder holds at a commit of its repository. */
interface FolderAtCommit {
  commit: string;
  /** File names, without those in folders below. */
  fileNames: string[];
  /** The same, and the repeatables. */
  allNames: string[];
  /** The commit at which this branch left it; undefined in a shallow clone that does not reach back. */
  parted: string | undefined;
  /** Names of files here that differ from that commit, or are gone. */
  changedSince: string[] | undefined;
  /** Names of files that differ here from the commit itself, or are gone. */
  differing: string[];
}

/**
 * Asks git what a folder holds on another branch, and what this checkout has changed of it since the
 * two parted.
 *
 * @param ref such as `origin/main`
 * @throws {EvdbError} GIT_FAILED where there is no git, no repository or no such ref
 */
async function readFolderAt(directory: string, ref: string): Promise<FolderAtCommit> {
  const commit = (
    await git(directory, ['rev-parse', '--verify', '--end-of-options', `${ref}^{commit}`])
  ).trim();
  const listed = await git(directory, ['ls-tree', '-r', '-z', '--name-only', commit]);
  const allNames = split(listed).filter((name) => !name.includes('/') || isRepeatable(name));
  const differing = split(await git(directory, [...CHANGES, commit, '--', '.']));
  const parted = await readParting(directory, commit);
  return {
    ...{ commit, allNames, parted },
    fileNames: allNames.filter((name) => !name.includes('/')),
    changedSince:
      parted === undefined
        ? undefined
        : split(await git(directory, [...CHANGES, parted, '--', '.'])),
    differing,
  };
}

function isRepeatable(name: string): boolean {
  return dirname(name) === REPEATABLE_FOLDER;
}

const CHANGES = ['diff', '--name-only', '-z', '--relative', '--no-renames', '--diff-filter=MD'];

/** Undefined where a shallow clone does not reach back to where the branches parted. */
async function readParting(directory: string, commit: string): Promise<string | undefined> {
  try {
    return (await git(directory, ['merge-base', 'HEAD', commit])).trim();
  } catch (error) {
    if (error instanceof EvdbError && error.code === 'GIT_FAILED') return undefined;
    throw error;
  }
}

function split(output: string): string[] {
  return output.split('\0').filter((name) => name !== '');
}

function git(directory: string, args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { cwd: directory, maxBuffer: 64 * 1024 * 1024, timeout: 60_000 };
    execFile('git', args, options, (cause, stdout, stderr) => {
      if (cause === null) return resolve(stdout);
      const said = stderr.trim().split('\n').at(-1) || cause.message;
      reject(
        new EvdbError('GIT_FAILED', `git ${args[0]} failed: ${said}`, {
          hint: 'The base has to be a branch, tag or commit that this clone has; a pipeline may have to fetch it first: git fetch origin main',
          cause,
        }),
      );
    });
  });
}
