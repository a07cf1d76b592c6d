import { offsetOfCodePoint, type Position, renderExcerpt } from '../../sql/position.ts';
import { readNormalised } from './normalised-bytes.ts';

/** More of a line is not held. */
const MAX_LINE_BYTES = 1024 * 1024;
const LF = 0x0a;

/** One line of a file, up to a limit; '' where there is none, or it cannot be read any more. */
export function readLargeLine(path: string, line: number): string {
  try {
    return findLine(path, line);
  } catch {
    // The file was read before; that it is gone must not hide the error that this is for.
    return '';
  }
}

/** The line with a caret, as `renderExcerpt` gives it. */
export function readExcerpt(path: string, { line, column }: Position): string {
  const text = readLargeLine(path, line);
  // Around the column alone, so that the line may be of any length.
  const from = offsetOfCodePoint(text, Math.max(0, column - 1 - CONTEXT));
  const to = from + offsetOfCodePoint(text.slice(from), 2 * CONTEXT);
  const shown = text.slice(from, to);
  return renderExcerpt(shown, 1, Math.min(column, CONTEXT + 1), { firstLine: line });
}

const CONTEXT = 200;

function findLine(path: string, line: number): string {
  const parts: Buffer[] = [];
  let length = 0;
  let current = 1;
  for (const block of readNormalised(path)) {
    let from = 0;
    while (current < line) {
      const end = block.indexOf(LF, from);
      if (end < 0) break;
      from = end + 1;
      current++;
    }
    if (current < line) continue;
    const end = block.indexOf(LF, from);
    const part = block.subarray(from, end < 0 ? block.length : end);
    parts.push(part);
    length += part.length;
    if (end >= 0 || length >= MAX_LINE_BYTES) break;
  }
  return Buffer.concat(parts).toString('utf8');
}
