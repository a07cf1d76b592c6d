/** What is compared of a structure here. */
interface Compared {
  objects: {
    kind: string;
    own: string;
    name: string;
    parts: Record<string, string>;
  }[];
}

const EXTENSIONS = new Set(['citus', 'citus_columnar']);

/**
 * Two structures without what only a cluster can say, where one of them was made in a scratch database: its
 * extension, how many shards a table has that leaves it to the cluster, and which schemas became those of
 * tenants by a setting. Pure.
 *
 * @param isLive whether both were read from a cluster, and are given back as they are
 */
export function alignDistributions<T extends Compared>(from: T, to: T, isLive: boolean): [T, T] {
  if (isLive) return [from, to];
  return [aligned(from, to), aligned(to, from)];
}

function aligned<T extends Compared>(structure: T, other: T): T {
  const others = new Map(
    other.objects
      .filter(({ parts }) => parts.distribution !== undefined)
      .map(({ kind, name, parts }) => [`${kind} ${name}`, parts.distribution]),
  );
  const isCluster = ({ objects }: Compared) =>
    objects.some(({ parts }) => parts.distribution !== undefined);
  if (!isCluster(structure)) return structure;
  const objects = structure.objects
    .filter(({ kind, own }) => kind !== 'extension' || !EXTENSIONS.has(own))
    .map((object) => {
      const { distribution, ...parts } = object.parts;
      if (distribution === undefined) return object;
      const said = others.get(`${object.kind} ${object.name}`);
      if (object.kind === 'schema' && said === undefined) return { ...object, parts };
      const isOpen = said !== undefined && !COUNTED.test(said) && !said.includes(', with ');
      const told = isOpen ? distribution.replace(COUNTED, '') : distribution;
      return { ...object, parts: { ...object.parts, distribution: told } };
    });
  return { ...structure, objects };
}

const COUNTED = /, \d+ shards?$/;
