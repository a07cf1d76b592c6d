import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { LintFinding } from '../lint/finding.ts';
import type { LintScript } from '../lint/script.ts';

/** The folder of this package, from which projects get the event schema. */
export const PACKAGE_ROOT = fileURLToPath(new URL('../../', import.meta.url));

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
  const original = join(PACKAGE_ROOT, 'migrations', basename(path));
  if (!existsSync(original)) return false;
  return readFileSync(original, 'utf8').replaceAll('\r\n', '\n') === text;
}
