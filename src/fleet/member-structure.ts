import { hash } from 'node:crypto';
import type { ConnectionOptions } from '../connection/options.ts';
import { quoteIdent } from '../sql/quote.ts';
import { readDatabaseStructure } from '../structure/read/structure.ts';
import { type Structure, withoutPartitions } from '../structure/structure.ts';
import { mapStrings } from '../text/harmless.ts';

/** The structure of a member, as it would be in a schema of any name. */
export interface MemberStructure extends Pick<Structure, 'objects'> {
  /** The same for the same structure, in whichever schema it is. */
  fingerprint: string;
}

/** Stands for the member's own schema: no identifier of PostgreSQL begins so without quotes. */
export const OWN_SCHEMA = '~';

/**
 * Reads the structure of a member's schema, in words that do not name the schema.
 *
 * @throws {EvdbError} those of `readDatabaseStructure`
 * @example
 * const { fingerprint } = await readMemberStructure(connection, { schema: 'tenant_a' });
 */
export async function readMemberStructure(
  connection: ConnectionOptions,
  { schema, signal }: { schema: string; signal?: AbortSignal | undefined },
): Promise<MemberStructure> {
  const structure = await readDatabaseStructure(connection, { schemas: [schema], signal });
  const { objects } = withoutPartitions(structure);
  const own = objects
    .map((object) => mapStrings(object, (text) => withoutSchema(text, schema)))
    .sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  return { objects: own, fingerprint: hash('sha256', JSON.stringify(own), 'hex').slice(0, 16) };
}

function keyOf({ kind, name }: Structure['objects'][number]): string {
  return `${kind}\0${name}`;
}

/** Qualifies nothing with the schema, also in the search path that a function keeps. */
function withoutSchema(text: string, schema: string): string {
  if (text === schema || text === quoteIdent(schema)) return OWN_SCHEMA;
  const escaped = schema.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const name = `(?<![\\w$"])(?:"${escaped}"|${escaped})`;
  return text
    .replace(new RegExp(`${name}(?=\\.)`, 'g'), OWN_SCHEMA)
    .replace(/search_path.*/gi, (path) =>
      path.replace(new RegExp(`(?<![\\w$])["']?${escaped}["']?(?![\\w$])`, 'g'), OWN_SCHEMA),
    );
}
