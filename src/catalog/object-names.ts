import { type Catalog, type ObjectKey, objectKey } from './catalog.ts';

/** What PostgreSQL cuts names to, in bytes of UTF-8. */
const MAX_NAME_BYTES = 63;

/**
 * The name that PostgreSQL makes of a table, columns and a label, such as `t_a_key`: where it is too
 * long the longer of the first two parts is cut.
 */
function makeObjectName(first: string, second: string, label: string): string {
  // A name of one-byte characters that fits is most of them all.
  const mostBytes = 3 * (first.length + second.length + label.length) + 2;
  if (mostBytes <= MAX_NAME_BYTES) return joinParts(first, second, label);
  const overhead = (second === '' ? 0 : 1) + (label === '' ? 0 : 1 + Buffer.byteLength(label));
  const available = MAX_NAME_BYTES - overhead;
  let firstBytes = Buffer.byteLength(first);
  let secondBytes = Buffer.byteLength(second);
  while (firstBytes + secondBytes > available) {
    if (firstBytes > secondBytes) firstBytes--;
    else secondBytes--;
  }
  return joinParts(cutBytes(first, firstBytes), cutBytes(second, secondBytes), label);
}

function joinParts(first: string, second: string, label: string): string {
  const name = second === '' ? first : `${first}_${second}`;
  return label === '' ? name : `${name}_${label}`;
}

/** A name as PostgreSQL keeps it: at most 63 bytes, whole characters only. */
export function cutName(name: string): string {
  return cutBytes(name, MAX_NAME_BYTES);
}

function cutBytes(text: string, maxBytes: number): string {
  if (text.length * 3 <= maxBytes || Buffer.byteLength(text) <= maxBytes) return text;
  let bytes = 0;
  let kept = '';
  for (const character of text) {
    bytes += Buffer.byteLength(character);
    if (bytes > maxBytes) break;
    kept += character;
  }
  return kept;
}

/** The first of `t_a_key`, `t_a_key1`, … that no relation or index of the schema has. */
export function chooseRelationName(
  catalog: Catalog,
  schema: string,
  { first, second, label }: { first: string; second: string; label: string },
): { name: string; key: ObjectKey } {
  for (let tries = 0; ; tries++) {
    const name = makeObjectName(first, second, tries === 0 ? label : `${label}${tries}`);
    const key = objectKey(schema, name);
    if (!catalog.relations.has(key) && !catalog.indexes.has(key)) return { name, key };
  }
}

/** The same among the constraints of a table. */
export function chooseConstraintName(
  taken: ReadonlyMap<string, unknown>,
  { first, second, label }: { first: string; second: string; label: string },
): string {
  for (let tries = 0; ; tries++) {
    const name = makeObjectName(first, second, tries === 0 ? label : `${label}${tries}`);
    if (!taken.has(name)) return name;
  }
}

/** The part of an index's or key's name that comes from its columns. */
export function joinColumnNames(columns: readonly string[]): string {
  return cutName(columns.join('_'));
}

/** Numbers repeated column names as an index does: `lower`, `lower1`. */
export function uniqueColumnNames(names: readonly string[]): string[] {
  const taken = new Set<string>();
  return names.map((name) => {
    let unique = name;
    for (let n = 1; taken.has(unique); n++) {
      unique = cutBytes(name, MAX_NAME_BYTES - String(n).length) + n;
    }
    taken.add(unique);
    return unique;
  });
}
