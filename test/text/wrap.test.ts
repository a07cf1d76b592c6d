import { describe, expect, it } from 'vitest';
import { displayWidth } from '../../src/text/width.ts';
import { fitText, wrapWords } from '../../src/text/wrap.ts';

describe('words', () => {
  it('are kept whole where a line has room for them', () => {
    expect(wrapWords('one two three', 7)).toEqual(['one two', 'three']);
    expect(wrapWords('one two', Number.POSITIVE_INFINITY)).toEqual(['one two']);
    expect(wrapWords('', 7)).toEqual(['']);
  });

  it('are broken where they are longer than a line', () => {
    expect(wrapWords('an extraordinarily long', 7)).toEqual(['an', 'extraor', 'dinaril', 'y long']);
    expect(wrapWords('東京都庁舎', 4)).toEqual(['東京', '都庁', '舎']);
  });
});

describe('a text for a terminal', () => {
  it('stays as it is where it fits, and where there is no terminal', () => {
    const text = '  a  line\n\nand   another';
    expect(fitText(text, 40)).toBe(text);
    expect(fitText('word '.repeat(100), undefined)).toBe('word '.repeat(100));
  });

  it('goes on below its label, or below its second column', () => {
    expect(fitText('  hint: Try it again at a quieter time of the day.', 30)).toBe(
      ['  hint: Try it again at a', '        quieter time of the', '        day.'].join('\n'),
    );
    expect(fitText('warning  003_c.sql: it is pending although 004 is applied', 40)).toBe(
      ['warning  003_c.sql: it is pending', '         although 004 is applied'].join('\n'),
    );
    expect(fitText('nothing was found that would be worth a word', 30)).toBe(
      ['nothing was found that would', '  be worth a word'].join('\n'),
    );
  });

  it('keeps what is to be pasted on one line', () => {
    const texts = [
      'hint: Write above it: -- evdb: irreversible <reason>. Then run it.',
      'hint: Hold it against `rewrite-rows=100k unknown=fail` for a while.',
      'hint: Give it what it needs: pass --url postgres://user@host/db to it.',
    ];
    const whole = [
      '-- evdb: irreversible <reason>',
      '`rewrite-rows=100k unknown=fail`',
      '--url postgres://user@host/db',
    ];
    for (const [at, text] of texts.entries()) {
      for (const width of [40, 44, 50]) expect(fitText(text, width)).toContain(whole[at]);
    }
  });

  it('cuts no word of a command, also where it is wider than the terminal', () => {
    const token = 'x'.repeat(60);
    const command = `npx evdb events list --after ${token}`;
    const options = { commands: [command], platform: 'linux' as const };
    const lines = fitText(`more: ${command}`, 40, options).split('\n');
    expect(lines).toEqual(['more: npx evdb events list --after \\', token]);
  });

  it('keeps its colours, which take no room', () => {
    const red = (text: string) => `\u001b[31m${text}\u001b[39m`;
    expect(fitText(`${red('error')} one two three four`, 25)).toBe(
      `${red('error')} one two three four`,
    );
    expect(fitText(red('x'.repeat(45)), 20).replace(/\S\[\d+m/g, '')).toBe(
      ['x'.repeat(20), 'x'.repeat(20), 'x'.repeat(5)].join('\n'),
    );
  });

  it('breaks a command only where it is longer than a line, and then so that it can be pasted', () => {
    const command = "evdb migrate up --to 003 --schema 'a  b c'";
    const fitTo = (width: number) =>
      fitText(`  hint: Apply it first: ${command}`, width, {
        commands: [command],
        platform: 'linux',
      });
    expect(fitTo(60)).toBe(['  hint: Apply it first:', `        ${command}`].join('\n'));
    expect(fitTo(40)).toBe(
      ['  hint: Apply it first: evdb migrate \\', "          up --to 003 --schema 'a  b c'"].join(
        '\n',
      ),
    );
    const pasted = fitTo(40).replace(/ *\\\n */g, ' ');
    expect(pasted).toContain(command);
  });

  it('keeps the caret of an excerpt below its place', () => {
    const line = `  12 | ${'select a, '.repeat(12)}wrong${', b'.repeat(30)};`;
    const caret = `     | ${' '.repeat(line.indexOf('wrong') - 7)}^`;
    for (const width of [40, 60, 80]) {
      const [shown = '', below = '', ...more] = fitText(`${line}\n${caret}`, width).split('\n');
      expect(more).toEqual([]);
      expect(displayWidth(shown)).toBeLessThanOrEqual(width);
      expect(shown.slice(below.indexOf('^'))).toMatch(/^wrong/);
    }
  });

  it.each([20, 33, 40, 80])('is never wider than %i columns', (width) => {
    const text = [
      '  fix: create index concurrently on public.registrations (event_id, user_id) where status;',
      `error  ${'a_very_long_name_'.repeat(10)} is missing`,
      '東京ジャズフェスティバル、日本武道館、三日間にわたる音楽の祭典',
      '    └── 🎷 🎺 🎻 👩‍👩‍👧 and many words that follow after them in this line',
    ].join('\n');
    for (const line of fitText(text, width).split('\n')) {
      expect(displayWidth(line)).toBeLessThanOrEqual(width);
    }
  });
});
