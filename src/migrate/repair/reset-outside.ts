import type { Node, RangeVar } from '@pgsql/types';
import type { Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { loadSqlParser } from '../../sql/parser.ts';
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts';
import type { Statement } from '../../sql/statements.ts';
import { asKind, objectNameOf, openNode, relationNameOf, writtenNameOf } from '../../sql/tree.ts';
import type { MigrationStep } from '../plan/prepare.ts';

/** Something outside of the target schema that a migration makes and that must not be there yet. */
interface Made {
  kind: Kind;
  schema: string | undefined;
  name: string;
  /** `001_users.sql:3`. */
  place: string;
}

/** What a reset has to do outside of the schema, so that the migrations find what they expect. */
export interface Outside {
  /** Extensions and schemas that migrations make anew: they go with the contents, if nothing needs them. */
  alongSql: string[];
  /** Their names, such as `extension citext`. */
  along: string[];
  /** Whether the migrations set default privileges in the schema. */
  setsDefaultPrivileges: boolean;
}

/** How each kind is looked up; a name in a schema is given as both. */
const KINDS = {
  extension: (name: string) => rowSql('pg_extension', 'extname', name),
  schema: (name: string) => rowSql('pg_namespace', 'nspname', name),
  role: (name: string) => rowSql('pg_roles', 'rolname', name),
  publication: (name: string) => rowSql('pg_publication', 'pubname', name),
  subscription: (name: string) => rowSql('pg_subscription', 'subname', name),
  'event trigger': (name: string) => rowSql('pg_event_trigger', 'evtname', name),
  language: (name: string) => rowSql('pg_language', 'lanname', name),
  'foreign-data wrapper': (name: string) => rowSql('pg_foreign_data_wrapper', 'fdwname', name),
  server: (name: string) => rowSql('pg_foreign_server', 'srvname', name),
  'access method': (name: string) => rowSql('pg_am', 'amname', name),
  relation: (name: string, schema = '') => inSchemaSql('pg_class', 'rel', name, schema),
  type: (name: string, schema = '') => inSchemaSql('pg_type', 'typ', name, schema),
};

type Kind = keyof typeof KINDS;

function rowSql(catalog: string, column: string, name: string): string {
  return `exists (select from pg_catalog.${catalog} where ${column} = ${quoteLiteral(name)})`;
}

function inSchemaSql(catalog: string, prefix: string, name: string, schema: string): string {
  return `exists (select from pg_catalog.${catalog} as o join pg_catalog.pg_namespace as n on n.oid = o.${prefix}namespace where o.${prefix}name = ${quoteLiteral(name)} and n.nspname = ${quoteLiteral(schema)})`;
}

/**
 * Finds out beforehand what of the migrations would fail once the contents are gone, because it
 * stands outside of the schema and is still there.
 *
 * @throws {EvdbError} RESET_BLOCKED
 */
export async function readOutside(
  steps: readonly MigrationStep[],
  session: Session,
  ownSchemas: readonly string[],
): Promise<Outside> {
  const { made, setsDefaultPrivileges } = await listMade(steps, ownSchemas);
  const there: Made[] = [];
  for (const one of made) {
    const [row] = await session.run(`select ${KINDS[one.kind](one.name, one.schema)} as "isThere"`);
    if (row?.isThere === true) there.push(one);
  }
  const blocking = there.filter(({ kind }) => kind !== 'extension' && kind !== 'schema');
  if (blocking.length > 0) throw staysBehind(blocking);
  // A schema may hold the extension, so it comes last; neither cascades.
  const along = ['extension', 'schema'].flatMap((kind) =>
    there.filter((one) => one.kind === kind).reverse(),
  );
  return {
    alongSql: along.map(({ kind, name }) => `drop ${kind} ${quoteIdent(name)}`),
    along: along.map(({ kind, name }) => `${kind} ${name}`),
    setsDefaultPrivileges,
  };
}

function staysBehind(blocking: Made[]): EvdbError {
  const names = blocking.map(({ kind, schema, name, place }) => {
    const full = schema === undefined ? name : `${schema}.${name}`;
    return `${kind} ${full} (${place})`;
  });
  return new EvdbError(
    'RESET_BLOCKED',
    `the migrations make what a reset of the schema does not drop, and it is there: ${names.slice(0, 5).join(', ')}${names.length > 5 ? ` and ${names.length - 5} more` : ''}`,
    {
      hint: 'Nothing was changed. Drop these first, or write the statements so that they may be there already.',
      details: { objects: names },
    },
  );
}

async function listMade(
  steps: readonly MigrationStep[],
  ownSchemas: readonly string[],
): Promise<{ made: Made[]; setsDefaultPrivileges: boolean }> {
  const parser = await loadSqlParser();
  const made: Made[] = [];
  const dropped = new Set<string>();
  let setsDefaultPrivileges = false;
  for (const { script, statements } of steps) {
    for (const statement of statements) {
      const node = mayMatter(statement) ? parser.parse(statement.text) : null;
      if (node === null) continue;
      setsDefaultPrivileges ||= asKind(node, 'AlterDefaultPrivilegesStmt') !== undefined;
      for (const { kind, name } of listDropped(node)) dropped.add(`${kind} ${name}`);
      const one = readMade(node);
      if (one === undefined || dropped.has(`${one.kind} ${one.name}`)) continue;
      if (ownSchemas.includes(one.kind === 'schema' ? one.name : (one.schema ?? ''))) continue;
      made.push({ ...one, place: `${script.path}:${statement.line}` });
    }
  }
  return { made, setsDefaultPrivileges };
}

function mayMatter({ command }: Statement): boolean {
  return /^(create|drop|alter default)/.test(command);
}

type Named = Omit<Made, 'place'>;

/** What a statement makes outside, where it fails if that is there; undefined for all else. */
function readMade(node: Node): Named | undefined {
  const { kind, fields } = openNode(node);
  if (fields.if_not_exists === true || fields.replace === true) return undefined;
  const read = MAKERS[kind];
  const made = read?.(fields as never);
  const isInSchema = made?.kind === 'relation' || made?.kind === 'type';
  if (made === undefined || (isInSchema && made.schema === undefined)) return undefined;
  return made.schema?.startsWith('pg_temp') ? undefined : made;
}

const MAKERS: Readonly<Record<string, (fields: never) => Named | undefined>> = {
  CreateExtensionStmt: (f: { extname?: string }) => plain('extension', f.extname),
  // Named after its owner, it is not named here.
  CreateSchemaStmt: (f: { schemaname?: string }) => plain('schema', f.schemaname),
  CreateRoleStmt: (f: { role?: string }) => plain('role', f.role),
  CreatePublicationStmt: (f: { pubname?: string }) => plain('publication', f.pubname),
  CreateSubscriptionStmt: (f: { subname?: string }) => plain('subscription', f.subname),
  CreateEventTrigStmt: (f: { trigname?: string }) => plain('event trigger', f.trigname),
  CreatePLangStmt: (f: { plname?: string }) => plain('language', f.plname),
  CreateFdwStmt: (f: { fdwname?: string }) => plain('foreign-data wrapper', f.fdwname),
  CreateForeignServerStmt: (f: { servername?: string }) => plain('server', f.servername),
  CreateAmStmt: (f: { amname?: string }) => plain('access method', f.amname),
  CreateStmt: (f: { relation?: RangeVar }) => relation(f.relation),
  CreateForeignTableStmt: (f: { base?: { relation?: RangeVar } }) => relation(f.base?.relation),
  ViewStmt: (f: { view?: RangeVar }) => relation(f.view),
  CreateSeqStmt: (f: { sequence?: RangeVar }) => relation(f.sequence),
  CreateTableAsStmt: (f: { into?: { rel?: RangeVar } }) => relation(f.into?.rel),
  CompositeTypeStmt: (f: { typevar?: RangeVar }) => relation(f.typevar),
  CreateEnumStmt: (f: { typeName?: Node[] }) => ({ kind: 'type', ...writtenNameOf(f.typeName) }),
  CreateRangeStmt: (f: { typeName?: Node[] }) => ({ kind: 'type', ...writtenNameOf(f.typeName) }),
  CreateDomainStmt: (f: { domainname?: Node[] }) => ({
    kind: 'type',
    ...writtenNameOf(f.domainname),
  }),
};

function plain(kind: Kind, name: string | undefined): Named | undefined {
  return name ? { kind, schema: undefined, name } : undefined;
}

function relation(range: RangeVar | undefined): Named | undefined {
  return range && { kind: 'relation', ...relationNameOf(range) };
}

const DROPPED: Readonly<Record<string, Kind>> = {
  OBJECT_EXTENSION: 'extension',
  OBJECT_SCHEMA: 'schema',
  OBJECT_PUBLICATION: 'publication',
  OBJECT_EVENT_TRIGGER: 'event trigger',
  OBJECT_LANGUAGE: 'language',
  OBJECT_FDW: 'foreign-data wrapper',
  OBJECT_FOREIGN_SERVER: 'server',
  OBJECT_ACCESS_METHOD: 'access method',
  OBJECT_TABLE: 'relation',
  OBJECT_VIEW: 'relation',
  OBJECT_MATVIEW: 'relation',
  OBJECT_SEQUENCE: 'relation',
  OBJECT_FOREIGN_TABLE: 'relation',
  OBJECT_TYPE: 'type',
  OBJECT_DOMAIN: 'type',
};

function listDropped(node: Node): { kind: Kind; name: string }[] {
  const roles = asKind(node, 'DropRoleStmt')?.roles ?? [];
  const drop = asKind(node, 'DropStmt');
  const kind = DROPPED[drop?.removeType ?? ''];
  return [
    ...roles.map((role) => ({
      kind: 'role' as const,
      name: asKind(role, 'RoleSpec')?.rolename ?? '',
    })),
    ...(kind === undefined ? [] : (drop?.objects ?? [])).flatMap((object) => {
      const name = objectNameOf(object)?.name;
      return kind === undefined || name === undefined ? [] : [{ kind, name }];
    }),
  ];
}

/** Revokes what `alter default privileges in schema` gave, for every role, kind and grantee. */
export function dropDefaultPrivilegesSql(targetSchema: string): string {
  return `do $evdb$
declare
    v_default record;
begin
    for v_default in
        select distinct
            pg_catalog.pg_get_userbyid(d.defaclrole) as owner,
            case d.defaclobjtype
                when 'r' then 'tables'
                when 'S' then 'sequences'
                when 'f' then 'routines'
                when 'T' then 'types'
            end as objects,
            case when a.grantee = 0 then 'public' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end
                as grantee
        from pg_catalog.pg_default_acl as d
        join pg_catalog.pg_namespace as n on n.oid = d.defaclnamespace
        cross join lateral pg_catalog.aclexplode(d.defaclacl) as a
        where n.nspname = ${quoteLiteral(targetSchema)}
    loop
        execute pg_catalog.format(
            'alter default privileges for role %I in schema %I revoke all on %s from %s',
            v_default.owner, ${quoteLiteral(targetSchema)}, v_default.objects, v_default.grantee
        );
    end loop;
end
$evdb$`;
}
