/** What objects a database has, in the words of PostgreSQL's statements and in the order of a structure. */
export const STRUCTURE_KINDS = [
  'schema',
  'extension',
  'language',
  'access method',
  'foreign data wrapper',
  'server',
  'user mapping',
  'collation',
  'conversion',
  'enum',
  'domain',
  'composite type',
  'range',
  'base type',
  'text search parser',
  'text search template',
  'text search dictionary',
  'text search configuration',
  'function',
  'procedure',
  'aggregate',
  'operator',
  'operator family',
  'operator class',
  'cast',
  'transform',
  'sequence',
  'identity',
  'table',
  'foreign table',
  'column',
  'constraint',
  'index',
  'statistics',
  'view',
  'materialized view',
  'rule',
  'trigger',
  'policy',
  'event trigger',
  'publication',
  'default privileges',
  // on what PostgreSQL or an extension made
  'privileges',
] as const;

export type StructureKind = (typeof STRUCTURE_KINDS)[number];

/** One object, as plain data. */
export interface StructureObject {
  kind: StructureKind;
  /** Qualified and quoted where SQL needs it; unique among its kind, such as `users_pkey on public.users`. */
  name: string;
  /** Its own name, quoted where SQL needs it, such as `users_pkey`. */
  own: string;
  /** The key of the table, view or type that it is a part of. */
  of?: string;
  /**
   * What makes a difference, each under a word that says what it is, as SQL text: `type`, `default`,
   * `definition`, `comment`, `grants`. What is as PostgreSQL makes it by default is left out.
   */
  parts: Record<string, string>;
  /** Keys of the objects that must be there before, sorted. */
  dependsOn: string[];
}

/** What a database consists of, without its rows. */
export interface Structure {
  /** As in server_version_num. */
  serverVersion: number;
  /** Those that were asked for, sorted. */
  schemas: string[];
  /**
   * Schemas that have to be on the search path when it is made again, quoted where SQL needs it:
   * there are expressions whose text does not say which operator or function is meant.
   */
  searchPath: string[];
  /** Sorted by kind and name; columns stand in the order of their table. */
  objects: StructureObject[];
}

/** What an object is found by: `table public.users`. */
export function objectKeyOf({ kind, name }: Pick<StructureObject, 'kind' | 'name'>): string {
  return `${kind} ${name}`;
}

/** The structure without partitions and all that is theirs; pure. */
export function withoutPartitions(structure: Structure): Structure {
  const isPartition = ({ parts }: StructureObject) => parts['partition of'] !== undefined;
  const gone = new Set(structure.objects.filter(isPartition).map(objectKeyOf));
  return {
    ...structure,
    objects: structure.objects.filter(
      (object) => !gone.has(objectKeyOf(object)) && !gone.has(object.of ?? ''),
    ),
  };
}
