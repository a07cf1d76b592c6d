import type { Row } from '../../connection/session.ts';
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts';
import type { LedgerKey } from './ledger.ts';

/** What the catalogs of a target schema look like, and looked like when they were last known to be right. */
export interface Fingerprints {
  now: string;
  /** Null where none was ever recorded. */
  recorded: string | null;
  /** Whether there is nothing in the schema. */
  isEmpty: boolean;
}

/** The session that asks and writes; the observer of a runner is one. */
interface Asks {
  run(text: string): Promise<Row[]>;
}

/** Reads both in one query. */
export async function readFingerprints(session: Asks, key: LedgerKey): Promise<Fingerprints> {
  const [row] = await session.run(`
    select
        ${fingerprintSql(key)} as "now",
        (
            select f.fingerprint
            from ${quoteIdent(key.ledgerSchema)}.structure_fingerprint as f
            where f.target_schema = ${quoteLiteral(key.targetSchema)}
        ) as "recorded",
        not exists (${membersSql(key)}) as "isEmpty"`);
  return row as unknown as Fingerprints;
}

/** Says that the structure as it is now is what the applied migrations made. */
export async function recordFingerprint(session: Asks, key: LedgerKey): Promise<void> {
  await session.run(`
    insert into ${quoteIdent(key.ledgerSchema)}.structure_fingerprint (target_schema, fingerprint)
    values (${quoteLiteral(key.targetSchema)}, ${fingerprintSql(key)})
    on conflict on constraint structure_fingerprint_pkey do update
    set fingerprint = excluded.fingerprint, recorded_at = pg_catalog.clock_timestamp()`);
}

export function fingerprintDdl(s: string): string {
  return `
create table if not exists ${s}.structure_fingerprint (
    target_schema text not null,
    fingerprint text not null,
    recorded_at timestamptz not null default pg_catalog.clock_timestamp(),
    constraint structure_fingerprint_pkey primary key (target_schema)
);
comment on table ${s}.structure_fingerprint is 'The catalogs of a target schema as they were when it was last known to be what its applied migrations made; written where checkDrift is on';
comment on column ${s}.structure_fingerprint.fingerprint is 'Over the oid and xmin of catalog rows, so that a restored database has another one';`;
}

/**
 * Objects of the schema: the catalog, and the column that says the schema. Whoever changes an object
 * writes its row anew, so its xmin tells; that of a table also changes when it is truncated or
 * rewritten, so of `pg_class` the columns are taken instead. What autovacuum and `analyze` write
 * there, they write in place.
 */
export const OBJECTS = {
  pg_type: 'typnamespace',
  pg_proc: 'pronamespace',
  pg_statistic_ext: 'stxnamespace',
  pg_collation: 'collnamespace',
  pg_conversion: 'connamespace',
  pg_operator: 'oprnamespace',
  pg_opclass: 'opcnamespace',
  pg_opfamily: 'opfnamespace',
  pg_ts_config: 'cfgnamespace',
  pg_ts_dict: 'dictnamespace',
  pg_ts_parser: 'prsnamespace',
  pg_ts_template: 'tmplnamespace',
} as const;

/** What belongs to objects of the schema. */
interface Part {
  catalog: string;
  /** The column that says to which object. */
  column: string;
  owner: string;
  condition?: string;
  /** Whether it can have a comment of its own. */
  hasComment?: true;
}

const OF_TABLES: readonly Omit<Part, 'owner'>[] = [
  { catalog: 'pg_attribute', column: 'attrelid', condition: 'p.attnum > 0' },
  { catalog: 'pg_attrdef', column: 'adrelid' },
  { catalog: 'pg_index', column: 'indexrelid' },
  // those of partitions follow from those of their table
  {
    catalog: 'pg_constraint',
    column: 'conrelid',
    condition: 'p.conparentid = 0',
    hasComment: true,
  },
  { catalog: 'pg_trigger', column: 'tgrelid', condition: 'not p.tgisinternal', hasComment: true },
  { catalog: 'pg_rewrite', column: 'ev_class', hasComment: true },
  { catalog: 'pg_policy', column: 'polrelid', hasComment: true },
  { catalog: 'pg_inherits', column: 'inhrelid' },
  { catalog: 'pg_partitioned_table', column: 'partrelid' },
  { catalog: 'pg_sequence', column: 'seqrelid' },
  { catalog: 'pg_foreign_table', column: 'ftrelid' },
  { catalog: 'pg_publication_rel', column: 'prrelid' },
];

export const PARTS: readonly Part[] = [
  ...OF_TABLES.map((part) => ({ ...part, owner: 'pg_class' })),
  { catalog: 'pg_constraint', column: 'contypid', owner: 'pg_type', hasComment: true },
  { catalog: 'pg_enum', column: 'enumtypid', owner: 'pg_type' },
  { catalog: 'pg_range', column: 'rngtypid', owner: 'pg_type' },
  { catalog: 'pg_cast', column: 'castsource', owner: 'pg_type' },
  { catalog: 'pg_cast', column: 'casttarget', owner: 'pg_type' },
  { catalog: 'pg_aggregate', column: 'aggfnoid', owner: 'pg_proc' },
  { catalog: 'pg_amop', column: 'amopfamily', owner: 'pg_opfamily' },
  { catalog: 'pg_amproc', column: 'amprocfamily', owner: 'pg_opfamily' },
  { catalog: 'pg_ts_config_map', column: 'mapcfg', owner: 'pg_ts_config' },
];

