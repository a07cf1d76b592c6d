import type { QueryContext } from '../scope.ts';
import type { StructureKind } from '../structure.ts';

/**
 * Reads the objects of one kind, or of a few that share a catalog. A row has these columns, and every
 * other one is a part of the object, null where it is as PostgreSQL makes it by default:
 *
 * - `oid`, and `sub` for a column: what others refer to it by
 * - `kind`, where the query does not say it for all
 * - `own`; `name`, where it is not made from `own` and what the object is a part of
 * - `ofOid`, of the catalog `ofCatalog`: what it is a part of
 * - `ownerOid`
 * - `aliases`: further `catalog:oid` that mean the object, separated by spaces
 */
export interface KindQuery {
  kind?: StructureKind;
  catalog: number;
  /** Default: the catalog of relations. */
  ofCatalog?: number;
  sql(context: QueryContext): string;
}
