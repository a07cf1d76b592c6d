import { posix } from 'node:path';
import type { Rule } from './architecture-rules.ts';
import type { SourceFile } from './source-files.ts';

/** One figure about the whole of `src`, beside the figure that is wanted. */
export interface Measure {
  name: string;
  value: number;
  /** Such as `at most 400`. */
  wanted: string;
  holds: boolean;
  /** Shown behind both figures. */
  unit: '' | '%';
  /** The files, folders or circles behind the figure. */
  places: string[];
}

interface Bound {
  atMost?: number;
  atLeast?: number;
}

const LIMITS = {
  files: { atMost: 400 },
  medianLines: { atLeast: 110 },
  filesOfOneImporter: { atMost: 110 },
  shareOfShortFiles: { atMost: 15 },
  filesOfBiggestFolder: { atMost: 25 },
  circlesOfValues: { atMost: 0 },
  // Both as they were before src was cut into rooms.
  lines: { atMost: 64_645 },
  codeLines: { atMost: 52_952 },
  longestFile: { atMost: 400 },
} as const satisfies Record<string, Bound>;

const SHORT_LINES = 60;

/** Each rule of lint is a file of its own there, however many they become. */
const FOLDER_OF_RULES = 'src/lint/rules';

/** The list of what is public is as long as it is. */
const PUBLIC_ENTRY = 'src/index.ts';

/** What can be counted about the files of `src`, in the order in which it is shown. */
export function measureSources(files: readonly SourceFile[]): Measure[] {
  const lines = files.map(({ lineCount }) => lineCount).sort((a, b) => a - b);
  const short = files.filter(({ lineCount }) => lineCount < SHORT_LINES);
  const shareOfShort = (100 * short.length) / Math.max(1, files.length);
  const single = findFilesOfOneImporter(files);
  const folders = countByFolder(files).filter(([folder]) => folder !== FOLDER_OF_RULES);
  const [, biggest = 0] = folders[0] ?? [];
  const circles = findCircles(files);
  const byLength = files
    .filter(({ path }) => path !== PUBLIC_ENTRY)
    .sort((a, b) => b.lineCount - a.lineCount);
  return [
    judge('source files', files.length, LIMITS.files),
    judge('median lines of a file', median(lines), LIMITS.medianLines),
    judge('files that only one other imports', single.length, LIMITS.filesOfOneImporter, single),
    {
      ...judge(
        `files under ${SHORT_LINES} lines`,
        Math.round(shareOfShort * 10) / 10,
        LIMITS.shareOfShortFiles,
        short.map(({ path }) => path),
      ),
      unit: '%',
    },
    judge(
      'files in the biggest folder',
      biggest,
      LIMITS.filesOfBiggestFolder,
      folders
        .filter(([, count]) => count > LIMITS.filesOfBiggestFolder.atMost || count === biggest)
        .map(([folder, count]) => `${folder}: ${count}`),
    ),
    judge('import circles that hold values', circles.length, LIMITS.circlesOfValues, circles),
    judge('source lines', sum(lines), LIMITS.lines),
    judge('of these with code', sum(files.map(countCodeLines)), LIMITS.codeLines),
    judge('lines of the longest file', byLength[0]?.lineCount ?? 0, LIMITS.longestFile, [
      ...byLength.slice(0, 1).map(({ path }) => path),
    ]),
  ];
}

/** How much there is may grow with what evdb does; how it is cut may not get worse. */
const MAY_GROW = new Set([
  ...['source files', 'files that only one other imports', 'source lines', 'of these with code'],
]);

/** The whole of `src` is cut as is wanted. */
export const keepsMeasures: Rule = (files) =>
  measureSources(files)
    .filter(({ name, holds }) => !holds && !MAY_GROW.has(name))
    .map(({ name, value, unit, wanted }) => `${name}: ${value}${unit}, wanted ${wanted}${unit}`);

function judge(name: string, value: number, bound: Bound, places: string[] = []): Measure {
  const { atMost = Number.POSITIVE_INFINITY, atLeast = Number.NEGATIVE_INFINITY } = bound;
  const wanted = bound.atMost === undefined ? `at least ${atLeast}` : `at most ${atMost}`;
  return { name, value, wanted, holds: value <= atMost && value >= atLeast, unit: '', places };
}

function countCodeLines({ code }: SourceFile): number {
  return code.split('\n').filter((line) => line.trim() !== '').length;
}

function findFilesOfOneImporter(files: readonly SourceFile[]): string[] {
  const importers = new Map(files.map(({ path }) => [path, new Set<string>()]));
  for (const { path, imports } of files) {
    for (const { from } of imports) if (from !== path) importers.get(from)?.add(path);
  }
  return [...importers]
    .filter(([, of]) => of.size === 1)
    .map(([path, of]) => `${path} by ${[...of].join()}`);
}

/** What stands beside each other, the fullest folder first. */
function countByFolder(files: readonly SourceFile[]): [folder: string, count: number][] {
  const counts = new Map<string, number>();
  for (const { path } of files) {
    const folder = posix.dirname(path);
    counts.set(folder, (counts.get(folder) ?? 0) + 1);
  }
  return [...counts].sort(([, a], [, b]) => b - a);
}

/**
 * The files that reach themselves by imports of values, at once or late, as one way from each knot
 * of them: those that reach each other are one knot, whatever number of ways lead through it.
 */
function findCircles(files: readonly SourceFile[]): string[] {
  const targets = new Map(
    files.map(({ path, imports }) => [
      path,
      new Set(imports.filter(({ isTypeOnly }) => !isTypeOnly).map(({ from }) => from)),
    ]),
  );
  const told = new Set<string>();
  const circles: string[] = [];
  for (const { path } of files) {
    if (told.has(path)) continue;
    const way = findWayBack(path, targets);
    if (!way) continue;
    for (const member of findKnot(path, targets)) told.add(member);
    circles.push(way.join(' → '));
  }
  return circles;
}

/** The shortest way from a file to itself. */
function findWayBack(start: string, targets: Map<string, Set<string>>): string[] | undefined {
  const ways: string[][] = [[start]];
  const seen = new Set<string>();
  for (const way of ways) {
    for (const next of targets.get(way.at(-1) ?? '') ?? []) {
      if (next === start) return [...way, start];
      if (seen.has(next)) continue;
      seen.add(next);
      ways.push([...way, next]);
    }
  }
  return undefined;
}

/** The files that a file reaches and that reach it. */
function findKnot(start: string, targets: Map<string, Set<string>>): string[] {
  const reach = (from: string) => {
    const reached = new Set([from]);
    for (const path of reached) for (const next of targets.get(path) ?? []) reached.add(next);
    return reached;
  };
  return [...reach(start)].filter((path) => reach(path).has(start));
}

function median(sorted: readonly number[]): number {
  const middle = sorted.length / 2;
  const [low = 0, high = low] = sorted.slice(Math.ceil(middle) - 1, Math.floor(middle) + 1);
  return (low + high) / 2;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
