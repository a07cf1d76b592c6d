import { restUnderName } from '../../connection/blockers.ts';
import { codeOf } from '../../connection/connection-error.ts';
import { withLockRetries } from '../../connection/retry.ts';
import { describeUser, type Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts';
import { dropOldFunctionsSql, ledgerFunctionsDdl } from './record.ts';

/** Raised when the layout below changes; a ledger with a higher one belongs to a newer evdb. */
export const LEDGER_FORMAT = 6;

const HISTORY_ACTIONS =
  "'up', 'down', 'failed', 'repaired', 'baseline', 'reset', 'adopted', 'resumed'";

/**
 * The ledger's own objects. One table says what is applied now, one what ever happened. The
 * texts lie apart from both, so that a monitoring role can be given the rest without them.
 */
function ledgerDdl(schema: string): string {
  const s = quoteIdent(schema);
  return `
create table if not exists ${s}.ledger_format (
    format integer not null,
    is_only boolean not null default true,
    constraint ledger_format_pkey primary key (is_only),
    constraint ledger_format_has_one_row check (is_only)
);
insert into ${s}.ledger_format (format) values (${LEDGER_FORMAT}) on conflict do nothing;

create table if not exists ${s}.migration (
    target_schema text not null,
    version bigint not null,
    label text not null,
    name text not null,
    checksum text not null,
    token_checksum text not null,
    state text not null,
    statements_done integer not null default 0,
    statements_total integer not null,
    applied_at timestamptz default pg_catalog.clock_timestamp(),
    duration_ms double precision,
    transaction_id xid8 not null default pg_catalog.pg_current_xact_id(),
    statement_started integer,
    statement_started_at timestamptz,
    statement_checksums text[],
    origin text not null default 'applied',
    constraint migration_pkey primary key (target_schema, version),
    constraint migration_state_is_known check (state in ('applied', 'applying', 'reverting')),
    constraint migration_version_is_natural check (version >= 0),
    constraint migration_statement_started_follows check (statement_started = statements_done + 1),
    constraint migration_origin_is_known check (origin ~ '^(applied|baseline|adopted:.+)$')
);

create table if not exists ${s}.migration_text (
    target_schema text not null,
    version bigint not null,
    up_text text,
    down_text text,
    -- no foreign key: a script may switch their checks off for its own transaction
    constraint migration_text_pkey primary key (target_schema, version)
);

create table if not exists ${s}.history (
    id bigint not null generated always as identity,
    target_schema text not null,
    version bigint,
    label text,
    name text,
    action text not null,
    checksum text,
    error text,
    duration_ms double precision,
    occurred_at timestamptz not null default pg_catalog.clock_timestamp(),
    database_user text not null default session_user,
    client_address inet default pg_catalog.inet_client_addr(),
    os_user text,
    host_name text,
    tool_version text not null,
    git_commit text,
    ci_url text,
    transaction_id xid8 not null default pg_catalog.pg_current_xact_id(),
    detail text,
    run_id uuid,
    constraint history_pkey primary key (id),
    constraint history_action_is_known check (action in (${HISTORY_ACTIONS}))
);
${backfillDdl(s)}
${ledgerGuards(s)}
${ledgerFunctionsDdl(s)}
${ledgerComments(s)}
${ledgerPrivileges(schema)}`;
}

/** Written by `backfill.ts`, in the transactions of the batches. */
function backfillDdl(s: string): string {
  return `
create table if not exists ${s}.backfill (
    target_schema text not null,
    version bigint not null,
    direction text not null,
    statement_checksum text not null,
    table_name text not null,
    table_oid oid not null,
    key_columns text[] not null,
    round integer not null default 1,
    cursor_key text[],
    end_key text[],
    rows_total bigint,
    rows_walked bigint not null default 0,
    rows_changed bigint not null default 0,
    batches bigint not null default 0,
    wanted text not null default 'run',
    rests_for text,
    started_at timestamptz not null default pg_catalog.clock_timestamp(),
    updated_at timestamptz not null default pg_catalog.clock_timestamp(),
    constraint backfill_pkey primary key (target_schema, version),
    constraint backfill_direction_is_known check (direction in ('up', 'down')),
    constraint backfill_wanted_is_known check (wanted in ('run', 'pause', 'cancel'))
);
comment on table ${s}.backfill is 'How far each backfill is that is not done; written in the transactions of its batches';
comment on column ${s}.backfill.round is 'From 1: how often the table is walked, because rows still matched';
comment on column ${s}.backfill.cursor_key is 'The last key that is done, as text; null before the first batch';
comment on column ${s}.backfill.end_key is 'The last key of this round, as it was when that began; null where the table was empty';
comment on column ${s}.backfill.rows_total is 'An estimate of the rows that this round passes';
comment on column ${s}.backfill.rows_walked is 'How many rows of the table this round has passed';
comment on column ${s}.backfill.wanted is 'What other sessions ask of the runner: run, pause or cancel; it looks between two batches';
comment on column ${s}.backfill.rests_for is 'Why the runner rests between two batches; null while it works';
comment on column ${s}.backfill.rows_changed is 'How many rows the statement has changed, in all rounds';`;
}

function ledgerGuards(s: string): string {
  return `
create or replace function ${s}.refuse_history_change()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception 'the migration history is append-only: % is refused', lower(tg_op)
        using errcode = 'insufficient_privilege';
end
$$;
create or replace trigger history_is_append_only
    before update or delete or truncate on ${s}.history
    for each statement execute function ${s}.refuse_history_change();`;
}

function ledgerComments(s: string): string {
  return `
comment on schema ${s} is 'Ledger of evdb: which migrations are applied, and all that ever happened';
comment on table ${s}.ledger_format is 'Layout of this ledger; a higher number belongs to a newer evdb';
comment on table ${s}.migration is 'What is applied now, one row a migration and target schema';
comment on column ${s}.migration.label is 'The version as the file name writes it, such as 001';
comment on column ${s}.migration.checksum is 'sha-256 of the up text, without byte order mark, with LF line ends';
comment on column ${s}.migration.token_checksum is 'The same without comments and white space: tells a reworded comment from changed SQL';
comment on column ${s}.migration.state is 'applied; applying or reverting: a no-transaction migration stopped half way';
comment on column ${s}.migration.statements_done is 'How many statements have committed (no-transaction migrations)';
comment on column ${s}.migration.transaction_id is 'Tells after a lost connection whether the commit happened (pg_xact_status)';
${laterComments(s)}
comment on table ${s}.migration_text is 'The scripts as they ran, for down --from-ledger and for diffs; may hold secrets, so only its owner may read it';
comment on table ${s}.history is 'Append-only: every up, down, failure, repair, baseline and reset';
comment on function ${s}.refuse_history_change() is 'Keeps the history append-only';`;
}

function laterComments(s: string): string {
  return `comment on column ${s}.migration.applied_at is 'Null where it is not known when, as for an adopted migration';
comment on column ${s}.migration.statement_started is 'Outside a transaction: the statement, from 1, that was begun and is not known to be done';
comment on column ${s}.migration.statement_started_at is 'When statement_started was written, which is before the statement was sent';
comment on column ${s}.migration.statement_checksums is 'While a no-transaction script runs: one for each of its statements, without comments and white space';
comment on column ${s}.migration.origin is 'applied: evdb ran it; baseline, adopted:<tool>: it was there before';
comment on column ${s}.history.detail is 'The reason that was given, or what exactly was done';
comment on column ${s}.history.run_id is 'One a run of evdb: tells it after a lost connection which of its migrations were committed';`;
}

/** Brings a ledger of any older format to the present one; new ledgers are made like this from the start. */
function upgradeLedgerSql(schema: string): string {
  const s = quoteIdent(schema);
  return `alter table ${s}.migration
    add column if not exists statement_started integer,
    add column if not exists statement_started_at timestamptz,
    add column if not exists statement_checksums text[],
    add column if not exists origin text not null default 'applied',
    drop constraint if exists migration_statement_started_follows,
    add constraint migration_statement_started_follows check (statement_started = statements_done + 1),
    drop constraint if exists migration_origin_is_known,
    add constraint migration_origin_is_known check (origin ~ '^(applied|baseline|adopted:.+)$'),
    drop constraint if exists migration_version_is_positive,
    drop constraint if exists migration_version_is_natural,
    add constraint migration_version_is_natural check (version >= 0),
    alter column applied_at drop not null;
alter table ${s}.history
    add column if not exists detail text,
    add column if not exists run_id uuid,
    drop constraint if exists history_action_is_known,
    add constraint history_action_is_known check (action in (${HISTORY_ACTIONS}));
${laterComments(s)}
${backfillDdl(s)}
${dropOldFunctionsSql(s)}
${ledgerFunctionsDdl(s)}
update ${s}.ledger_format set format = ${LEDGER_FORMAT};`;
}

/** Default privileges of the database may have granted the texts to others. */
function ledgerPrivileges(schema: string): string {
  const table = quoteLiteral(`${quoteIdent(schema)}.migration_text`);
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
        where rel.oid = ${table}::regclass
            and acl.grantee <> rel.relowner
    loop
        execute pg_catalog.format('revoke all on ${quoteIdent(schema).replaceAll('%', '%%').replaceAll("'", "''")}.migration_text from %s', v_grantee);
    end loop;
end
$$;`;
}

/**
 * Creates what is missing of the ledger, in one transaction. The caller holds the ledger's lock,
 * because `create … if not exists` fails when two run it at once.
 *
 * @throws {EvdbError} PERMISSION_DENIED with the statement an administrator has to run
 */
export async function createLedger(session: Session, schema: string): Promise<void> {
  const exists = await session.run(
    `select pg_catalog.count(*)::int as n from pg_catalog.pg_namespace where nspname = ${quoteLiteral(schema)}`,
  );
  // `if not exists` asks for the privilege to create even where nothing has to be created
  const create = exists[0]?.n === 0 ? `create schema ${quoteIdent(schema)};` : '';
  try {
    await session.run(`begin; ${create} ${ledgerDdl(schema)} commit;`);
  } catch (error) {
    if (!session.isClosed) await session.run('rollback');
    if ((error as { code?: string }).code !== '42501') throw error;
    const user = quoteIdent(session.facts.user);
    throw new EvdbError(
      'PERMISSION_DENIED',
      `${describeUser(session.facts)} may not create the ledger in schema "${schema}"`,
      {
        hint: `Let an administrator run: create schema if not exists ${quoteIdent(schema)} authorization ${user};`,
        cause: error,
      },
    );
  }
}

/**
 * Brings a ledger of an older format up to date, in one transaction with short lock timeouts. The
 * caller holds the ledger's lock and has seen under it that the format is older.
 *
 * @throws {EvdbError} PERMISSION_DENIED with the statements that its owner has to run
 */
export async function upgradeLedger(
  session: Session,
  schema: string,
  signal?: AbortSignal,
): Promise<void> {
  const sql = upgradeLedgerSql(schema);
  try {
    await withLockRetries(({ lockTimeoutMs }) => attempt(session, sql, lockTimeoutMs), {
      signal,
      rest: restUnderName({ worker: session, work: 'the upgrade of the ledger' }),
    });
  } catch (error) {
    throw codeOf(error) === '42501' ? denied(session, schema, error) : error;
  }
}

async function attempt(session: Session, sql: string, lockTimeoutMs: number): Promise<void> {
  try {
    await session.run(`begin; set local lock_timeout = ${lockTimeoutMs}; ${sql} commit;`);
  } catch (error) {
    if (!session.isClosed) await session.run('rollback').catch(() => undefined);
    throw error;
  }
}

function denied({ facts }: Session, schema: string, cause: unknown): EvdbError {
  return new EvdbError(
    'PERMISSION_DENIED',
    `the ledger in schema "${schema}" was made by an older evdb, and ${describeUser(facts)} may not bring it up to date`,
    {
      hint: `Let its owner run any command of this evdb that writes, or: begin; ${oneLine(upgradeLedgerSql(schema))} commit;`,
      cause,
    },
  );
}

function oneLine(sql: string): string {
  return sql.replaceAll(/\s+/g, ' ');
}
