/**
 * Messages of the protocol as bytes: how those that come are cut and read, and those that a statement
 * sends are written. Values are in the text format both ways.
 *
 * Source: PostgreSQL manual, "Message Formats".
 */

import type { EncodedValue } from './driver.ts';

/** A letter and the length. */
const HEAD_BYTES = 5;

/** Cuts what comes into messages, wherever the network has cut it. */
export class MessageReader {
  /** Takes the message whose letter is at `at`; its bytes are of no use later. */
  onMessage: (bytes: Buffer, at: number, end: number) => void = () => undefined;
  /** Is called where the bytes are no message, or where `onMessage` throws. */
  onFailure: (error: Error) => void = () => undefined;
  /** Of a message that is not whole yet. */
  #parts: Buffer[] = [];
  #missing = 0;

  readonly read = (chunk: Buffer): void => {
    let bytes = chunk;
    if (this.#missing > 0) {
      this.#parts.push(chunk);
      this.#missing -= chunk.length;
      if (this.#missing > 0) return;
      bytes = Buffer.concat(this.#parts);
      this.#missing = 0;
    }
    try {
      this.#keep(bytes, this.#cut(bytes));
    } catch (error) {
      this.onFailure(error as Error);
    }
  };

  #cut(bytes: Buffer): number {
    let at = 0;
    while (at + HEAD_BYTES <= bytes.length) {
      const end = at + 1 + bytes.readInt32BE(at + 1);
      if (end < at + HEAD_BYTES) throw new Error('the server sent a message of negative length');
      if (end > bytes.length) break;
      this.onMessage(bytes, at, end);
      at = end;
    }
    return at;
  }

  #keep(bytes: Buffer, at: number): void {
    const rest = bytes.length - at;
    if (rest === 0) return;
    const whole = rest < HEAD_BYTES ? HEAD_BYTES : 1 + bytes.readInt32BE(at + 1);
    this.#missing = whole - rest;
    this.#parts = [bytes.subarray(at)];
  }
}

/** Reads a value, which stands from `start` to `end`. */
export type ReadValue = (bytes: Buffer, start: number, end: number) => unknown;

/** A column of a result. */
export interface Column {
  readonly name: string;
  /** Oid of the type, as in pg_type. */
  readonly dataTypeID: number;
  /** Such as a length, as in pg_attribute; -1 for none. */
  readonly dataTypeModifier: number;
}

const readText: ReadValue = (bytes, start, end) => bytes.toString('utf8', start, end);

/** What the rows of a result look like, by the message that describes them. */
export class RowShape {
  readonly fields: readonly Column[];
  readonly #description: Buffer;
  readonly #names: readonly string[];
  readonly #readers: readonly ReadValue[];
  readonly #hasProto: boolean;

  constructor(description: Buffer, readers: ReadonlyMap<number, ReadValue>) {
    this.#description = description;
    const fields = readColumns(description);
    this.fields = Object.freeze(fields);
    this.#names = fields.map(({ name }) => name);
    this.#readers = fields.map(({ dataTypeID }) => readers.get(dataTypeID) ?? readText);
    this.#hasProto = this.#names.includes('__proto__');
  }

  /** Whether a message describes the same. */
  is(bytes: Buffer, at: number, end: number): boolean {
    const known = this.#description;
    return known.length === end - at && known.compare(bytes, at, end) === 0;
  }

