import { writtenCommands } from './command-line.ts';
import { displayWidth, takeFirst } from './width.ts';

/**
 * Breaks the text between words into lines of at most `width` columns. A word that is wider than a
 * line is broken where the line ends, or stays `whole`, for `fitText` to find it a place.
 */
export function wrapWords(text: string, width: number, longWords?: 'whole'): string[] {
  const lines: string[] = [];
  let line = '';
  const start = (word: string) => {
    let rest = word;
    while (longWords !== 'whole' && displayWidth(rest) > width && width > 1) {
      const piece = takeFirst(rest, width);
      lines.push(piece);
      rest = rest.slice(piece.length);
    }
    line = rest;
  };
  let isFirst = true;
  for (const word of text.split(' ')) {
    const longer = isFirst ? word : `${line} ${word}`;
    if (displayWidth(longer) <= width) {
      line = longer;
    } else {
      if (!isFirst) lines.push(line);
      start(word);
    }
    isFirst = false;
  }
  return [...lines, line];
}

/** The colours of ours that a line may hold, which take no room. */
const COLOUR = new RegExp(`${'\u001b'}\\[\\d+m`, 'g');

/** No terminal is used that is narrower. */
const NARROWEST = 20;
/** Further lines that begin behind a longer label would be short, and far from it. */
const MOST_INDENT = 16;

/** How a text is fitted to a terminal. */
export interface FitTextOptions {
  /**
   * Commands in it that can be pasted: they stay on one line, or are continued for a shell; default:
   * those that were written while this command runs.
   */
  commands?: Iterable<string>;
  /** Whose shell reads them; default: that of this process. */
  platform?: NodeJS.Platform;
}

/**
 * Breaks what is wider than the terminal between words; further lines begin below the text of the
 * first, after its label or its first column. Lines that fit stay as they are, and of an excerpt
 * with a caret the part around the caret stays. Colours of ours take no room.
 *
 * @param width of the terminal in columns; undefined where there is none
 * @example fitText('  hint: Try it again at a quieter time.', 24)
 * // '  hint: Try it again at\n        a quieter time.'
 */
export function fitText(
  text: string,
  width: number | undefined,
  options: FitTextOptions = {},
): string {
  if (width === undefined) return text;
  const room = Math.max(NARROWEST, width);
  const lines = text.split('\n');
  const fitted: string[] = [];
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] ?? '';
    const next = lines[at + 1] ?? '';
    if (widthOf(line) <= room) {
      fitted.push(line);
    } else if (CARET.test(next)) {
      fitted.push(...cutExcerpt(line, next, room));
      at += 1;
    } else {
      fitted.push(...fitLine(line, room, options));
    }
  }
  return fitted.join('\n');
}

function widthOf(text: string): number {
  return displayWidth(text.replace(COLOUR, ''));
}

/** The line under a line of a script, which points at a place in it. */
const CARET = /^ *\| *\^$/;

/** The part of a line of a script that is around the caret, and the caret below it. */
function cutExcerpt(line: string, pointer: string, width: number): [string, string] {
  const gutter = pointer.indexOf('|') + 2;
  const caret = pointer.length - 1 - gutter;
  const room = width - gutter;
  const start = caret < room * 0.7 ? 0 : caret - Math.floor(room / 2);
  const body = line.slice(gutter);
  const skipped = start === 0 ? '' : takeFirst(body, start + 1);
  const rest = body.slice(skipped.length);
  const mark = start === 0 ? '' : '…';
  // A wide character may leave one column less than was asked for.
  const shift = start === 0 ? 0 : displayWidth(skipped) - 1;
  const isCut = displayWidth(rest) > room - mark.length;
  const shown = isCut ? `${takeFirst(rest, room - mark.length - 1)}…` : rest;
  return [
    line.slice(0, gutter) + mark + shown,
    `${pointer.slice(0, gutter)}${' '.repeat(Math.max(0, caret - shift))}^`,
  ];
}

interface Word {
  text: string;
  /** Blanks between it and the word before. */
  gap: number;
  /** The command that it is a word of, counted in the line; undefined outside of one. */
  command?: number | undefined;
}

/** A command as help shows it. */
const EXAMPLE = /^ *\$ (.+)$/;

