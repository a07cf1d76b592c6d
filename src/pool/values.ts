import { types } from 'node:util';
import { parse as parseArray } from 'postgres-array';
import postgresDate from 'postgres-date';
import type { EncodedValue } from '../connection/driver.ts';
import type { Codec } from '../connection/statement-session.ts';
import { type ReadValue, readInteger } from '../connection/wire-format.ts';
import { EvdbError } from '../errors.ts';
import { writeDate } from './date-text.ts';

/** What the protocol counts the parameters of a statement with has 16 bits. */
const MAX_PARAMETERS = 65_535;

/** Bytes of a message that the server takes (1 GB), without the little that stands around values. */
const MAX_MESSAGE_BYTES = 2 ** 30 - 2_000_000;

const NONE: readonly EncodedValue[] = [];

/** Characters of the longest text that JavaScript knows. */
const MAX_TEXT_LENGTH = 2 ** 29 - 24;

/**
 * A value that is written in one of two ways, as only the server can say: as an array or as JSON,
 * as plain text or as a JSON string.
 */
class TypedValue {
  readonly json: () => string;
  readonly #text: string;

  constructor(text: string, json: () => string) {
    this.#text = text;
    this.json = json;
  }

  toString(): string {
    return this.#text;
  }
}

/**
 * Writes parameters in the server's text format by their type in JavaScript: text as it is,
 * numbers, booleans and bigints as text, undefined as null, Date as ISO 8601 in local time with its
 * offset, bytes as bytea, arrays as arrays (as JSON for a json or jsonb parameter), other objects as
 * JSON. Everything that could fail fails here: the driver must not throw while it writes a message.
 *
 * @throws {EvdbError} USAGE for what has no value in SQL, such as functions, promises, maps and
 *   invalid dates, and for more than the protocol carries
 */
export function encodeParameters(
  text: string,
  params: readonly unknown[],
): readonly EncodedValue[] {
  if (params.length > MAX_PARAMETERS) throw tooMany(params.length);
  if (params.length === 0 && text.length * 3 <= MAX_MESSAGE_BYTES) return NONE;
  const values = new Array<EncodedValue>(params.length);
  let length = text.length;
  for (let i = 0; i < values.length; i++) {
    const value = params[i];
    let encoded: EncodedValue;
    if (typeof value === 'string') encoded = value;
    else if (typeof value === 'number') encoded = String(value);
    else if (value === undefined && !(i in params)) throw cannotBeSent(place(i), 'a hole');
    else encoded = encode(value, () => place(i));
    values[i] = encoded;
    if (typeof encoded === 'string') length += encoded.length;
    else if (encoded !== null) length += String(encoded).length;
  }
  // A character has three bytes at most: most statements need not be counted.
  if (length * 3 > MAX_MESSAGE_BYTES) requireCarried(text, values, length);
  return values;
}

function place(index: number): string {
  return `parameter $${index + 1}`;
}

function encode(value: unknown, where: () => string): EncodedValue {
  if (typeof value === 'string') return value;
  if (value === null || value === undefined) return null;
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') {
    return String(value);
  }
  if (typeof value !== 'object') throw cannotBeSent(where(), `a ${typeof value}`);
  if (Array.isArray(value)) {
    const text = bounded(() => writeArray(value, where), where);
    return new TypedValue(text, () => writeJsonItem(value));
  }
  return encodeObject(value, where);
}

function encodeObject(value: object, where: () => string): EncodedValue {
  if (types.isDate(value)) {
    if (Number.isNaN(value.getTime())) throw cannotBeSent(where(), 'an invalid Date');
    return writeDate(value);
  }
  if (types.isUint8Array(value)) {
    if (value.byteLength * 2 + 2 > MAX_TEXT_LENGTH) throw tooLarge(where());
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    return `\\x${bytes.toString('hex')}`;
  }
  if (types.isBoxedPrimitive(value)) return encode(value.valueOf(), where);
  refuseHidden(value, where);
  let text: string | undefined;
  try {
    text = bounded(() => JSON.stringify(value), where);
  } catch (cause) {
    if (cause instanceof EvdbError) throw cause;
    throw cannotBeSent(where(), 'an object that JSON cannot hold', cause);
  }
  if (text === undefined) throw cannotBeSent(where(), 'an object that JSON cannot hold');
  // Most texts hold none, and cost no look at all that is inside.
  if (text.includes('{}')) refuseHiddenInside(value, () => `a part of ${where()}`);
  // What says of itself that it is a text, such as a URL or a decimal number, has no quotes in SQL.
  return text.startsWith('"') ? new TypedValue(JSON.parse(text), () => text) : text;
}

