import type { Catalog } from '../catalog/catalog.ts';

/** Whether a column of a type has to be checked for every row. */
export function knowledgeOfType(
  { types, relations, isComplete }: Catalog,
  name: string,
): 'unconstrained' | 'constrained domain' | 'unknown' {
  const type = types.get(name);
  if (type !== undefined) return type.isConstrained ? 'constrained domain' : 'unconstrained';
  const last = name.slice(name.lastIndexOf('.') + 1);
  const isPlain = relations.has(name) || BUILTIN.has(last) || EXTENSION.has(last);
  return isPlain || isComplete ? 'unconstrained' : 'unknown';
}

const BUILTIN = new Set(
  `bit bool box bpchar bytea char cidr circle date datemultirange daterange float4 float8 inet int2
  int4 int4multirange int4range int8 int8multirange int8range interval json jsonb jsonpath line lseg
  macaddr macaddr8 money name numeric nummultirange numrange oid path pg_lsn pg_snapshot point polygon
  refcursor regclass regcollation regconfig regdictionary regnamespace regoper regoperator regproc
  regprocedure regrole regtype text tid time timestamp timestamptz timetz tsmultirange tsquery tsrange
  tstzmultirange tstzrange tsvector txid_snapshot uuid varbit varchar xid xid8 xml unknown`.split(
    /\s+/,
  ),
);

/** Types of well-known extensions, none of them a domain. */
const EXTENSION = new Set(
  `box2d box3d citext cube ean13 geography geometry halfvec hstore isbn isbn13 issn lquery ltree
  ltxtquery raster seg semver sparsevec topogeometry upc uri vector`.split(/\s+/),
);
