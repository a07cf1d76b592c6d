import { readFileSync } from 'node:fs';
import { EvdbError } from '../../errors.ts';
import { packagePath } from '../../file-system.ts';

/**
 * The page about a rule, as Markdown.
 *
 * @param rule the name of an existing rule
 * @throws {EvdbError} FILE_UNREADABLE
 * @example
 * console.log(readLintRulePage('add-required-column'));
 */
export function readLintRulePage(rule: string): string {
  try {
    const page = readFileSync(packagePath('docs', 'rules', `${rule}.md`), 'utf8');
    // The blocks are named for the test that runs them: `sql bad same`.
    return page.replace(/^```sql .*$/gm, '```sql');
  } catch (cause) {
    throw new EvdbError('FILE_UNREADABLE', `there is no page about ${rule}`, {
      hint: 'Is the folder docs of evdb there?',
      cause,
    });
  }
}