/**
 * Refuses what JSON would write as `{}` because it keeps what it is elsewhere than in its own
 * properties: a promise that nobody awaited, a RegExp, a Map, bytes in another form.
 */
function refuseHidden(value: object, where: () => string): void {
  if (typeof (value as { then?: unknown }).then === 'function') {
    // Its own failure is nobody's any more: the caller hears of this one.
    (value as Promise<unknown>).then(undefined, () => undefined);
    throw cannotBeSent(where(), `${nameOf(value)} that was not awaited`);
  }
  if (types.isNativeError(value) || types.isRegExp(value) || ArrayBuffer.isView(value)) {
    throw cannotBeSent(where(), nameOf(value));
  }
  if (typeof (value as { toJSON?: unknown }).toJSON === 'function') return;
  // Whatever is more than its properties bears a tag or gives its items one by one.
  const isSpecial = Symbol.toStringTag in value || Symbol.iterator in value;
  if (isSpecial && Object.keys(value).length === 0) throw cannotBeSent(where(), nameOf(value));
}

/** The same for whatever is inside, where that is what JSON wrote; what has `toJSON` knows better. */
function refuseHiddenInside(value: object, where: () => string): void {
  if (writesItself(value)) return;
  for (const item of Object.values(value)) {
    if (typeof item !== 'object' || item === null || writesItself(item)) continue;
    if (Object.keys(item).length > 0) refuseHiddenInside(item, where);
    else if (!Array.isArray(item)) refuseHidden(item, where);
  }
}

function writesItself(value: object): boolean {
  return (
    types.isBoxedPrimitive(value) || typeof (value as { toJSON?: unknown }).toJSON === 'function'
  );
}

function nameOf(value: object): string {
  const name = (value as { constructor?: { name?: unknown } }).constructor?.name;
  if (typeof name !== 'string' || name === '') return 'an object without a name';
  return `${/^[AEIOU](?!RL)/.test(name) ? 'an' : 'a'} ${name}`;
}

/** What a text cannot hold because of its length is said like everything else that cannot be sent. */
function bounded<T>(write: () => T, where: () => string): T {
  try {
    return write();
  } catch (error) {
    const isTooLong = error instanceof RangeError && /string length/i.test(error.message);
    throw isTooLong ? tooLarge(where(), error) : error;
  }
}

function writeArray(items: readonly unknown[], where: () => string): string {
  const inside = () => `an element of ${where()}`;
  const texts = Array.from(items, (item, index) => {
    if (item === undefined && !(index in items)) throw cannotBeSent(inside(), 'a hole');
    const value = encode(item, inside);
    if (value === null) return 'NULL';
    if (value instanceof TypedValue && Array.isArray(item)) return value.toString();
    return `"${String(value).replace(/[\\"]/g, '\\$&')}"`;
  });
  return `{${texts.join(',')}}`;
}

/** What was encoded before does not throw here: the driver would lose its step. */
function writeJsonItem(item: unknown): string {
  if (Array.isArray(item)) return `[${item.map(writeJsonItem).join(',')}]`;
  if (typeof item === 'bigint') return String(item);
  return JSON.stringify(item) ?? 'null';
}

/** Counts bytes where lengths do not tell, as a message that is too long ends the connection. */
function requireCarried(text: string, values: readonly EncodedValue[], length: number): void {
  let bytes = length;
  if (length <= MAX_MESSAGE_BYTES) {
    bytes = Buffer.byteLength(text);
    for (const value of values) if (value !== null) bytes += Buffer.byteLength(String(value));
  }
  if (bytes <= MAX_MESSAGE_BYTES) return;
  throw new EvdbError('USAGE', 'the statement and its parameters are longer than 1 GB', {
    hint: 'The protocol carries no more in one message: send it in parts.',
  });
}

function tooMany(count: number): EvdbError {
  return new EvdbError(
    'USAGE',
    `the statement has ${count.toLocaleString('en')} parameters, and the protocol allows 65,535`,
    { hint: 'Send arrays: `insert … select from unnest($1::int[], $2::text[])`.' },
  );
}

function tooLarge(where: string, cause?: unknown): EvdbError {
  return new EvdbError('USAGE', `${where} is longer than a text can be`, {
    hint: 'A value has at most 512 MB as text, and bytes take two characters each.',
    cause,
  });
}

