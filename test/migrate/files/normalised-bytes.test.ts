import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readNormalised } from '../../../src/migrate/files/checksum.ts';

const directory = mkdtempSync(join(tmpdir(), 'evdb-bytes-'));
const path = join(directory, 'a.sql');
/** So that what follows lies across the end of the first block. */
const FIRST_BLOCK = 256 * 1024;

afterAll(() => rmSync(directory, { recursive: true }));

function read(content: string | Buffer): string {
  writeFileSync(path, content);
  return [...readNormalised(path)].map((block) => block.toString('utf8')).join('');
}

describe('readNormalised', () => {
  it.each(['\r\n', 'é', '漢', '😀', '\r\r\n', '\r', '😀\r\n'])(
    'keeps %j whole, wherever a block ends in it',
    (text) => {
      for (let before = 0; before < 8; before++) {
        const content = `${'x'.repeat(FIRST_BLOCK - before)}${text}end`;
        expect(read(content).slice(-10)).toBe(content.replaceAll('\r\n', '\n').slice(-10));
      }
    },
  );

  it('removes a byte order mark at the start alone', () => {
    expect(read('\ufeffa\ufeffb\r\n')).toBe('a\ufeffb\n');
  });

  it('gives nothing of an empty file', () => {
    expect(read('')).toBe('');
  });

  it.each([
    ['a character that never ends', Buffer.from([0x61, 0xe6, 0xbc])],
    ['a byte of another encoding', Buffer.from('caf\xe9 ', 'latin1')],
    ['bytes that continue nothing', Buffer.from([0x80, 0x80, 0x80, 0x80])],
  ])('refuses %s, at the end of a block too', (_, bytes) => {
    for (const before of [0, FIRST_BLOCK - 1, FIRST_BLOCK, FIRST_BLOCK + 1]) {
      const content = Buffer.concat([Buffer.alloc(before, 'x'), bytes]);
      expect(() => read(content)).toThrow(expect.objectContaining({ code: 'NOT_UTF8' }));
    }
  });

  it('tells where a NUL is', () => {
    expect(() => read(`${'é'.repeat(FIRST_BLOCK)}\0`)).toThrow(
      expect.objectContaining({
        code: 'NUL_BYTE',
        details: expect.objectContaining({ byte: 2 * FIRST_BLOCK + 1 }),
      }),
    );
  });
});
