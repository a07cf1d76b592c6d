import { expect, test } from 'vitest';
import { measure } from '../../src/sql/statement-reader.ts';
import { randomOf } from '../support/random.ts';

test('measures bytes as their text would be, wherever they lie and whatever they hold', () => {
  const random = randomOf(7);
  const alphabet = ['a', '\n', '\t', 'é', '€', '😀', '\u000b', '\u008a', '\uffff', '\u0a0a'];
  for (let round = 0; round < 500; round++) {
    const text = Array.from(
      { length: random.below(40) },
      () => alphabet[random.below(alphabet.length)],
    ).join('');
    const bytes = Buffer.concat([Buffer.alloc(random.below(9)), Buffer.from(text)]);
    const at = bytes.length - Buffer.byteLength(text);
    const expected = { units: text.length, lines: text.split('\n').length - 1 };
    expect(measure(bytes.subarray(at))).toEqual(expected);
    // Cut anywhere, be it within a character, the parts add up.
    const cut = at + random.below(bytes.length - at + 1);
    const [first, second] = [measure(bytes.subarray(at, cut)), measure(bytes.subarray(cut))];
    expect({
      units: first.units + second.units,
      lines: first.lines + second.lines,
    }).toEqual(expected);
  }
});
