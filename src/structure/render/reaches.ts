import { objectKeyOf, type StructureObject } from '../structure.ts';
import type { Reaches } from './tables.ts';

/**
 * Tells whether an object needs another one, over however many steps. What stands in the
 * parentheses of a table or domain is made with it, so who needs a table needs all of that.
 */
export function createReaches(objects: readonly StructureObject[]): Reaches {
  const needs = new Map<string, string[]>();
  const holders = new Map<string, string>();
  for (const object of objects) {
    if (object.kind === 'column' && object.dependsOn.length === 0) continue;
    const isInside = object.kind === 'column' || object.kind === 'constraint';
    const key = objectKeyOf(object);
    const holder = isInside ? (object.of ?? key) : key;
    if (isInside) holders.set(key, holder);
    if (object.parts.definition?.startsWith('FOREIGN KEY')) continue;
    const list = needs.get(holder);
    if (list) list.push(...object.dependsOn);
    else needs.set(holder, [...object.dependsOn]);
  }
  return (from, to) => {
    if (from.dependsOn.length === 0) return false;
    const target = objectKeyOf(to);
    const seen = new Set<string>();
    const waiting = from.dependsOn.map((key) => holders.get(key) ?? key);
    for (let key = waiting.pop(); key !== undefined; key = waiting.pop()) {
      if (key === target) return true;
      if (seen.has(key)) continue;
      seen.add(key);
      waiting.push(...(needs.get(key) ?? []).map((one) => holders.get(one) ?? one));
    }
    return false;
  };
}
