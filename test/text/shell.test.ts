import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { quoteWord, variableWord } from '../../src/text/command-line.ts';

/** What a shell makes of a word. */
function readBack(shell: string, quoted: string): string {
  return execFileSync(shell, ['-c', `printf %s ${quoted}; printf .`], {
    encoding: 'utf8',
    cwd: '/',
  }).slice(0, -1);
}

const VISIBLE = [
  'tenant_a',
  '',
  'a b',
  "it's",
  '"quoted"',
  '$(touch /tmp/evdb-pwned) `id` $HOME',
  '$' + '{HOME}',
  'a;b|c&d>e<f#g*h?i[j]{k,l}~m!n',
  '~root',
  '=ls',
  '-x',
  '\\',
  "\\'",
  'Größe – 日本語',
  'postgres://app@db/shop?options=-c%20x',
];

const UNSEEN = ['a\nb', 'a\tb', '\u001b[2J!', 'a\u202eb', "'\n\\\n'", 'a\u00a0b', '\u0085x', '\n9'];

describe.skipIf(process.platform === 'win32')('a word that is quoted for a POSIX shell', () => {
  it.each(VISIBLE)('is the same word to sh: %j', (word) => {
    expect(readBack('sh', quoteWord(word, 'posix'))).toBe(word);
  });

  // dash has no way to write a control character in a word that can be seen.
  it.each([...VISIBLE, ...UNSEEN])('is the same word to bash: %j', (word) => {
    expect(readBack('bash', quoteWord(word, 'posix'))).toBe(word);
  });

  it.each(UNSEEN)('shows what cannot be seen: %j', (word) => {
    expect(quoteWord(word, 'posix')).toMatch(/^\$'[\x20-\x7e]*'$/);
  });
});

describe('a word that is quoted for Windows', () => {
  it.each([
    ['tenant_a', 'tenant_a'],
    ['a b', '"a b"'],
    ['C:\\evdb\\x', 'C:\\evdb\\x'],
    ["it's", "'it''s'"],
    ['it’s $(x)', "'it’’s $(x)'"],
    ['a\n$b"', '"a$([char]10)`$b`""'],
    ['', "''"],
  ])('is written for PowerShell: %j', (word, quoted) => {
    expect(quoteWord(word, 'powershell')).toBe(quoted);
  });

  it.each([
    ['a b', '"a b"'],
    ['100%PATH%', '"100"^%"PATH"^%""'],
    ['a & b', '"a & b"'],
    ['say "x"', '"say ""x"""'],
    ['a\nb', '"a<?>b"'],
    ['', '""'],
  ])('is written for cmd: %j', (word, quoted) => {
    expect(quoteWord(word, 'cmd')).toBe(quoted);
  });
});

it('names a variable as each shell does', () => {
  expect(variableWord('EVDB_URL', 'posix')).toBe('"$EVDB_URL"');
  expect(variableWord('EVDB_URL', 'powershell')).toBe('"$env:EVDB_URL"');
  expect(variableWord('EVDB_URL', 'cmd')).toBe('"%EVDB_URL%"');
});
