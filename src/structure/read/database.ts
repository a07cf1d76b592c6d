import {
  databaseWide,
  foreignOptionsSql,
  inScope,
  type QueryContext,
  qualified,
  schemaCondition,
  standsAlone,
} from '../structure.ts';
import { CATALOG, type KindQuery } from './catalogs.ts';

export const SCHEMAS: KindQuery = {
  kind: 'schema',
  catalog: CATALOG.namespace,
  sql: ({ scope }) => `
select
    n.oid,
    pg_catalog.quote_ident(n.nspname) as "name",
    pg_catalog.quote_ident(n.nspname) as "own",
    n.nspowner as "ownerOid"
from pg_catalog.pg_namespace as n
where ${schemaCondition(scope, 'n.nspname')} and ${standsAlone(CATALOG.namespace, 'n.oid')}`,
};

/** Objects of the schemas, of those kinds that make use of what extensions bring. */
const usersSql = (context: QueryContext) =>
  [
    `select oid from pg_catalog.pg_class where ${inScope(context, 'relnamespace')}`,
    `select oid from pg_catalog.pg_proc where ${inScope(context, 'pronamespace')}`,
    `select oid from pg_catalog.pg_type where ${inScope(context, 'typnamespace')}`,
    `select oid from pg_catalog.pg_constraint where ${inScope(context, 'connamespace')}`,
    `select d.oid from pg_catalog.pg_attrdef as d join pg_catalog.pg_class as c on c.oid = d.adrelid where ${inScope(context, 'c.relnamespace')}`,
    `select r.oid from pg_catalog.pg_rewrite as r join pg_catalog.pg_class as c on c.oid = r.ev_class where ${inScope(context, 'c.relnamespace')}`,
    `select t.oid from pg_catalog.pg_trigger as t join pg_catalog.pg_class as c on c.oid = t.tgrelid where ${inScope(context, 'c.relnamespace')}`,
  ].join('\n        union all ');

/** Where single schemas are read: those that live in them, and those that something in them needs. */
export const EXTENSIONS: KindQuery = {
  kind: 'extension',
  catalog: CATALOG.extension,
  sql: (context) => `
select
    e.oid,
    pg_catalog.quote_ident(e.extname) as "name",
    pg_catalog.quote_ident(e.extname) as "own",
    pg_catalog.quote_ident(n.nspname) as "schema"
from pg_catalog.pg_extension as e
join pg_catalog.pg_namespace as n on n.oid = e.extnamespace
where e.oid >= 16384
    and ${databaseWide(
      context,
      `${inScope(context, 'e.extnamespace')} or e.oid in (
        select m.refobjid
        from pg_catalog.pg_depend as m
        join pg_catalog.pg_depend as d on d.refclassid = m.classid and d.refobjid = m.objid and d.deptype = 'n'
        where m.deptype = 'e' and m.refclassid = ${CATALOG.extension} and d.objid in (
        ${usersSql(context)}
        )
        union all
        select x.refobjid
        from pg_catalog.pg_depend as x
        where x.deptype = 'x' and x.refclassid = ${CATALOG.extension} and x.objid in (
        ${usersSql(context)}
        )
    )`,
    )}`,
};

export const ACCESS_METHODS: KindQuery = {
  kind: 'access method',
  catalog: CATALOG.accessMethod,
  sql: (context) => `
select
    a.oid,
    pg_catalog.quote_ident(a.amname) as "name",
    pg_catalog.quote_ident(a.amname) as "own",
    pg_catalog.concat('type ', case a.amtype when 't' then 'table' else 'index' end, ' handler ', a.amhandler::pg_catalog.regproc) as "definition"
from pg_catalog.pg_am as a
where a.oid >= 16384
    and ${databaseWide(context)}
    and ${standsAlone(CATALOG.accessMethod, 'a.oid')}`,
};

/** Servers of the foreign tables in the schemas. */
const serversSql = (context: QueryContext) =>
  `select f.ftserver from pg_catalog.pg_foreign_table as f join pg_catalog.pg_class as c on c.oid = f.ftrelid where ${inScope(context, 'c.relnamespace')}`;

export const FOREIGN_DATA_WRAPPERS: KindQuery = {
  kind: 'foreign data wrapper',
  catalog: CATALOG.foreignDataWrapper,
  sql: (context) => `
select
    w.oid,
    pg_catalog.quote_ident(w.fdwname) as "name",
    pg_catalog.quote_ident(w.fdwname) as "own",
    w.fdwowner as "ownerOid",
    pg_catalog.concat_ws(' ',
        case when w.fdwhandler <> 0 then 'handler ' || w.fdwhandler::pg_catalog.regproc::text end,
        case when w.fdwvalidator <> 0 then 'validator ' || w.fdwvalidator::pg_catalog.regproc::text end
    ) as "definition",
    ${foreignOptionsSql('w.fdwoptions')} as "foreign options"
from pg_catalog.pg_foreign_data_wrapper as w
where ${databaseWide(context, `w.oid in (select s.srvfdw from pg_catalog.pg_foreign_server as s where s.oid in (${serversSql(context)}))`)}
    and ${standsAlone(CATALOG.foreignDataWrapper, 'w.oid')}`,
};

