import type { ObjectKey } from '../catalog/catalog.ts';
import { commandsOf } from '../sql/list-items.ts';
import { asKind } from '../sql/tree.ts';
import type { StatementInContext } from './rule.ts';
import { isFresh } from './subject.ts';

interface Touched {
  relation: ObjectKey;
  subject?: string;
  detail?: string;
  isCertain: boolean;
  command?: number;
  offset?: number;
}

/** What one subcommand does for one reason to one table, or to all partitions of one. */
export type TouchedGroup<T extends Touched> = T & { relations: ObjectKey[] };

/**
 * The rewrites, scans or builds with one of some reasons, without tables that nobody else can be
 * using, and those of one subcommand and subject taken together.
 */
export function touchedFor<T extends Touched & { reason: string }>(
  at: StatementInContext,
  all: readonly T[],
  reasons: readonly T['reason'][],
): TouchedGroup<T>[] {
  const groups = new Map<string, TouchedGroup<T>>();
  for (const one of all) {
    if (!reasons.includes(one.reason) || isFresh(at, one.relation)) continue;
    const key = JSON.stringify([one.command, one.reason, one.subject]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { ...one, relations: [one.relation] });
    else if (!group.relations.includes(one.relation)) {
      group.relations.push(one.relation);
      group.isCertain &&= one.isCertain;
    }
  }
  return [...groups.values()];
}

/** Where it is written: its own place, else that of its subcommand. */
export function placeOf(
  at: StatementInContext,
  { offset, command }: { offset?: number; command?: number },
): number {
  if (offset !== undefined) return offset;
  const alter = asKind(at.tree, 'AlterTableStmt');
  if (alter === undefined || command === undefined) return 0;
  return commandsOf(alter, at.text)[command]?.offset ?? 0;
}
