import { sameCommand } from '../text/command-line.ts';
import { renderCount } from '../text/units.ts';
import { renderDiff } from './migration.ts';
import type { Style } from './style.ts';

/** What `evdb schema dump --file` did or found. */
export interface StructureFileResult {
  file: string;
  state: 'written' | 'unchanged' | 'same' | 'different' | 'missing';
  objects: number;
  diff?: string;
}

/** One line, and under it the diff where there is one. */
export function renderStructureFile(
  { file, state, objects, diff }: StructureFileResult,
  style: Style,
): string {
  const count = renderCount(objects, 'object');
  switch (state) {
    case 'written':
      return `${style.good('wrote')}  ${file}  ${style.dim(count)}`;
    case 'unchanged':
      return `${file} holds it already: nothing to do`;
    case 'same':
      return `${file} is the structure of the database`;
    case 'missing':
      return `${style.bad('missing')}  ${file}: write it with \`${sameCommand('schema dump', { file }, { without: ['check'] })}\``;
    default:
      return [
        `${style.bad('different')}  ${file} is not the structure of the database (- file, + database):`,
        ...(diff ? [renderDiff(diff, style)] : []),
      ].join('\n');
  }
}
