import type { ColumnDef, Constraint } from '@pgsql/types';
import type { Catalog } from '../catalog/catalog.ts';
import { columnTypeOf, serialBase } from '../catalog/column-type.ts';
import { generationOf, inlineConstraint, inlineConstraints } from '../catalog/replay/column.ts';
import { advance, isPunctuation, openCursor } from '../sql/lexer.ts';
import { offsetOfByte } from '../sql/position.ts';
import { asKind, stringsOf } from '../sql/tree.ts';
import { addedConstraint } from './constraint.ts';
import {
  type AlterCommand,
  lock,
  offsetOfConstraint,
  rewrite,
  scan,
  touchedTables,
} from './draft.ts';
import type { Rewrite } from './impact.ts';
import { sequencesIn, volatilityOf } from './volatility.ts';

/** `add column`: it rewrites where each row needs a value of its own, and reads for its constraints. */
export function impactOfAddColumn(at: AlterCommand): void {
  const definition = asKind(at.command.def, 'ColumnDef');
  const { relation } = at.target;
  const name = definition?.colname ?? '';
  // A typed table gets the attributes of its type as they are.
  if (definition === undefined || relation?.kind === 'composite type') return;
  if (at.command.missing_ok && relation?.columns.has(name)) return;
  const cause = causeOfRewrite(at, definition);
  if (cause !== undefined) {
    for (const place of touchedTables(at)) {
      rewrite(at.draft, { ...place, ...cause, subject: name });
    }
    const value = inlineConstraint(definition, 'CONSTR_DEFAULT')?.raw_expr;
    for (const key of sequencesIn(at.draft.catalog, value)) {
      lock(at.draft, key, 'RowExclusive', 'sequence');
    }
  }
  for (const { constraint, isUnenforced } of inlineConstraints(definition)) {
    if (constraint.contype === 'CONSTR_NOTNULL') {
      scanForNulls(at, definition, constraint);
      continue;
    }
    addedConstraint(at, constraint, { column: name, isUnenforced });
  }
}

/**
 * The rows are asked where each gets null, which the first row then is refused for, and where the column
 * is virtual: that has no values of its own.
 */
function scanForNulls(at: AlterCommand, definition: ColumnDef, constraint: Constraint): void {
  const isVirtual = generationOf(definition) === 'virtual';
  if (!isVirtual && !isFilledWithNull(at, definition)) return;
  const reason = isVirtual ? 'not null constraint' : 'not null of a new column';
  const offset = offsetOfConstraint(at, constraint);
  for (const place of touchedTables(at, { offset })) {
    const subject = definition.colname ?? '';
    scan(at.draft, { ...place, reason, subject, isCertain: true });
  }
}

function isFilledWithNull({ draft }: AlterCommand, definition: ColumnDef): boolean {
  const { catalog } = draft;
  const domain = catalog.types.get(columnTypeOf(catalog, definition.typeName).name);
  return (
    generationOf(definition) === undefined &&
    serialBase(definition.typeName) === undefined &&
    inlineConstraint(definition, 'CONSTR_DEFAULT') === undefined &&
    domain?.default === undefined
  );
}

type Cause = Pick<Rewrite, 'reason' | 'detail' | 'isCertain'>;

function causeOfRewrite(at: AlterCommand, definition: ColumnDef): Cause | undefined {
  if (serialBase(definition.typeName) !== undefined) {
    const written = stringsOf(definition.typeName?.names).at(-1) ?? 'serial';
    return { reason: 'serial', detail: written, isCertain: true };
  }
  const generated = generationOf(definition);
  if (generated === 'virtual') return undefined;
  if (generated === 'identity') return { reason: 'identity', isCertain: true };
  if (generated === 'stored') return { reason: 'stored generated column', isCertain: true };
  return causeInDomain(at, definition) ?? causeInDefault(at, definition);
}

function causeInDomain({ draft }: AlterCommand, { typeName }: ColumnDef): Cause | undefined {
  const type = columnTypeOf(draft.catalog, typeName);
  if (type.isArray) return undefined;
  const known = knowledgeOfType(draft.catalog, type.name);
  if (known === 'unconstrained') return undefined;
  return {
    reason: 'constrained domain',
    detail: type.name,
    isCertain: known === 'constrained domain',
  };
}

function causeInDefault({ draft }: AlterCommand, definition: ColumnDef): Cause | undefined {
  const written = inlineConstraint(definition, 'CONSTR_DEFAULT');
  const domain = draft.catalog.types.get(columnTypeOf(draft.catalog, definition.typeName).name);
  const value = written?.raw_expr ?? domain?.default;
  const volatility = volatilityOf(draft.catalog, value);
  if (volatility === 'constant') return undefined;
  return {
    reason: 'volatile default',
    detail: written ? `default ${shown(draft.text, written)}` : `default of ${domain?.key}`,
    isCertain: volatility === 'volatile',
  };
}

function shown(text: string, { location }: Constraint): string {
  return sourceOfDefault(text, offsetOfByte(text, location ?? 0));
}

/** Whether a column of a type has to be checked for every row. */
function knowledgeOfType(
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

const MAX_SHOWN = 60;

/**
 * The expression behind `default`, as it is written, on one line and not too long.
 *
 * @param at where the word `default` starts, in UTF-16 units
 */
function sourceOfDefault(text: string, at: number): string {
  const cursor = openCursor(text);
  cursor.end = at;
  advance(cursor);
  const start = cursor.end;
  let end = start;
  let depth = 0;
  while (advance(cursor)) {
    if (isPunctuation(cursor, '(') || isPunctuation(cursor, '[')) depth++;
    else if (isPunctuation(cursor, ')') || isPunctuation(cursor, ']')) depth--;
    const word = text.slice(cursor.start, cursor.end).toLowerCase();
    const isEnd = cursor.kind === 'word' ? ENDS.has(word) : word === ',' || word === ';';
    if (depth < 0 || (depth === 0 && isEnd && end > start)) break;
    end = cursor.end;
  }
  const source = text.slice(start, end).replace(/\s+/g, ' ').trim();
  return source.length > MAX_SHOWN ? `${source.slice(0, MAX_SHOWN)}…` : source;
}

/** What can follow a default beside a column. */
const ENDS = new Set([
  'not',
  'null',
  'check',
  'references',
  'unique',
  'primary',
  'constraint',
  'generated',
  'collate',
  'deferrable',
  'initially',
]);