export const SERVERS: KindQuery = {
  kind: 'server',
  catalog: CATALOG.foreignServer,
  sql: (context) => `
select
    s.oid,
    pg_catalog.quote_ident(s.srvname) as "name",
    pg_catalog.quote_ident(s.srvname) as "own",
    s.srvowner as "ownerOid",
    pg_catalog.quote_literal(s.srvtype) as "type",
    pg_catalog.quote_literal(s.srvversion) as "version",
    pg_catalog.quote_ident(w.fdwname) as "foreign data wrapper",
    ${foreignOptionsSql('s.srvoptions')} as "foreign options"
from pg_catalog.pg_foreign_server as s
join pg_catalog.pg_foreign_data_wrapper as w on w.oid = s.srvfdw
where ${databaseWide(context, `s.oid in (${serversSql(context)})`)}
    and ${standsAlone(CATALOG.foreignServer, 's.oid')}`,
};

/** From the view that hides the options of others; those that may hold a secret never leave the server. */
export const USER_MAPPINGS: KindQuery = {
  kind: 'user mapping',
  catalog: CATALOG.userMapping,
  sql: (context) => `
select
    u.umid as "oid",
    pg_catalog.concat('for ', case when u.umuser = 0 then 'public' else pg_catalog.quote_ident(u.usename) end, ' server ', pg_catalog.quote_ident(u.srvname)) as "name",
    pg_catalog.concat('for ', case when u.umuser = 0 then 'public' else pg_catalog.quote_ident(u.usename) end, ' server ', pg_catalog.quote_ident(u.srvname)) as "own",
    ${foreignOptionsSql('u.umoptions')} as "foreign options"
from pg_catalog.pg_user_mappings as u
where ${databaseWide(context, `u.srvid in (${serversSql(context)})`)}`,
};

export const DEFAULT_PRIVILEGES: KindQuery = {
  kind: 'default privileges',
  catalog: CATALOG.defaultAcl,
  sql: (context) => `
select
    d.oid,
    pg_catalog.concat(
        'for role ', pg_catalog.quote_ident(r.rolname),
        ' in schema ' || pg_catalog.quote_ident(n.nspname),
        ' on ', case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions' when 'T' then 'types' when 'n' then 'schemas' else 'large objects' end
    ) as "name",
    pg_catalog.concat('for role ', pg_catalog.quote_ident(r.rolname), ' in schema ' || pg_catalog.quote_ident(n.nspname)) as "own"
from pg_catalog.pg_default_acl as d
join pg_catalog.pg_roles as r on r.oid = d.defaclrole
left join pg_catalog.pg_namespace as n on n.oid = d.defaclnamespace
where ${databaseWide({ ...context }, 'n.nspname is not null')}
    and (n.nspname is null or ${schemaCondition(context.scope, 'n.nspname')})`,
};

const publicationTables = ({ version }: QueryContext) => `(
        select pg_catalog.string_agg(pg_catalog.concat(
            ${qualified('n.nspname', 'c.relname')}
            ${
              version >= 150000
                ? `, ' (' || (
                select pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' order by a.attnum)
                from pg_catalog.pg_attribute as a
                where a.attrelid = r.prrelid and a.attnum = any (r.prattrs::smallint[])
            ) || ')', ' where ' || pg_catalog.pg_get_expr(r.prqual, r.prrelid)`
                : ''
            }
        ), ', ' order by n.nspname, c.relname)
        from pg_catalog.pg_publication_rel as r
        join pg_catalog.pg_class as c on c.oid = r.prrelid
        join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
        where r.prpubid = p.oid
    )`;

const publicationSchemas = ({ version }: QueryContext) =>
  version < 150000
    ? 'null::text'
    : `(
        select pg_catalog.string_agg(pg_catalog.quote_ident(n.nspname), ', ' order by n.nspname)
        from pg_catalog.pg_publication_namespace as s
        join pg_catalog.pg_namespace as n on n.oid = s.pnnspid
        where s.pnpubid = p.oid
    )`;

export const PUBLICATIONS: KindQuery = {
  kind: 'publication',
  catalog: CATALOG.publication,
  sql: (context) => `
select
    p.oid,
    pg_catalog.quote_ident(p.pubname) as "name",
    pg_catalog.quote_ident(p.pubname) as "own",
    p.pubowner as "ownerOid",
    case when p.puballtables then 'yes' end as "all tables",
    ${publicationTables(context)} as "tables",
    ${publicationSchemas(context)} as "schemas",
    case when not (p.pubinsert and p.pubupdate and p.pubdelete and p.pubtruncate)
        then pg_catalog.concat_ws(', ', case when p.pubinsert then 'insert' end, case when p.pubupdate then 'update' end, case when p.pubdelete then 'delete' end, case when p.pubtruncate then 'truncate' end)
    end as "publish",
    ${context.version >= 180000 ? "case when p.pubgencols = 's' then 'stored' end" : 'null::text'} as "generated columns",
    case when p.pubviaroot then 'yes' end as "via partition root"
from pg_catalog.pg_publication as p
where ${databaseWide(
    context,
    `p.puballtables or exists (select from pg_catalog.pg_publication_rel as r join pg_catalog.pg_class as c on c.oid = r.prrelid where r.prpubid = p.oid and ${inScope(context, 'c.relnamespace')})${
      context.version < 150000
        ? ''
        : ` or exists (select from pg_catalog.pg_publication_namespace as s where s.pnpubid = p.oid and ${inScope(context, 's.pnnspid')})`
    }`,
  )}
    and ${standsAlone(CATALOG.publication, 'p.oid')}`,
};