/** One line that is too long, as several. */
function fitLine(line: string, width: number, options: FitTextOptions): string[] {
  const { commands: written = writtenCommands(), platform = process.platform } = options;
  // What the shells of Windows read differs, and nothing tells them apart.
  const continuation = platform === 'win32' ? '' : ' \\';
  const plain = line.replace(COLOUR, '');
  const example = EXAMPLE.exec(plain)?.[1];
  const commands = example === undefined ? written : [example];
  const indent = hangingIndent(plain, width);
  const kept = keepPhrases(line, commands, width - indent);
  const words = joinShortCommands(splitWords(kept, commands), width - indent);
  const lines: string[] = [];
  let current = '';
  let isEmpty = true;
  words.forEach(({ text, gap, command }, at) => {
    const isInside = command !== undefined && words[at - 1]?.command === command;
    const goesOn = command !== undefined && words[at + 1]?.command === command;
    const needed = widthOf(text) + (goesOn ? continuation.length : 0);
    if (!isEmpty && widthOf(current) + gap + needed > width) {
      lines.push(current + (isInside ? continuation : ''));
      current = ' '.repeat(isInside ? Math.min(indent + 2, width / 2) : indent);
      isEmpty = true;
    } else if (!isEmpty || lines.length === 0) {
      current += ' '.repeat(gap);
    }
    // A word of a command that is cut could not be pasted: the terminal breaks it instead.
    if (command !== undefined && widthOf(text) > width) {
      current = text;
      isEmpty = false;
      return;
    }
    const [last = '', ...before] = placeWord(current, text, width).reverse();
    lines.push(...before.reverse());
    current = last;
    isEmpty = false;
  });
  return [...lines, current].map((one) => one.replaceAll(KEPT, ' '));
}

/** Stands for a blank at which no line ends; what is printed holds none of its own. */
const KEPT = '\u00a0';

/** What is to be pasted beside commands: between backquotes, a remark for evdb, and an option with a URL. */
const PHRASE = /`[^`]+`|-- evdb: [^."`]+|--[\w-]+ \w+:\/\/\S+/g;

/** The line with its phrases as one word each, where a line has room for them. */
function keepPhrases(line: string, commands: Iterable<string>, room: number): string {
  const all = [...commands];
  return line.replace(PHRASE, (phrase) => {
    const holdsCommand = all.some((one) => phrase.includes(one) || one.includes(phrase));
    return holdsCommand || widthOf(phrase) > room ? phrase : phrase.replaceAll(' ', KEPT);
  });
}

/** A word behind what a line begins with: as far as it has to move to the left, or in pieces. */
function placeWord(start: string, word: string, width: number): string[] {
  const room = width - widthOf(start);
  const size = widthOf(word);
  if (size <= room) return [start + word];
  if (size <= width && start.trim() === '') return [' '.repeat(width - size) + word];
  const piece = takePiece(word, room);
  return [start + piece, ...placeWord(start, word.slice(piece.length), width)];
}

/** Commands for which there is room on a line of their own become one word. */
function joinShortCommands(words: Word[], room: number): Word[] {
  const joined: Word[] = [];
  for (const word of words) {
    const { command, text, gap } = word;
    const last = joined.at(-1);
    if (command !== undefined && last?.command === command) last.text += ' '.repeat(gap) + text;
    else joined.push({ ...word });
  }
  return joined.flatMap((word) => {
    if (word.command === undefined) return [word];
    if (widthOf(word.text) <= room) return [{ ...word, command: undefined }];
    return words.filter(({ command }) => command === word.command);
  });
}

/** Where further lines begin: after the first column or the label of the line, or a little in. */
function hangingIndent(plain: string, width: number): number {
  const blanks = plain.length - plain.trimStart().length;
  const most = Math.min(MOST_INDENT, Math.floor(width * 0.4));
  const column = /^ *(?:[✓✗!?] \S+ +|- skipped +|\S+ {2,})(?=\S)/.exec(plain)?.[0];
  const label = /^ *(?:[-–•] |[\w']+(?: [\w']+)?: )(?=\S)/.exec(plain)?.[0];
  const wanted = [column, label].find((one) => one !== undefined && displayWidth(one) <= most);
  return wanted === undefined ? Math.min(blanks + 2, most) : displayWidth(wanted);
}

function splitWords(line: string, commands: Iterable<string>): Word[] {
  const spans = [...commands].flatMap((command) => {
    const start = line.indexOf(command);
    return start < 0 ? [] : [{ start, end: start + command.length }];
  });
  const words: Word[] = [];
  let isQuoted = false;
  for (const { 0: all, 1: blanks = '', 2: text = '', index } of line.matchAll(/( *)([^ ]+)/g)) {
    const start = index + blanks.length;
    const span = spans.findIndex(
      ({ start: from, end }) => from <= start + text.length - 1 && start < end,
    );
    const last = words.at(-1);
    // A quoted word of a command may hold blanks.
    if (span >= 0 && isQuoted && last) last.text += all;
    else words.push({ text, gap: blanks.length, command: span < 0 ? undefined : span });
    const isOdd = (text.match(/'/g)?.length ?? 0) % 2 === 1;
    isQuoted = span >= 0 && (isOdd ? !isQuoted : isQuoted);
  }
  return words;
}

/** As much of the beginning as fits, with the colours in it. */
function takePiece(text: string, width: number): string {
  let piece = '';
  let left = width;
  for (const part of text.split(new RegExp(`(${COLOUR.source})`))) {
    const taken = part.startsWith('\u001b') ? part : takeFirst(part, left);
    piece += taken;
    if (taken !== part) break;
    left -= widthOf(part);
  }
  return piece;
}
