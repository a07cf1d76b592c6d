/** What is known of a column before its width is decided. */
export interface ColumnSize {
  /** Of its widest cell or its header. */
  natural: number;
  header: number;
  /** Whether its cells may be cut; numbers never are. */
  isText: boolean;
  priority: number;
}

export interface Fit {
  /** Indexes of the columns that stay, in order. */
  kept: number[];
  /** Of each column that stays. */
  widths: number[];
}

/** No other column has to go so that a text column is wider than this. */
const COMFORTABLE = 24;
/** Narrower than this a text says nothing. */
const FLOOR = 8;

/**
 * Decides which columns fit into `available` columns of the terminal, `gap` between two: first the
 * highest priorities go, then texts are cut, the longest first.
 *
 * @returns undefined where not even the columns that must stay fit
 */
export function fitColumns(sizes: ColumnSize[], available: number, gap: number): Fit | undefined {
  const wanted = sizes.map(({ natural, header, isText }) =>
    isText ? Math.min(natural, Math.max(header, COMFORTABLE)) : natural,
  );
  let kept = sizes.map((_, index) => index);
  const spare = (of: number[], widths: number[]) =>
    available - gap * (of.length - 1) - of.reduce((sum, index) => sum + (widths[index] ?? 0), 0);
  while (spare(kept, wanted) < 0) {
    const least = leastImportant(sizes, kept);
    if (least === undefined) break;
    kept = kept.filter((index) => index !== least);
  }
  const widths = [...wanted];
  const texts = kept.filter((index) => sizes[index]?.isText);
  const isFitted =
    spare(kept, widths) < 0
      ? shrink(widths, texts, sizes, -spare(kept, widths))
      : grow(widths, texts, sizes, spare(kept, widths));
  return isFitted ? { kept, widths: kept.map((index) => widths[index] ?? 0) } : undefined;
}

function leastImportant(sizes: ColumnSize[], kept: number[]): number | undefined {
  const highest = Math.max(...kept.map((index) => sizes[index]?.priority ?? 0));
  return highest > 0 ? kept.findLast((index) => sizes[index]?.priority === highest) : undefined;
}

/** Takes from the widest text, column by column. */
function shrink(widths: number[], texts: number[], sizes: ColumnSize[], missing: number): boolean {
  const floor = (index: number) => Math.min(FLOOR, sizes[index]?.natural ?? 0);
  for (let left = missing; left > 0; left -= 1) {
    const shrinkable = texts.filter((index) => (widths[index] ?? 0) > floor(index));
    const widest = Math.max(...shrinkable.map((index) => widths[index] ?? 0));
    const at = shrinkable.find((index) => widths[index] === widest);
    if (at === undefined) return false;
    widths[at] = widest - 1;
  }
  return true;
}

/** Gives to the narrowest text that is cut. */
function grow(widths: number[], texts: number[], sizes: ColumnSize[], spare: number): true {
  for (let left = spare; left > 0; left -= 1) {
    const cut = texts.filter((index) => (widths[index] ?? 0) < (sizes[index]?.natural ?? 0));
    const narrowest = Math.min(...cut.map((index) => widths[index] ?? 0));
    const at = cut.find((index) => widths[index] === narrowest);
    if (at === undefined) return true;
    widths[at] = narrowest + 1;
  }
  return true;
}