  readRow(bytes: Buffer, at: number, end: number): Record<string, unknown> {
    const names = this.#names;
    const row: Record<string, unknown> = {};
    if (bytes.readInt16BE(at + HEAD_BYTES) !== names.length) throw new Error(OTHER_COLUMNS);
    let start = at + HEAD_BYTES + 2;
    for (let i = 0; i < names.length; i++) {
      const length = bytes.readInt32BE(start);
      start += 4;
      const stop = length < 0 ? start : start + length;
      const value = length < 0 ? null : (this.#readers[i] ?? readText)(bytes, start, stop);
      if (this.#hasProto) setOwn(row, names[i] ?? '', value);
      else row[names[i] ?? ''] = value;
      start = stop;
    }
    if (start !== end) throw new Error(OTHER_COLUMNS);
    return row;
  }
}

const OTHER_COLUMNS = 'the server sent a row that has other columns than it described';

/** Set on a row as it is, a column named `__proto__` would be the row's prototype. */
function setOwn(row: object, name: string, value: unknown): void {
  const property = { value, configurable: true, enumerable: true, writable: true };
  Object.defineProperty(row, name, property);
}

function readColumns(description: Buffer): Column[] {
  const columns: Column[] = [];
  for (let at = HEAD_BYTES + 2, end = 0; at < description.length; at = end + 19) {
    end = description.indexOf(0, at);
    const name = description.toString('utf8', at, end);
    const dataTypeID = description.readUInt32BE(end + 7);
    const dataTypeModifier = description.readInt32BE(end + 13);
    columns.push(Object.freeze({ name, dataTypeID, dataTypeModifier }));
  }
  return columns;
}

/** Reads which types the server expects of parameters. */
export function readTypes(bytes: Buffer, at: number): number[] {
  const count = bytes.readUInt16BE(at + HEAD_BYTES);
  return Array.from({ length: count }, (_, i) => bytes.readUInt32BE(at + HEAD_BYTES + 2 + i * 4));
}

/** What a statement did, such as `INSERT`, and to how many rows where the server says so. */
export interface Tag {
  command: string;
  count: number | undefined;
}

const ZERO = 0x30;
const NINE = 0x39;
const SPACE = 0x20;

/**
 * Of `INSERT 0 5` the last number counts.
 *
 * @param known is given back where it says the same
 */
export function readTag(bytes: Buffer, at: number, end: number, known: Tag): Tag {
  const start = at + HEAD_BYTES;
  let stop = end - 1;
  let count: number | undefined;
  for (;;) {
    let digit = stop - 1;
    while (digit > start && isDigit(bytes[digit])) digit -= 1;
    if (digit === stop - 1 || bytes[digit] !== SPACE) break;
    count ??= readInteger(bytes, digit + 1, stop);
    stop = digit;
  }
  if (count === known.count && isText(known.command, bytes, start, stop)) return known;
  return { command: bytes.toString('latin1', start, stop), count };
}

function isText(text: string, bytes: Buffer, start: number, end: number): boolean {
  if (text.length !== end - start) return false;
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== bytes[start + i]) return false;
  return true;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= ZERO && byte <= NINE;
}

const MINUS = 0x2d;

/** Reads a whole number of at most 15 digits, without making a text of it. */
export function readInteger(bytes: Buffer, start: number, end: number): number {
  const isNegative = bytes[start] === MINUS;
  let value = 0;
  for (let at = isNegative ? start + 1 : start; at < end; at++) {
    value = value * 10 + (bytes[at] ?? ZERO) - ZERO;
  }
  return isNegative ? -value : value;
}

/** The fields of an error as the driver names them. */
const ERROR_FIELDS: Record<string, string> = {
  S: 'severity_local',
  V: 'severity',
  C: 'code',
  M: 'message',
  D: 'detail',
  H: 'hint',
  P: 'position',
  p: 'internal_position',
  q: 'internal_query',
  W: 'where',
  s: 'schema_name',
  t: 'table_name',
  c: 'column_name',
  d: 'data type_name',
  n: 'constraint_name',
  F: 'file',
  L: 'line',
  R: 'routine',
};

/** What the server said, field by field. */
export function readServerError(bytes: Buffer, at: number, end: number): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const field of bytes.toString('utf8', at + HEAD_BYTES, end).split('\0')) {
    const name = ERROR_FIELDS[field.charAt(0)];
    if (name !== undefined) fields[name] = field.slice(1);
  }
  return fields;
}

/** Describe the unnamed portal. */
const DESCRIBE_PORTAL = Buffer.from([0x44, 0, 0, 0, 6, 0x50, 0]);
/** Execute the unnamed portal to its end, and answer. */
const EXECUTE = Buffer.from([0x45, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0x53, 0, 0, 0, 4]);
const FLUSH = Buffer.from([0x48, 0, 0, 0, 4]);

/** What is longer is written into bytes of its own. */
const USUAL_BYTES = 16_384;
const MOST_SPARE_BYTES = 2 ** 20;

/** Texts up to this length are written here: a call to do it costs more than they do. */
const SHORT_TEXT = 40;