function cannotBeSent(where: string, what: string, cause?: unknown): EvdbError {
  return new EvdbError('USAGE', `${where} is ${what}, which has no value in SQL`, {
    hint: 'Pass null for a missing value, and text, numbers, booleans, dates, bytes, arrays or plain objects otherwise. Await what is a promise; a statement cannot be part of another one.',
    cause,
  });
}

type Parse = (text: string) => unknown;

// Its types describe another way of importing it than Node's.
const readDate = postgresDate as unknown as Parse;

/**
 * What is not in the ISO style, which the pool asks for, stays text rather than becoming null, and
 * so does what lies beyond the furthest Date: PostgreSQL knows 18,000 years more.
 */
const parseDate: Parse = (text) => {
  const date = readDate(text);
  const isDate = date instanceof Date ? !Number.isNaN(date.getTime()) : date !== null;
  return isDate ? date : text;
};

/** Both formats of `bytea_output`: the pool asks for hex, and a pooler may not pass that on. */
function parseBytea(text: string): Buffer {
  if (text.startsWith('\\x')) return Buffer.from(text.slice(2), 'hex');
  const bytes = text.replace(/\\(\\|[0-7]{3})/g, (_, code: string) =>
    code === '\\' ? code : String.fromCharCode(Number.parseInt(code, 8)),
  );
  return Buffer.from(bytes, 'latin1');
}

const readBoolean: ReadValue = (bytes, start) => bytes[start] === 0x74;

/**
 * How values of the server become values of JavaScript, as applications that come from `pg` know
 * it: bigint and numeric stay text because a number would round them, and timestamps become Date.
 * A date stays text too (`2026-11-22`): as a Date it would move by a day in half of the time zones.
 */
const SCALARS: [oid: number, arrayOid: number, parse: Parse, read?: ReadValue][] = [
  [16, 1000, (text) => text === 't', readBoolean],
  [17, 1001, parseBytea],
  [21, 1005, Number, readInteger],
  [23, 1007, Number, readInteger],
  [26, 1028, Number, readInteger],
  [700, 1021, Number],
  [701, 1022, Number],
  [114, 199, (text) => JSON.parse(text)],
  [3802, 3807, (text) => JSON.parse(text)],
  [1114, 1115, parseDate],
  [1184, 1185, parseDate],
];

/** Arrays of further types that every PostgreSQL has, whose elements stay text: texts, ranges, … */
const TEXT_ARRAYS = [
  ...[143, 271, 629, 651, 719, 775, 791, 1002, 1003, 1006, 1008, 1009, 1010, 1011, 1012, 1013],
  ...[1014, 1015, 1016, 1017, 1018, 1019, 1027, 1034, 1040, 1041, 1182, 1183, 1187, 1231, 1263],
  ...[1270, 1561, 1563, 2201, 2207, 2208, 2209, 2210, 2211, 2287, 2949, 2951, 3221, 3643, 3644],
  ...[3645, 3735, 3770, 3905, 3907, 3909, 3911, 3913, 3927, 4073, 4090, 4097, 4192, 5039],
  ...[6150, 6151, 6152, 6153, 6155, 6157],
];

/** The one type whose arrays have another delimiter, because its values hold commas. */
const BOX_ARRAY = 1020;

/** No value of it holds a quote, so that each can stand in quotes. */
const parseBoxes: Parse = (text) =>
  parseArray(text.replace(/\([^;{}]*\)/g, '"$&"').replaceAll(';', ','));

const JSON_TYPES = new Set([114, 3802]);

/** The codec of the pool; what it has no reader for is a text. */
export const VALUE_CODEC: Codec = {
  readers: new Map<number, ReadValue>([
    ...SCALARS.map(([oid, , parse, read]) => [oid, read ?? fromText(parse)] as const),
    ...SCALARS.map(([, oid, parse]) => [oid, fromText((text) => parseArray(text, parse))] as const),
    ...TEXT_ARRAYS.map((oid) => [oid, fromText((text) => parseArray(text))] as const),
    [BOX_ARRAY, fromText(parseBoxes)],
  ]),
  // Only the server knows that an array is meant as JSON and not as an array.
  write: (value, type) =>
    value instanceof TypedValue && JSON_TYPES.has(type ?? 0) ? value.json() : String(value),
};

function fromText(parse: Parse): ReadValue {
  return (bytes, start, end) => parse(bytes.toString('utf8', start, end));
}
