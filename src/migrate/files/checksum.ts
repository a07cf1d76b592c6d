import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { closeSync, fstatSync, readSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { openPlainFile } from '../../file-system.ts';
import { fileUnreadable, notUtf8, nulByte } from './file-errors.ts';

/** The checksum that `readScript` gives, without holding the file. */
export function readLargeChecksum(path: string, print?: FilePrint): string {
  const sum = createHash('sha256');
  for (const block of readNormalised(path, print)) sum.update(block);
  return sum.digest('hex');
}

/** What one reading of a whole file leaves, to tell whether another one saw the same bytes. */
export interface FilePrint {
  /** What the system said of the file when it was opened, and when all of it was read. */
  opened: string;
  ended: string;
  /** Of the bytes; far faster than a checksum that nobody can forge. */
  crc: number;
}

export function createPrint(): FilePrint {
  return { opened: '', ended: '', crc: 0 };
}

/** Whether nobody wrote to the file from the beginning of one reading to the end of another one. */
export function isSameFile(first: FilePrint, later: FilePrint): boolean {
  return first.opened === later.ended && first.crc === later.crc;
}

// Not its number: another file in its place has another time, and some shares number them anew.
function describe(file: number): string {
  const { size, mtimeNs, ctimeNs } = fstatSync(file, { bigint: true });
  return `${size} ${mtimeNs} ${ctimeNs}`;
}

const BLOCK_BYTES = 256 * 1024;
const CR = 0x0d;
const LF = 0x0a;

/**
 * The bytes of a file as `readScript` takes them: UTF-8 without byte order mark and with `\n` line
 * ends, checked on the way. No block ends within a character.
 *
 * @param print is filled in on the way
 * @throws {EvdbError} FILE_UNREADABLE, NOT_UTF8, NUL_BYTE
 */
export function* readNormalised(path: string, print = createPrint()): Generator<Buffer> {
  const file = open(path);
  try {
    print.opened = describe(file);
    let kept: Buffer = Buffer.alloc(0);
    for (let offset = 0; ; ) {
      const block = Buffer.allocUnsafe(kept.length + BLOCK_BYTES);
      kept.copy(block);
      const length = readInto(file, block, kept.length, path);
      const bytes = block.subarray(0, kept.length + length);
      const isLast = length === 0;
      const end = isLast ? bytes.length : endOfWhole(bytes);
      check(bytes.subarray(0, end), path, offset);
      const whole = bytes.subarray(offset === 0 && isMarked(bytes) ? 3 : 0, end);
      print.crc = crc32(whole, print.crc);
      if (isLast) print.ended = describe(file);
      if (whole.length > 0) yield withoutReturns(whole);
      if (isLast) return;
      kept = bytes.subarray(end);
      offset += end;
    }
  } finally {
    closeSync(file);
  }
}

function open(path: string): number {
  try {
    return openPlainFile(path);
  } catch (cause) {
    throw fileUnreadable(path, cause);
  }
}

function readInto(file: number, block: Buffer, at: number, path: string): number {
  try {
    return readSync(file, block, at, block.length - at, null);
  } catch (cause) {
    throw fileUnreadable(path, cause);
  }
}

function check(bytes: Buffer, path: string, offset: number): void {
  if (!isUtf8(bytes)) throw notUtf8(path, bytes);
  const nul = bytes.indexOf(0);
  if (nul >= 0) throw nulByte(path, offset + nul + 1);
}

/** Where the last character ends that is whole, and no `\r` that its `\n` may follow. */
function endOfWhole(bytes: Buffer): number {
  let end = bytes.length;
  for (let back = 1; back <= 3 && back <= bytes.length; back++) {
    const byte = bytes[bytes.length - back] as number;
    if (byte < 0x80) break;
    if (byte < 0xc0) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    if (length > back) end = bytes.length - back;
    break;
  }
  return bytes[end - 1] === CR ? end - 1 : end;
}

function isMarked(bytes: Buffer): boolean {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
}

function withoutReturns(bytes: Buffer): Buffer {
  if (!bytes.includes(CR)) return bytes;
  const kept = Buffer.allocUnsafe(bytes.length);
  let length = 0;
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] === CR && bytes[i + 1] === LF) continue;
    kept[length++] = bytes[i] as number;
  }
  return kept.subarray(0, length);
}
