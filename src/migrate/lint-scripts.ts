import { EvdbError } from '../errors.ts';
import type { LintScript } from '../lint/script.ts';
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
      scripts.push(lintScriptOf(readScript(path, options), about));
    } catch (error) {
      if (!(error instanceof EvdbError) || error.code === 'FILE_UNREADABLE') throw error;
      if (about.isJudged) unreadable.push(unreadableOf(error));
    }
  }
  return { scripts, unreadable };
}

function unreadableOf({ message, hint = '', details }: EvdbError): UnreadableFile {
  const file = String(details.file ?? '');
  const line = typeof details.line === 'number' ? details.line : 1;
  return { file, line, message: message.replace(`${file}:${line}: `, ''), hint };
}