/**
 * Of the whole database, as far as it may concern the schema; a change for another schema makes one
 * comparison more.
 */
const WHOLE = ['pg_publication', 'pg_default_acl', 'pg_event_trigger'] as const;

/** A digest of the catalogs and of what the ledger says is applied; one expression. */
function fingerprintSql(key: LedgerKey): string {
  const { ledgerSchema, targetSchema } = key;
  const parts = PARTS.map(partSql);
  const wholes = WHOLE.map(
    (catalog) =>
      `select pg_catalog.concat_ws(' ', '${catalog}', p.oid, p.xmin) from pg_catalog.${catalog} as p`,
  );
  return `(
    with members as materialized (${membersSql(key)}),
    facts as (
        select pg_catalog.concat_ws(' ', catalog, objid, fact) as fact from members
        union all
        ${[...parts, ...wholes].join('\n        union all\n        ')}
        union all
        select pg_catalog.concat_ws(' ', 'comment', d.classoid, d.objoid, d.objsubid, d.xmin)
        from members as m
        join pg_catalog.pg_description as d
            on d.objoid = m.objid and d.classoid = pg_catalog.to_regclass('pg_catalog.' || m.catalog)
        union all
        select pg_catalog.concat_ws(' ', 'schema', n.oid, n.nspacl)
        from pg_catalog.pg_namespace as n
        where n.nspname = ${quoteLiteral(targetSchema)}
        union all
        select pg_catalog.concat_ws(' ', 'applied', a.version, a.state, a.token_checksum)
        from ${quoteIdent(ledgerSchema)}.migration as a
        where a.target_schema = ${quoteLiteral(targetSchema)}
        union all
        select pg_catalog.concat_ws(' ', 'repeatable', a.name, a.token_checksum)
        from ${quoteIdent(ledgerSchema)}.repeatable as a
        where a.target_schema = ${quoteLiteral(targetSchema)}
    )
    select pg_catalog.md5(pg_catalog.string_agg(f.fact, ',' order by f.fact collate "C"))
    from facts as f
)`;
}

function partSql({ catalog, column, owner, condition, hasComment }: Part): string {
  const comment = hasComment
    ? `, (select d.xmin from pg_catalog.pg_description as d where d.objoid = p.oid and d.classoid = 'pg_catalog.${catalog}'::pg_catalog.regclass)`
    : '';
  return `select pg_catalog.concat_ws(' ', '${catalog}', m.objid, p.xmin${comment})
        from members as m
        join pg_catalog.${catalog} as p on p.${column} = m.objid
        where m.catalog = '${owner}'${condition === undefined ? '' : ` and ${condition}`}`;
}

/** Without partitions, which maintenance makes and drops, and without what an extension brought. */
function membersSql({ targetSchema }: LedgerKey): string {
  const namespace = `(select n.oid from pg_catalog.pg_namespace as n where n.nspname = ${quoteLiteral(targetSchema)})`;
  const others = Object.entries(OBJECTS).map(
    ([catalog, column]) => `
        select '${catalog}', o.oid, o.xmin::text
        from pg_catalog.${catalog} as o
        where o.${column} = ${namespace}
            ${catalog === 'pg_type' ? OWN_TYPE : ''}and ${notOfExtension(catalog)}`,
  );
  return `
        select
            'pg_class' as catalog,
            o.oid as objid,
            pg_catalog.concat_ws(
                ' ', o.relname, o.relkind, o.relpersistence, o.relam, o.reltablespace, o.reloftype,
                o.relrowsecurity, o.relforcerowsecurity, o.relreplident, o.reloptions, o.relacl
            ) as fact
        from pg_catalog.pg_class as o
        where o.relnamespace = ${namespace}
            and not o.relispartition
            and not exists (
                select
                from pg_catalog.pg_index as i
                join pg_catalog.pg_class as t on t.oid = i.indrelid
                where i.indexrelid = o.oid and t.relispartition
            )
            and ${notOfExtension('pg_class')}
        union all${others.join('\n        union all')}`;
}

/** Every table has a type, and every type an array. */
const OWN_TYPE = `and o.typcategory <> 'A'
            and not exists (
                select
                from pg_catalog.pg_class as c
                where c.oid = o.typrelid and c.relkind <> 'c'
            )
            `;

function notOfExtension(catalog: string): string {
  return `not exists (
                select
                from pg_catalog.pg_depend as d
                where d.classid = 'pg_catalog.${catalog}'::pg_catalog.regclass and d.objid = o.oid and d.deptype = 'e'
            )`;
}
