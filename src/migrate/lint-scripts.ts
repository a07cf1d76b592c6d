import { EvdbError } from '../errors.ts';
import type { LintScript } from '../lint/rule.ts';
import { type FoundMarker, findForeignMarkers } from './foreign-markers.ts';
import { type MigrationFile, type ReadScriptOptions, readScript, type Script } from './source.ts';
import { compareVersions, parseVersion } from './version.ts';

/** A script as the linter takes it. */
export function lintScriptOf(
  { path, text, directives, large }: Script,
  { isDown, isJudged }: { isDown: boolean; isJudged: boolean },
): LintScript {
  return {
    path,
    text,
    direction: isDown ? 'down' : 'up',
    isTransactional: !directives.noTransaction,
    isJudged,
    ...(large && { isOutline: true }),
  };
}

/** Whether a migration comes after the version up to which they are history. */
export function isAfter({ version }: MigrationFile, startAfter: string | undefined): boolean {
  return startAfter === undefined || compareVersions(version, parseVersion(startAfter)) > 0;
}

/** A file that cannot be judged: not UTF-8, or with a header that is wrong. */
export interface UnreadableFile {
  file: string;
  line: number;
  message: string;
  hint: string;
}

/** The scripts of migrations, up before down; what cannot be read is told, not thrown. */
export function readLintScripts(
  files: readonly { path: string; isDown: boolean; isJudged: boolean }[],
  options?: ReadScriptOptions,
): { scripts: LintScript[]; unreadable: UnreadableFile[] } {
  const scripts: LintScript[] = [];
  const unreadable: UnreadableFile[] = [];
  for (const { path, ...about } of files) {
    try {
      const script = lintScriptOf(readScript(path, { ...options, tellsDirectives: true }), about);
      scripts.push(...(options?.foreign ? foreignScripts(script) : [script]));
    } catch (error) {
      if (!(error instanceof EvdbError) || error.code === 'FILE_UNREADABLE') throw error;
      if (about.isJudged) unreadable.push(unreadableOf(error));
    }
  }
  return { scripts, unreadable };
}

/**
 * The halves of a script that another tool runs, each with the text of the other blanked, so that
 * places stay, and in a transaction or not as its markers say.
 */
function foreignScripts(script: LintScript): LintScript[] {
  const { text } = script;
  const markers = findForeignMarkers(text);
  const whole = { ...script, isForeign: true };
  const half = (start: number, end: number) => ({
    ...whole,
    text: blank(text, 0, start) + text.slice(start, end) + blank(text, end, text.length),
    isTransactional: script.isTransactional && !runsAlone(markers, { start, end }),
  });
  const down = markers.find(({ meaning }) => meaning === 'down');
  if (down === undefined) return [half(0, text.length)];
  const up = markers.find(({ meaning }) => meaning === 'up');
  const isUpFirst = up === undefined || up.start < down.start;
  return [
    isUpFirst ? half(0, down.start) : half(up.start, text.length),
    { ...half(down.start, isUpFirst ? text.length : up.start), direction: 'down' },
  ];
}

/** Whether a marker asks for no transaction: one on the line that begins a half is for that half. */
function runsAlone(
  markers: readonly FoundMarker[],
  { start, end }: { start: number; end: number },
): boolean {
  return markers.some((one) => {
    if (one.meaning !== 'noTransaction') return false;
    const beginsHalf = markers.some(
      ({ meaning, start: at }) => at === one.start && (meaning === 'up' || meaning === 'down'),
    );
    return !beginsHalf || (start <= one.start && one.start < end);
  });
}

function blank(text: string, start: number, end: number): string {
  return text.slice(start, end).replace(/[^\n]/g, ' ');
}

function unreadableOf({ message, hint = '', details }: EvdbError): UnreadableFile {
  const file = String(details.file ?? '');
  const line = typeof details.line === 'number' ? details.line : 1;
  return { file, line, message: message.replace(`${file}:${line}: `, ''), hint };
}
