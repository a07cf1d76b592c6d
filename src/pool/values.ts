import { parse as parseArray } from 'postgres-array';
import postgresDate from 'postgres-date';
import type { Codec } from '../connection/session.ts';
import { TypedValue } from './parameters.ts';

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

/**
 * How values of the server become values of JavaScript, as applications that come from `pg` know
 * it: bigint and numeric stay text because a number would round them, and timestamps become Date.
 * A date stays text too (`2026-11-22`): as a Date it would move by a day in half of the time zones.
 */
const SCALARS: [oid: number, arrayOid: number, parse: Parse][] = [
  [16, 1000, (text) => text === 't'],
  [17, 1001, parseBytea],
  [21, 1005, Number],
  [23, 1007, Number],
  [26, 1028, Number],
  [700, 1021, Number],
  [701, 1022, Number],
  [114, 199, (text) => JSON.parse(text)],
  [3802, 3807, (text) => JSON.parse(text)],
  [1114, 1115, parseDate],
  [1184, 1185, parseDate],
];

/** Types whose text is their value, but whose arrays become arrays. */
const TEXTS: [oid: number, arrayOid: number][] = [
  [18, 1002],
  [19, 1003],
  [20, 1016],
  [25, 1009],
  [650, 651],
  [829, 1040],
  [869, 1041],
  [1042, 1014],
  [1043, 1015],
  [1082, 1182],
  [1083, 1183],
  [1186, 1187],
  [1266, 1270],
  [1700, 1231],
  [2950, 2951],
];

/** Arrays of further types that every PostgreSQL has, whose elements stay text: money, ranges, … */
const RARE_ARRAYS = [
  ...[143, 271, 775, 791, 1008, 1011, 1017, 1561, 1563, 2210, 2211, 3221, 3643, 3645, 3905, 3907],
  ...[3909, 3911, 3913, 3927, 4073, 6150, 6151, 6152, 6153, 6155, 6157],
];

/** The one type whose arrays have another delimiter, because its values hold commas. */
const BOX_ARRAY = 1020;

/** No value of it holds a quote, so that each can stand in quotes. */
const parseBoxes: Parse = (text) =>
  parseArray(text.replace(/\([^;{}]*\)/g, '"$&"').replaceAll(';', ','));

const JSON_TYPES = new Set([114, 3802]);

/**
 * The codec of the pool. Values are written by their type in JavaScript (`encodeParameters`), and
 * what is text stays as it is: the driver may write the same value twice, when it prepares a
 * statement again, and its own writers would turn `true` into `false` and JSON into a string then.
 */
export const APPLICATION_CODEC: Codec = Object.fromEntries([
  ...SCALARS.map(([oid, , parse]) => codecEntry(oid, parse)),
  ...TEXTS.map(([oid]) => codecEntry(oid, (text) => text)),
  ...SCALARS.map(([, arrayOid, parse]) => codecEntry(arrayOid, (text) => parseArray(text, parse))),
  ...[...TEXTS.map(([, arrayOid]) => arrayOid), ...RARE_ARRAYS].map((arrayOid) =>
    codecEntry(arrayOid, (text) => parseArray(text)),
  ),
  codecEntry(BOX_ARRAY, parseBoxes),
]);

function codecEntry(oid: number, parse: Parse): [string, Codec[string]] {
  const serialize = JSON_TYPES.has(oid) ? writeJson : String;
  return [`evdb_${oid}`, { to: oid, from: [oid], serialize, parse }];
}

/** Only the server knows that an array is meant as JSON and not as an array. */
function writeJson(value: unknown): string {
  return value instanceof TypedValue ? value.json() : String(value);
}
