import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { commandLine, quoteWord } from '../text/command-line.ts';
import { type Misplaced, planRenames, type ScriptName } from './base-branch.ts';
import { displayPath } from './display-path.ts';
import { type FolderAtCommit, readFolderAt } from './git.ts';
import type { Finding } from './validate.ts';
import { isVersion, parseVersion } from './version.ts';

/** A file and the name that it should have. */
export interface Rename {
  from: string;
  to: string;
}

/** What a comparison with a base branch tells. */
export interface BaseCheck {
  findings: Finding[];
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
  const misplaced = planRenames(scriptsOf(here), scriptsOf(base.fileNames), new Date());
  const findings = misplaced.map((one) => misplacedFinding(one, { directory, ref, here }));
  const unchanged = unchangedOf(base, directory);
  if (base.changedSince === undefined) {
    const reason = 'this clone does not reach back to where the branches parted';
    const check = `scripts of ${ref} that were changed here`;
    return { findings, skipped: [{ check, reason }], unchanged };
  }
  const changed = base.changedSince.filter((name) => scriptsOf([name]).length > 0);
  return {
    findings: [
      ...findings,
      ...changed.map((name) => changedFinding(name, { directory, ref, here })),
    ],
    skipped: [],
    unchanged,
  };
}

/** What the base holds and this checkout has not touched, also where the base has gone on since. */
function unchangedOf(
  { fileNames, changedSince, differing }: FolderAtCommit,
  directory: string,
): Set<string> {
  const touched = changedSince ?? differing;
  const same = fileNames.filter((name) => !differing.includes(name) || !touched.includes(name));
  return new Set(same.map((name) => displayPath(join(directory, name))));
}

/** What is not on the base already, and how much is. */
export function newAgainst(
  { unchanged }: BaseCheck,
  findings: readonly Finding[],
  ref: string,
): { findings: Finding[]; skipped: { check: string; reason: string }[] } {
  const added = findings.filter(({ file }) => file === undefined || !unchanged.has(file));
  const known = findings.length - added.length;
  if (known === 0) return { findings: added, skipped: [] };
  const check = `${known === 1 ? 'a finding' : `${known} findings`} in files that are the same on ${ref}`;
  return {
    findings: added,
    skipped: [{ check, reason: 'what stands there already is not new here' }],
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

function misplacedFinding(misplaced: Misplaced, at: Compared): Finding {
  const { script, reason, other } = misplaced;
  const says = {
    collision: `has the version of ${other.fileName} on ${at.ref}`,
    behind: `is older than ${other.fileName} on ${at.ref}: databases that have that refuse it as out of order`,
    overtaken: `has to stay behind ${other.fileName}, which moves`,
  };
  const renames = renamesOf(misplaced, at);
  const commands = renames
    .map(({ from, to }) => `git mv ${quoteWord(from, 'posix')} ${quoteWord(to, 'posix')}`)
    .join(' && ');
  return {
    severity: 'error',
    code: reason === 'collision' ? 'VERSION_COLLISION' : 'BEHIND_BASE',
    message: `${script.fileName} ${says[reason]}`,
    hint: `Rename it: ${commands} (where it is applied already, take it back first: ${commandLine('migrate down')})`,
    file: displayPath(join(at.directory, script.fileName)),
    line: 1,
    column: 1,
    renames,
  };
}

function renamesOf({ script, newFileName }: Misplaced, { directory, here }: Compared): Rename[] {
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

function changedFinding(name: string, { directory, ref, here }: Compared): Finding {
  const isHere = here.includes(name);
  return {
    severity: 'warning',
    code: 'CHANGED_SINCE_BASE',
    message: isHere
      ? `${name} is on ${ref} already, and was changed here`
      : `${name} is on ${ref}, and was removed here`,
    hint: 'Databases that have applied it refuse the change. Put it back, and write a new migration.',
    file: displayPath(join(directory, name)),
    ...(isHere && { line: 1, column: 1 }),
  };
}