/** Writes one value by the type of its parameter. */
export type WriteValue = (value: object, type: number | undefined) => string;

/** Puts messages behind each other, to be sent as one piece. */
export class MessageWriter {
  #bytes: Buffer = Buffer.allocUnsafeSlow(USUAL_BYTES);
  #at = 0;

  query(text: string): this {
    const start = this.#begin(0x51);
    this.#text(text);
    this.#byte(0);
    return this.#end(start);
  }

  /** The server finds out the types of the parameters. */
  parse(name: string, text: string, parameters: number): this {
    const start = this.#begin(0x50);
    this.#name(name);
    this.#text(text);
    this.#byte(0);
    this.#int16(parameters);
    this.#room(parameters * 4);
    this.#bytes.fill(0, this.#at, this.#at + parameters * 4);
    this.#at += parameters * 4;
    return this.#end(start);
  }

  describeStatement(name: string): this {
    return this.#named(0x44, name);
  }

  closeStatement(name: string): this {
    return this.#named(0x43, name);
  }

  bind(
    name: string,
    values: readonly EncodedValue[],
    types: readonly number[],
    write: WriteValue,
  ): this {
    const start = this.#begin(0x42);
    this.#byte(0);
    this.#name(name);
    this.#int16(0);
    this.#int16(values.length);
    for (let i = 0; i < values.length; i++) {
      const value = values[i] ?? null;
      if (value === null) {
        this.#int32(-1);
      } else {
        const before = this.#at;
        this.#int32(0);
        this.#text(typeof value === 'string' ? value : write(value, types[i]));
        this.#bytes.writeInt32BE(this.#at - before - 4, before);
      }
    }
    this.#int16(0);
    return this.#end(start);
  }

  describePortal(): this {
    return this.#raw(DESCRIBE_PORTAL);
  }

  execute(): this {
    return this.#raw(EXECUTE);
  }

  flush(): this {
    return this.#raw(FLUSH);
  }

  /** What was written since the last call, as bytes that stay. */
  take(): Buffer {
    const written = this.#bytes.subarray(0, this.#at);
    this.#at = 0;
    if (this.#bytes.length === USUAL_BYTES) return Buffer.from(written);
    this.#bytes = Buffer.allocUnsafeSlow(USUAL_BYTES);
    return written;
  }

  /** Forgets what was written since. */
  drop(): void {
    this.#at = 0;
  }

  #begin(letter: number): number {
    this.#room(HEAD_BYTES);
    this.#bytes[this.#at] = letter;
    this.#at += HEAD_BYTES;
    return this.#at - 4;
  }

  #end(start: number): this {
    this.#bytes.writeInt32BE(this.#at - start, start);
    return this;
  }

  #named(letter: number, name: string): this {
    const start = this.#begin(letter);
    this.#byte(0x53);
    this.#name(name);
    return this.#end(start);
  }

  #name(name: string): void {
    this.#text(name);
    this.#byte(0);
  }

  #byte(value: number): void {
    this.#room(1);
    this.#bytes[this.#at] = value;
    this.#at += 1;
  }

  #int16(value: number): void {
    this.#room(2);
    this.#at = this.#bytes.writeUInt16BE(value, this.#at);
  }

  #int32(value: number): void {
    this.#room(4);
    this.#at = this.#bytes.writeInt32BE(value, this.#at);
  }

  #raw(bytes: Buffer): this {
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
    return this;
  }

  #text(text: string): void {
    const { length } = text;
    if (length === 0) return;
    this.#room(length * 3 > USUAL_BYTES ? Buffer.byteLength(text) : length * 3);
    const bytes = this.#bytes;
    const start = this.#at;
    for (let i = 0; i < length && length <= SHORT_TEXT; i++) {
      const code = text.charCodeAt(i);
      if (code > 0x7f) break;
      bytes[start + i] = code;
      if (i === length - 1) {
        this.#at = start + length;
        return;
      }
    }
    this.#at = start + bytes.write(text, start);
  }

  #room(bytes: number): void {
    const needed = this.#at + bytes;
    if (needed <= this.#bytes.length) return;
    const spare = Math.min(this.#bytes.length, MOST_SPARE_BYTES);
    const larger = Buffer.allocUnsafeSlow(needed + spare);
    larger.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = larger;
  }
}
