import { dirname, join } from 'node:path';
import { EvdbError } from '../../errors.ts';
import { commandLine } from '../../text/command-line.ts';
import { type Replaces, renderReplaces } from '../files/replaces.ts';
import type { MigrationFile } from '../files/source.ts';
import { compareVersions, displayPath, type Version } from '../files/version.ts';
import type { LedgerRow } from '../ledger/ledger.ts';

/** What a database has of the migrations that a baseline replaces. */
export interface Replacement {
  /** As the header of the baseline writes it, such as `001-016`. */
  text: string;
  /** The rows of what is applied of it, in version order. */
  rows: LedgerRow[];
  /** What is not applied of it. */
  lacking: Version[];
}

/** The lines of a file that say what it replaces; asked of few files. */
export type ReplacesOf = (file: MigrationFile) => readonly Replaces[];

/**
 * Finds the baselines that replace what the database has, by their versions. Only where rows have no file,
 * or one of another name, headers are read at all. Pure: they come from the caller.
 */
export function findReplacements(
  files: readonly MigrationFile[],
  rows: readonly LedgerRow[],
  replacesOf: ReplacesOf,
): Map<Version, Replacement> {
  const found = new Map<Version, Replacement>();
  const fileVersions = new Set(files.map(({ version }) => version));
  const rowByVersion = new Map(rows.map((row) => [row.version, row]));
  const orphans = new Set(
    rows.filter(({ version }) => !fileVersions.has(version)).map(({ version }) => version),
  );
  const [oldest] = orphans;
  for (const file of files) {
    const row = rowByVersion.get(file.version);
    const isBehind = oldest !== undefined && compareVersions(oldest, file.version) < 0;
    if (!(isBehind && orphans.size > 0) && !(row && row.name !== file.name)) continue;
    const lines = replacesOf(file);
    const replacement = lines.length > 0 && measure(file, lines, rowByVersion);
    if (!replacement) continue;
    found.set(file.version, replacement);
    for (const { version } of replacement.rows) orphans.delete(version);
  }
  return found;
}

/**
 * The line whose highest version is that of the file says what has to be applied. Other lines are of
 * baselines that this one replaces: of those a database has everything, or it began with that baseline.
 */
function measure(
  file: MigrationFile,
  lines: readonly Replaces[],
  rowByVersion: ReadonlyMap<Version, LedgerRow>,
): Replacement | undefined {
  const all = new Set(lines.flatMap(({ versions }) => versions));
  const rows = [...all].sort(compareVersions).flatMap((version) => rowByVersion.get(version) ?? []);
  const isRunHere = rowByVersion.get(file.version)?.name === file.name;
  const others = rows.filter(({ version }) => version !== file.version);
  if (rows.length === 0 || (isRunHere && others.length === 0)) return undefined;
  const isLacking = (version: Version) => rowByVersion.get(version)?.state !== 'applied';
  const lacking = lines.flatMap(({ versions }) => {
    const highest = versions.at(-1);
    if (highest === file.version) return versions.filter(isLacking);
    const inside = versions.filter((version) => version !== highest);
    const isBegunWithBaseline = inside.every((version) => !rowByVersion.has(version));
    return isBegunWithBaseline ? [] : inside.filter(isLacking);
  });
  const text = lines.map((line) => line.text).join(', ');
  return { text, rows, lacking: [...new Set(lacking)].sort(compareVersions) };
}

/** Where `migrate squash` moves the files that a baseline replaces, beside it. */
export function squashedFolder({ upPath, label }: Pick<MigrationFile, 'upPath' | 'label'>): string {
  return join(dirname(upPath), 'squashed', label);
}

/** For a database that has only some of what a baseline replaces. */
export function partialBaseline(
  baseline: { label: string; name: string; file?: MigrationFile; replaced?: Replacement },
  command: 'up' | 'down' = 'up',
): EvdbError {
  const { label, name, replaced, file } = baseline;
  const { rows = [], lacking = [], text = '' } = replaced ?? {};
  const there = renderReplaces(rows.filter(({ state }) => state === 'applied'));
  return new EvdbError(
    'PARTIAL_BASELINE',
    `${label}_${name} replaces ${text}, and this database has only ${there} of that`,
    {
      hint:
        file === undefined
          ? 'Its file is not here: restore it.'
          : `${command === 'up' ? 'Apply the others with the old files, then run this again' : 'Roll them back with the old files'}: \`${oldFilesCommand(file, command)}\`. If that folder is gone, get the files from version control.`,
      details: { version: file?.version, lacking },
    },
  );
}

/** The command line that goes on with the files that a baseline replaces. */
export function oldFilesCommand(file: MigrationFile, command: 'up' | 'down' = 'up'): string {
  return commandLine(`migrate ${command}`, {
    'migrations-dir': displayPath(squashedFolder(file)),
  });
}

/**
 * What is wrong between a baseline and the other files of its folder; undefined if nothing.
 *
 * @param replaces the lines of its header
 */
export function problemOfBaseline(
  file: MigrationFile,
  replaces: readonly Replaces[] | undefined,
  files: readonly MigrationFile[],
): EvdbError | undefined {
  if (!replaces) return undefined;
  const path = displayPath(file.upPath);
  if (!replaces.some(({ versions }) => versions.at(-1) === file.version)) {
    const [{ text, line } = { text: '', line: 1 }] = replaces;
    return new EvdbError(
      'DIRECTIVE_INVALID',
      `${path}:${line}: "replaces ${text}" does not end with ${file.label}, the version of the file`,
      {
        hint: 'A baseline takes the version of the newest migration that it replaces.',
        details: { file: file.upPath, line },
      },
    );
  }
  const versions = new Set(replaces.flatMap((line) => line.versions));
  const there = files.filter((one) => one.version !== file.version && versions.has(one.version));
  const [first, ...others] = there;
  if (!first) return undefined;
  const more = others.length === 0 ? 'is' : `and ${others.length} more are`;
  return new EvdbError(
    'REPLACED_MIGRATION',
    `${first.label}_${first.name} ${more} still here, and ${file.label}_${file.name} replaces ${others.length === 0 ? 'it' : 'them'}`,
    {
      hint: `Move them to ${displayPath(squashedFolder(file))}, or remove the baseline.`,
      details: { file: file.upPath, versions: there.map(({ version }) => version) },
    },
  );
}
