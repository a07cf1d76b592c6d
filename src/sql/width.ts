import { harmlessCharacter } from '../text/harmless.ts';

const TAB_STOP = 4;

/**
 * One code point as a terminal shows it, made harmless: tabs become spaces, and characters that
 * move the cursor or turn the direction of writing become visible.
 *
 * @param column where it will stand, from 0: a tab reaches to the next stop
 */
export function renderCharacter(
  character: string,
  column: number,
): { shown: string; width: number } {
  if (character === '\t') {
    const width = TAB_STOP - (column % TAB_STOP);
    return { shown: ' '.repeat(width), width };
  }
  const code = character.codePointAt(0) ?? 0;
  const shown = harmlessCharacter(character);
  if (shown !== character) return { shown, width: 1 };
  if (code < 0x7f) return { shown: character, width: 1 };
  if (ZERO_WIDTH.test(character)) return { shown: character, width: 0 };
  return { shown: character, width: WIDE.test(character) ? 2 : 1 };
}

const ZERO_WIDTH = /[\p{Mn}\p{Me}\p{Cf}]/u;
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;
