import { quoteIdent, quoteLiteral } from '../sql/quote.ts';
import type { LedgerKey } from './ledger.ts';
import type { Provenance } from './provenance.ts';
import type { LedgerEntry } from './record.ts';

/**
 * Writes the three rows of an applied migration. A function, because its plans are kept for the
 * session: planning three inserts anew cost every migration more than running them.
 */
export function ledgerFunctionsDdl(s: string): string {
  return `
create or replace function ${s}.record_up(
    p_target_schema text,
    p_version bigint,
    p_label text,
    p_name text,
    p_checksum text,
    p_token_checksum text,
    p_statements_total integer,
    p_up_text text,
    p_down_text text,
    p_os_user text,
    p_host_name text,
    p_tool_version text,
    p_git_commit text,
    p_ci_url text
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_duration_ms constant double precision :=
        extract(epoch from clock_timestamp() - transaction_timestamp()) * 1000;
begin
    insert into ${s}.migration (
        target_schema, version, label, name, checksum, token_checksum,
        state, statements_done, statements_total, duration_ms
    )
    values (
        p_target_schema, p_version, p_label, p_name, p_checksum, p_token_checksum,
        'applied', p_statements_total, p_statements_total, v_duration_ms
    );
    insert into ${s}.migration_text (target_schema, version, up_text, down_text)
    values (p_target_schema, p_version, p_up_text, p_down_text);
    insert into ${s}.history (
        target_schema, version, label, name, action, checksum, duration_ms,
        os_user, host_name, tool_version, git_commit, ci_url
    )
    values (
        p_target_schema, p_version, p_label, p_name, 'up', p_checksum, v_duration_ms,
        p_os_user, p_host_name, p_tool_version, p_git_commit, p_ci_url
    );
end
$$;
comment on function ${s}.record_up(text, bigint, text, text, text, text, integer, text, text, text, text, text, text, text) is
    'Writes what is known of a migration, in the transaction that applied it';`;
}

/**
 * The call that records an applied migration; the server says how long its transaction took. A text
 * that is there already is of a row that somebody has deleted.
 */
export function recordUpSql(key: LedgerKey, entry: LedgerEntry, by: Provenance): string {
  const { version, label, name, checksum, tokenChecksum, statementsTotal } = entry;
  const { osUser, hostName, toolVersion, gitCommit, ciUrl } = by;
  const values = [
    ...[literal(key.targetSchema), version],
    ...[label, name, checksum, tokenChecksum].map(literal),
    statementsTotal,
    ...[entry.upText, entry.downText].map(literal),
    ...[osUser, hostName, toolVersion, gitCommit, ciUrl].map(literal),
  ];
  const s = quoteIdent(key.ledgerSchema);
  return `delete from ${s}.migration_text where target_schema = ${literal(key.targetSchema)} and version = ${version};
select ${s}.record_up(${values.join(', ')});`;
}

function literal(value: string | null | undefined): string {
  return value == null ? 'null' : quoteLiteral(value);
}
