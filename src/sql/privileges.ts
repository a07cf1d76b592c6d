import { quoteIdent, quoteLiteral } from './quote.ts';

/**
 * SQL that takes a new table away from everyone but its owner: default privileges of the database may
 * have granted it to others.
 */
export function revokeFromOthersSql(schema: string, table: string): string {
  const name = `${quoteIdent(schema)}.${quoteIdent(table)}`;
  const inFormat = name.replaceAll('%', '%%').replaceAll("'", "''");
  return `
do $$
declare
    v_grantee text;
begin
    for v_grantee in
        select distinct
            case
                when acl.grantee = 0 then 'public'
                else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(acl.grantee))
            end
        from pg_catalog.pg_class as rel
        cross join lateral pg_catalog.aclexplode(rel.relacl) as acl
        where rel.oid = ${quoteLiteral(name)}::regclass
            and acl.grantee <> rel.relowner
    loop
        execute pg_catalog.format('revoke all on ${inFormat} from %s', v_grantee);
    end loop;
end
$$;`;
}
