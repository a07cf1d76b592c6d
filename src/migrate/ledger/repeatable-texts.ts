import type { Session } from '../../connection/session.ts';
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts';
import { REPEATABLE_LABEL } from '../files/version.ts';
import type { LedgerKey } from './ledger.ts';
import type { Provenance } from './provenance.ts';
import { type HistoryEntry, insertHistoryStatement } from './record.ts';

/*
 * How what is applied of the repeatables is written down. Each application is a generation with a text of its
 * own, so that `down` can bring the text before back.
 */

/** What becomes of a repeatable's row. */
export type RepeatableChange =
  /** The file is what is applied now. */
  | { kind: 'apply'; checksum: string; tokenChecksum: string; text: string | null }
  /** The text of this earlier generation is; null where there is none, and nothing is left. */
  | { kind: 'back'; to: number | null };

/** So many texts are kept of each, the newest. */
const KEPT_GENERATIONS = 10;

export function repeatableDdl(s: string): string {
  return `
create table if not exists ${s}.repeatable (
    target_schema text not null,
    name text not null,
    checksum text not null,
    token_checksum text not null,
    generation integer not null default 1,
    applied_at timestamptz not null default pg_catalog.clock_timestamp(),
    duration_ms double precision,
    transaction_id xid8 not null default pg_catalog.pg_current_xact_id(),
    constraint repeatable_pkey primary key (target_schema, name),
    constraint repeatable_generation_is_positive check (generation > 0)
);
create table if not exists ${s}.repeatable_text (
    target_schema text not null,
    name text not null,
    generation integer not null,
    checksum text not null,
    token_checksum text not null,
    up_text text,
    constraint repeatable_text_pkey primary key (target_schema, name, generation)
);
comment on table ${s}.repeatable is 'Which repeatables are applied now, and with which text';
comment on column ${s}.repeatable.token_checksum is 'Without comments and white space: where it differs from that of the file, the file is applied again';
comment on column ${s}.repeatable.generation is 'From 1: its text is that of the same generation in repeatable_text';
comment on table ${s}.repeatable_text is 'The texts of repeatables, the last ${KEPT_GENERATIONS} of each, for down; may hold secrets, so only its owner may read it';
comment on column ${s}.repeatable_text.up_text is 'Null where it was too long to keep';`;
}

/** Whoever may read or write what is known of migrations and backfills may do the same with what came later. */
export function grantLikeMigrationSql(s: string): string {
  const name = (table: string) => quoteLiteral(`${s}.${table}`);
  return `
do $$
declare
    v_grant text;
begin
    for v_grant in
        select pg_catalog.format(
            'grant %s on %s to %s',
            acl.privilege_type,
            known.later,
            case
                when acl.grantee = 0 then 'public'
                else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(acl.grantee))
            end
        )
        from (values (${name('migration')}, ${name('repeatable')}), (${name('migration')}, ${name('lease')}), (${name('migration_text')}, ${name('repeatable_text')}), (${name('backfill')}, ${name('backfill_segment')})) as known (earlier, later)
        join pg_catalog.pg_class as rel on rel.oid = known.earlier::regclass
        cross join lateral pg_catalog.aclexplode(rel.relacl) as acl
        where acl.grantee <> rel.relowner
    loop
        execute v_grant;
    end loop;
end
$$;`;
}

/** A text that the ledger keeps of a repeatable. */
export interface RepeatableText {
  name: string;
  generation: number;
  /** Null where it was too long to keep. */
  text: string | null;
}

/**
 * Reads the texts of these repeatables, of each the newest first.
 *
 * @param names default: all, and of each the newest alone
 */
export async function readRepeatableTexts(
  session: Session,
  { ledgerSchema, targetSchema }: LedgerKey,
  names?: readonly string[],
): Promise<RepeatableText[]> {
  const s = quoteIdent(ledgerSchema);
  const wanted =
    names === undefined
      ? `exists (select from ${s}.repeatable as r where r.target_schema = t.target_schema and r.name = t.name and r.generation = t.generation)`
      : `t.name in (${names.map(quoteLiteral).join(', ')})`;
  const rows = await session.run(`
    select t.name as "name", t.generation as "generation", t.up_text as "text"
    from ${s}.repeatable_text as t
    where t.target_schema = ${quoteLiteral(targetSchema)} and ${wanted}
    order by t.name collate "C", t.generation desc`);
  return rows as unknown as RepeatableText[];
}

/** Writes what became of repeatables, in the transaction that changed them. */
export function recordRepeatablesStatements(
  key: LedgerKey,
  changes: readonly { name: string; checksum: string; change: RepeatableChange }[],
  by: Provenance,
): string[] {
  const entries = changes.map(({ name, checksum, change }): HistoryEntry => {
    const action = change.kind === 'apply' ? 'up' : 'down';
    return { action, label: REPEATABLE_LABEL, name, checksum, durationMs: 'transaction' };
  });
  return [
    ...changes.flatMap(({ name, change }) => changeStatements(key, name, change)),
    insertHistoryStatement(key, entries, by),
  ];
}

const DURATION =
  '(extract(epoch from pg_catalog.clock_timestamp() - pg_catalog.transaction_timestamp()) * 1000)::float8';

function changeStatements(key: LedgerKey, name: string, change: RepeatableChange): string[] {
  const s = quoteIdent(key.ledgerSchema);
  const id = `target_schema = ${quoteLiteral(key.targetSchema)} and name = ${quoteLiteral(name)}`;
  if (change.kind === 'apply') {
    const sums = `${quoteLiteral(change.checksum)}, ${quoteLiteral(change.tokenChecksum)}`;
    const text = change.text === null ? 'null' : quoteLiteral(change.text);
    return [
      `insert into ${s}.repeatable as r (target_schema, name, checksum, token_checksum, duration_ms)
values (${quoteLiteral(key.targetSchema)}, ${quoteLiteral(name)}, ${sums}, ${DURATION})
on conflict on constraint repeatable_pkey do update
set checksum = excluded.checksum, token_checksum = excluded.token_checksum, duration_ms = excluded.duration_ms,
    generation = r.generation + 1, applied_at = excluded.applied_at, transaction_id = excluded.transaction_id`,
      `insert into ${s}.repeatable_text (target_schema, name, generation, checksum, token_checksum, up_text)
select target_schema, name, generation, checksum, token_checksum, ${text} from ${s}.repeatable where ${id}
on conflict on constraint repeatable_text_pkey do update
set checksum = excluded.checksum, token_checksum = excluded.token_checksum, up_text = excluded.up_text`,
      `delete from ${s}.repeatable_text where ${id}
    and generation not in (select r.generation - n from ${s}.repeatable as r, pg_catalog.generate_series(0, ${KEPT_GENERATIONS - 1}) as n where ${id.replaceAll(/\b(target_schema|name) =/g, 'r.$1 =')})`,
    ];
  }
  if (change.to === null) {
    return ['repeatable_text', 'repeatable'].map(
      (table) => `delete from ${s}.${table} where ${id}`,
    );
  }
  return [
    `delete from ${s}.repeatable_text where ${id} and generation > ${change.to}`,
    `update ${s}.repeatable as r
set checksum = t.checksum, token_checksum = t.token_checksum, generation = t.generation,
    applied_at = pg_catalog.clock_timestamp(), duration_ms = ${DURATION}, transaction_id = pg_catalog.pg_current_xact_id()
from ${s}.repeatable_text as t
where t.target_schema = r.target_schema and t.name = r.name and t.generation = ${change.to}
    and r.target_schema = ${quoteLiteral(key.targetSchema)} and r.name = ${quoteLiteral(name)}`,
  ];
}
