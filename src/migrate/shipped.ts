import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { packagePath } from '../file-system.ts';
import type { LintFinding } from '../lint/finding.ts';
import type { LintScript } from '../lint/rule.ts';

/**
 * What lint says that a project can act upon: of migrations that are as evdb ships them only what
 * is an error. They are made for an empty database, and nobody but us can change them.
 */
export function withoutShipped(
  findings: readonly LintFinding[],
  scripts: readonly LintScript[],
): LintFinding[] {
  if (findings.every(({ severity }) => severity === 'error')) return [...findings];
  const shipped = new Set(scripts.filter(isShipped).map(({ path }) => path));
  return findings.filter(({ severity, file }) => severity === 'error' || !shipped.has(file));
}

/** Whether a script is one of the event schema, and unchanged. */
function isShipped({ path, text }: LintScript): boolean {
  const original = packagePath('migrations', basename(path));
  if (!existsSync(original)) return false;
  return readFileSync(original, 'utf8').replaceAll('\r\n', '\n') === text;
}
