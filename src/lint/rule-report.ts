import type { Style } from '../report/table.ts';
import { wrapWords } from '../text/wrap.ts';
import { COLOURS } from './report.ts';
import type { Severity } from './rule.ts';

/**
 * The page about a rule for a terminal: without what marks its examples for tests, and its paragraphs
 * as wide as the terminal.
 *
 * @param width in columns; default: lines end where they do in the file
 */
export function renderRulePage(page: string, width?: number): string {
  const blocks = page.trimEnd().split(/\n(?=```)|(?<=\n```)\n/);
  return blocks
    .map((block) => {
      const [, language, file] = /^```(\w*)[^\n]*?(\d\w*\.sql)?(?=\n)/.exec(block) ?? [];
      if (language === undefined) return width === undefined ? block : reflow(block, width);
      const head = `\`\`\`${language}${file === undefined ? '' : `\n-- ${file}`}`;
      return head + block.slice(block.indexOf('\n'));
    })
    .join('\n');
}

/** Paragraphs and items of lists in new lines; headings and tables stay as they are. */
function reflow(text: string, width: number): string {
  const joined = text.replace(/(?<=\S)\n *(?=[^\s#|-])/g, (found, at: number) => {
    const line = text.slice(text.lastIndexOf('\n', at - 1) + 1, at);
    return /^[#|]/.test(line) ? found : ' ';
  });
  return joined
    .split('\n')
    .flatMap((line) => {
      if (line.startsWith('|')) return [line];
      const indent = line.startsWith('- ') ? '  ' : '';
      const [first = '', ...further] = wrapWords(line, width - indent.length);
      return [first, ...further.map((more) => indent + more)];
    })
    .join('\n');
}

/** A rule as a list shows it. */
export interface ListedRule {
  name: string;
  group: string;
  severity: Severity;
  summary: string;
  /** Whether it is off unless the configuration turns it on. */
  isOptional: boolean;
}

/** The rules by group, with what they find. */
export function renderLintRules(rules: readonly ListedRule[], style: Style): string {
  const width = Math.max(...rules.map(({ name }) => name.length));
  const groups = [...new Set(rules.map(({ group }) => group))];
  return groups
    .map((group) =>
      [
        style.bold(group),
        ...rules
          .filter((rule) => rule.group === group)
          .map(({ name, severity, summary, isOptional }) => {
            const shown = isOptional ? 'off' : severity;
            const colour = isOptional ? style.dim : style[COLOURS[severity]];
            return `  ${name.padEnd(width)}  ${colour(shown.padEnd('warning'.length))}  ${summary}`;
          }),
      ].join('\n'),
    )
    .join('\n\n');
}
