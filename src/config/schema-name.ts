import { EvdbError } from '../errors.ts';

/** PostgreSQL cuts longer names off without an error. */
const LONGEST_NAME_BYTES = 63;

function invalidName(source: string, problem: string, hint: string): EvdbError {
  return new EvdbError('CONFIG_INVALID', `${source}: ${problem}`, { hint });
}

/**
 * Checks that a name can be that of a PostgreSQL schema.
 *
 * @param name as it stands in the catalog, without quotes
 * @param source where the name comes from, for the error message
 * @throws EvdbError `CONFIG_INVALID` where it is empty, too long or holds a NUL
 */
function checkIdentifier(name: string, source: string): string {
  if (name.trim() === '' || name.includes('\0')) {
    throw invalidName(source, 'the name of a schema is empty', 'Name the schema, such as public.');
  }
  const bytes = Buffer.byteLength(name);
  if (bytes > LONGEST_NAME_BYTES) {
    const hint = `PostgreSQL's names have at most ${LONGEST_NAME_BYTES} bytes.`;
    throw invalidName(source, `the name "${name}" is too long (${bytes} bytes)`, hint);
  }
  return name;
}

/**
 * Checks that a schema may be the target of migrations or hold the ledger: those of
 * PostgreSQL itself may not.
 *
 * @throws EvdbError `CONFIG_INVALID`
 */
export function checkOwnSchema(name: string, source: string): string {
  checkIdentifier(name, source);
  if (/^pg_/.test(name) || name === 'information_schema') {
    const hint = 'Choose a name that does not begin with pg_ and is not information_schema.';
    throw invalidName(source, `the schema "${name}" belongs to PostgreSQL itself`, hint);
  }
  return name;
}

/**
 * Checks one schema of the search path that the configuration adds.
 *
 * @throws EvdbError `CONFIG_INVALID` for `$user`, which differs from role to role, and for
 *   `pg_temp`, which always stands last
 */
export function checkSearchPathEntry(name: string, source: string): string {
  checkIdentifier(name, source);
  if (name === '$user' || /^pg_temp/.test(name)) {
    const hint = 'evdb makes the search path the same for everyone: target, yours, pg_temp.';
    throw invalidName(source, `"${name}" cannot be a part of searchPath`, hint);
  }
  return name;
}
