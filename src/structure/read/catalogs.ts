import type { QueryContext, StructureKind } from '../structure.ts';

/** The oids of the system catalogs, which are the same on every server. */
export const CATALOG = {
  accessMethod: 2601,
  amop: 2602,
  amproc: 2603,
  attrdef: 2604,
  cast: 2605,
  class: 1259,
  collation: 3456,
  constraint: 2606,
  conversion: 2607,
  defaultAcl: 826,
  eventTrigger: 3466,
  extension: 3079,
  foreignDataWrapper: 2328,
  foreignServer: 1417,
  language: 2612,
  namespace: 2615,
  opclass: 2616,
  operator: 2617,
  opfamily: 2753,
  policy: 3256,
  proc: 1255,
  publication: 6104,
  rewrite: 2618,
  statisticExt: 3381,
  transform: 3576,
  trigger: 2620,
  tsConfig: 3602,
  tsDict: 3600,
  tsParser: 3601,
  tsTemplate: 3764,
  type: 1247,
  userMapping: 1418,
} as const;

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
