import type { EncodedValue } from '../connection/driver.ts';
import { EvdbError } from '../errors.ts';

/** An array of which the server has yet to say whether it is one or JSON. */
export class ArrayValue {
  readonly items: readonly unknown[];
  readonly #text: string;

  constructor(items: readonly unknown[], place: string) {
    this.items = items;
    this.#text = writeArray(items, place);
  }

  toString(): string {
    return this.#text;
  }
}

/**
 * Writes parameters in the server's text format by their type in JavaScript: text as it is,
 * numbers, booleans and bigints as text, Date as ISO 8601 in local time with its offset, bytes as bytea, arrays as arrays (as JSON
 * for a json or jsonb parameter), other objects as JSON.
 *
 * @throws {EvdbError} USAGE for undefined, functions, symbols, maps, sets and invalid dates
 */
export function encodeParameters(params: readonly unknown[]): EncodedValue[] {
  return params.map((value, index) => encode(value, `parameter $${index + 1}`));
}

function encode(value: unknown, place: string): EncodedValue {
  if (typeof value === 'string' || value === null) return value;
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') {
    return String(value);
  }
  if (Array.isArray(value)) return new ArrayValue(value, place);
  if (typeof value === 'object') return encodeObject(value, place);
  throw cannotBeSent(place, value === undefined ? 'undefined' : `a ${typeof value}`);
}

function encodeObject(value: object, place: string): string {
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw cannotBeSent(place, 'an invalid Date');
    return writeDate(value);
  }
  if (value instanceof Uint8Array) return `\\x${Buffer.from(value).toString('hex')}`;
  if (value instanceof Map || value instanceof Set || ArrayBuffer.isView(value)) {
    throw cannotBeSent(place, `a ${value.constructor.name}`);
  }
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    throw cannotBeSent(place, 'an object that JSON cannot hold', cause);
  }
  if (text === undefined) throw cannotBeSent(place, 'an object that JSON cannot hold');
  return text;
}

/** A day short of the furthest Date. */
const FURTHEST_MILLIS = 8.64e15 - 86_400_000;

/**
 * Local time with its offset, as `pg` writes it: the instant for a `timestamptz`, and what the clock
 * on the wall shows for a `timestamp` and a `date`, whose values are read as local time too.
 */
function writeDate(date: Date): string {
  // At the far ends of what a Date can hold local time may be beyond them.
  const isFar = Math.abs(date.getTime()) > FURTHEST_MILLIS;
  const offset = isFar ? 0 : -date.getTimezoneOffset();
  // Shifted by whole minutes and not by local parts: old offsets have seconds, which these lack.
  const local = new Date(date.getTime() + offset * 60_000);
  const digits = local.toISOString().slice(0, -1);
  const [hours, minutes] = [Math.abs(offset) / 60, Math.abs(offset) % 60];
  const zone = `${offset < 0 ? '-' : '+'}${twoDigits(hours)}:${twoDigits(minutes)}`;
  // PostgreSQL reads neither signed years nor the year 0 of ISO 8601.
  const year = local.getUTCFullYear();
  if (year > 0) return digits.replace(/^\+0*/, '') + zone;
  return `${digits.replace(/^(-\d{6}|0000)/, String(1 - year).padStart(4, '0'))}${zone} BC`;
}

function twoDigits(value: number): string {
  return String(Math.floor(value)).padStart(2, '0');
}

function writeArray(items: readonly unknown[], place: string): string {
  const texts = Array.from(items, (item) => {
    const value = encode(item, `an element of ${place}`);
    if (value === null) return 'NULL';
    if (value instanceof ArrayValue) return value.toString();
    return `"${String(value).replace(/[\\"]/g, '\\$&')}"`;
  });
  return `{${texts.join(',')}}`;
}

function cannotBeSent(place: string, what: string, cause?: unknown): EvdbError {
  return new EvdbError('USAGE', `${place} is ${what}, which has no value in SQL`, {
    hint: 'Pass null for a missing value, and text, numbers, booleans, dates, bytes, arrays or plain objects else.',
    cause,
  });
}
