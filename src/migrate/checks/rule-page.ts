import { readFileSync } from 'node:fs';
import { EvdbError } from '../../errors.ts';
import { packagePath } from '../../file-system.ts';

/**
 * The page about a rule, as Markdown.
 *
 * @param rule the name of a rule that is there
 * @throws {EvdbError} FILE_UNREADABLE
 * @example
 * console.log(readLintRulePage('add-required-column'));
 */
export function readLintRulePage(rule: string): string {
  try {
    return readFileSync(packagePath('docs', 'rules', `${rule}.md`), 'utf8');
  } catch (cause) {
    throw new EvdbError('FILE_UNREADABLE', `there is no page about ${rule}`, {
      hint: 'Is the folder docs of evdb there?',
      cause,
    });
  }
}
