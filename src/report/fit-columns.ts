/** What is known of a column before its width is decided. */
export interface ColumnSize {
  /** Of its widest cell or its header. */
  natural: number;
  header: number;
  /** Whether its cells may be narrower than they are; numbers and times never are. */
  isText: boolean;
  /** Whether what does not fit goes on in the next line of the cell, instead of being cut. */
  wraps: boolean;
  /** Its longest word, where it wraps. */
  word: number;
  /** Whether some cell tells something that is neither nothing nor what is usual. */
  says: boolean;
  /** How little it matters: the highest goes first, and 0 stays. */
  priority: number;
}

/** Which columns fit, and how wide each of them is. */
export interface Fit {
  /** Indexes of the columns that stay, in order. */
  kept: number[];
  /** Of each column that stays. */
  widths: number[];
}

/** No other column has to go so that a text is wider than this, by its priority: 0, 1, any other. */
const COMFORTABLE = [32, 32, 20] as const;
/** The same where the other column is one of the second rank. */
const TIGHT = [24, 14, 14] as const;
/** The priority of columns that only go where texts are tight already. */
const SECOND_RANK = 1;
/** What matters most gets this much room before anything that is gone comes back. */
const READABLE = 40;
/** Narrower than this a text says nothing. */
const FLOOR = 12;
/** Sentences in a narrower column would be a tower of single words; longer words are broken. */
const WRAPPED_FLOOR = { least: 16, most: 40 };

/**
 * Decides which columns fit into `available` columns of the terminal, `gap` between two. What says
 * nothing goes first, then what matters least, one column after the other. The room that is left
 * goes to the texts that matter most, then to columns that are gone and have room after all, then
 * to all texts that are cut.
 *
 * @returns undefined where not even the columns that must stay fit
 */
export function fitColumns(sizes: ColumnSize[], available: number, gap: number): Fit | undefined {
  const natural = sizes.map((size) => size.natural);
  const atMost = (limits: readonly [number, number, number]) =>
    sizes.map((size) => {
      if (!size.isText) return size.natural;
      const most = Math.max(size.header, limits[Math.min(size.priority, 2) as 0 | 1 | 2]);
      return Math.max(Math.min(size.natural, most), size.wraps ? floorOf(size) : 0);
    });
  let wanted = atMost(COMFORTABLE);
  const spare = (of: number[], widths: number[]) =>
    available - gap * (of.length - 1) - of.reduce((sum, index) => sum + (widths[index] ?? 0), 0);
  const kept = new Set(sizes.keys());
  const dropWhile = (isTooWide: () => boolean, mayGo: (size: ColumnSize) => boolean) => {
    while (isTooWide()) {
      const least = leastImportant(sizes, [...kept], mayGo);
      if (least === undefined) break;
      kept.delete(least);
    }
  };
  dropWhile(
    () => spare([...kept], natural) < 0,
    // Never all of them: rows need a name.
    ({ says }) => !says && kept.size > 1,
  );
  dropWhile(
    () => spare([...kept], wanted) < 0,
    ({ priority }) => priority > SECOND_RANK,
  );
  if (spare([...kept], wanted) < 0) wanted = atMost(TIGHT);
  dropWhile(
    () => spare([...kept], wanted) < 0,
    ({ priority }) => priority > 0,
  );
  grow(
    wanted,
    [...kept].filter((index) => isLeading(sizes[index])),
    sizes,
    { spare: spare([...kept], wanted), most: READABLE },
  );
  const gone = [...sizes.keys()].filter((index) => !kept.has(index) && sizes[index]?.says);
  gone.sort((a, b) => (sizes[a]?.priority ?? 0) - (sizes[b]?.priority ?? 0));
  for (const index of gone) {
    if (spare([...kept, index], wanted) >= 0) kept.add(index);
  }
  const stays = [...kept].sort((a, b) => a - b);
  const widths = [...wanted];
  const texts = stays.filter((index) => sizes[index]?.isText);
  const left = spare(stays, widths);
  const isFitted =
    left < 0 ? shrink(widths, texts, sizes, -left) : grow(widths, texts, sizes, { spare: left });
  return isFitted ? { kept: stays, widths: stays.map((index) => widths[index] ?? 0) } : undefined;
}

/** Whether a text is cut short in it. */
export function hasCuts(sizes: ColumnSize[], { kept, widths }: Fit): boolean {
  return kept.some((index, at) => {
    const { natural = 0, header = 0, wraps = false } = sizes[index] ?? {};
    return (wraps ? header : natural) > (widths[at] ?? 0);
  });
}

function leastImportant(
  sizes: ColumnSize[],
  kept: number[],
  mayGo: (size: ColumnSize) => boolean,
): number | undefined {
  const candidates = kept.filter((index) => mayGo(sizes[index] as ColumnSize));
  const highest = Math.max(...candidates.map((index) => sizes[index]?.priority ?? 0));
  return candidates.findLast((index) => sizes[index]?.priority === highest);
}

function isLeading(size: ColumnSize | undefined): boolean {
  return size?.isText === true && size.priority <= SECOND_RANK;
}

function floorOf({ natural, wraps, word }: ColumnSize): number {
  const { least, most } = WRAPPED_FLOOR;
  return Math.min(wraps ? Math.max(least, Math.min(word, most)) : FLOOR, natural);
}

/** Takes from the widest text, column by column. */
function shrink(widths: number[], texts: number[], sizes: ColumnSize[], missing: number): boolean {
  const floor = (index: number) => floorOf(sizes[index] as ColumnSize);
  for (let left = missing; left > 0; left -= 1) {
    const shrinkable = texts.filter((index) => (widths[index] ?? 0) > floor(index));
    const widest = Math.max(...shrinkable.map((index) => widths[index] ?? 0));
    const at = shrinkable.find((index) => widths[index] === widest);
    if (at === undefined) return false;
    widths[at] = widest - 1;
  }
  return true;
}

/** Gives to the narrowest text that is cut, and to those that go on in further lines after that. */
function grow(
  widths: number[],
  texts: number[],
  sizes: ColumnSize[],
  { spare, most = Number.POSITIVE_INFINITY }: { spare: number; most?: number },
): true {
  for (let left = spare; left > 0; left -= 1) {
    const wanting = texts.filter(
      (index) => (widths[index] ?? 0) < Math.min(sizes[index]?.natural ?? 0, most),
    );
    const cut = wanting.filter((index) => !sizes[index]?.wraps);
    const takers = cut.length > 0 ? cut : wanting;
    const narrowest = Math.min(...takers.map((index) => widths[index] ?? 0));
    const at = takers.find((index) => widths[index] === narrowest);
    if (at === undefined) return true;
    widths[at] = narrowest + 1;
  }
  return true;
}
