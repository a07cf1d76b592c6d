import type { AlterTableCmd, Constraint } from '@pgsql/types';
import { offsetOfByte } from '../sql/position.ts';
import { type Draft, storedTables, type Target } from './draft.ts';
import type { LockMode } from './impact.ts';

/** One subcommand of an `alter table`, with all that its impact depends on. */
export interface AlterCommand {
  draft: Draft;
  target: Target;
  command: AlterTableCmd;
  /** From 0. */
  index: number;
  /** In UTF-16 units. */
  offset: number;
  /** What the statement takes on its table. */
  mode: LockMode;
  isOnly: boolean;
  /** Constraints that the statement drops, which it does first: they prove nothing. */
  dropped: ReadonlySet<string>;
}

/** Where and in which subcommand something is, for each of the tables that hold the rows. */
export function touchedTables(
  at: AlterCommand,
  { offset = at.offset, isOnly = at.isOnly }: { offset?: number; isOnly?: boolean } = {},
) {
  return storedTables(at.draft, at.target, isOnly).map(({ key }) => ({
    relation: key,
    command: at.index,
    offset,
  }));
}

/** Where a constraint is written; the subcommand where the tree does not say. */
export function offsetOfConstraint(at: AlterCommand, { location }: Constraint): number {
  return location === undefined || location <= 0
    ? at.offset
    : offsetOfByte(at.draft.text, location);
}
