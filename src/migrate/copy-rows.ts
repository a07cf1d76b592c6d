/** In UTF-16 units: enough that the number of messages does not count. */
const PIECE_LENGTH = 64 * 1024;

/** The rows of a copy as they stand in a text, in pieces that cut no character in two. */
export function* sliceRows(
  text: string,
  { start, end }: { start: number; end: number },
): Generator<Buffer> {
  for (let from = start; from < end; ) {
    let to = Math.min(from + PIECE_LENGTH, end);
    if (to < end && isLeadSurrogate(text.charCodeAt(to - 1))) to--;
    yield Buffer.from(text.slice(from, to));
    from = to;
  }
}

function isLeadSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}
