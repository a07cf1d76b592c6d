import { renderDistribution } from '../../citus/distribution.ts';
import { objectKeyOf, type StructureObject } from '../structure.ts';
import { SECTION_DISTRIBUTION, type Unit } from './unit.ts';

/** What spreads the tables of a Citus cluster, those first that others are colocated with. */
export function distributionUnits(objects: readonly StructureObject[]): Unit[] {
  const units = objects.flatMap((object): Unit[] => {
    const words = object.parts.distribution;
    const found = words === undefined ? undefined : renderDistribution(object.name, words);
    if (found === undefined) return [];
    const { statement, leader } = found;
    return [
      {
        keys: [keyOf(object.name)],
        section: SECTION_DISTRIBUTION,
        name: `${words === 'tenant' ? 2 : words === 'reference' ? 0 : 1} ${object.name}`,
        needs: [objectKeyOf(object), ...(leader === undefined ? [] : [keyOf(leader)])],
        statements: [statement],
      },
    ];
  });
  if (units.length === 0 || !hasTriggers(objects)) return units;
  return [...units, ALLOW_TRIGGERS];
}

const keyOf = (name: string) => `distribution of ${name}`;

/** Citus refuses a trigger on a distributed table without it. */
const ALLOW_TRIGGERS: Unit = {
  keys: [],
  section: SECTION_DISTRIBUTION,
  name: '',
  needs: [],
  statements: ['set citus.enable_unsafe_triggers = on;'],
};

function hasTriggers(objects: readonly StructureObject[]): boolean {
  const spread = new Set(
    objects.filter(({ parts }) => parts.distribution !== undefined).map(({ name }) => name),
  );
  const isSpread = (of: string) => {
    const name = of.slice(of.indexOf(' ') + 1);
    return spread.has(name) || spread.has(name.slice(0, name.lastIndexOf('.')));
  };
  return objects.some(({ kind, of }) => kind === 'trigger' && of !== undefined && isSpread(of));
}
