import { NO_TENANT_SCHEMA } from '../../citus/timeouts.ts';
import { restUnderName } from '../../connection/blockers.ts';
import { codeOf } from '../../connection/connection-error.ts';
import { withLockRetries } from '../../connection/retry.ts';
import { describeUser, type Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { revokeFromOthersSql } from '../../sql/privileges.ts';
import { quoteIdent } from '../../sql/quote.ts';
import { fingerprintDdl } from './fingerprint.ts';
import { leaseDdl } from './lease.ts';
import { LEDGER_FORMAT } from './ledger.ts';
import { dropOldFunctionsSql, ledgerFunctionsDdl } from './record.ts';
import { grantLikeMigrationSql, repeatableDdl } from './repeatable-texts.ts';

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
    engine text,
    engine_promises text,
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
${fingerprintDdl(s)}
${repeatableDdl(s)}
${leaseDdl(s)}
${ledgerGuards(s)}
${ledgerFunctionsDdl(s)}
${ledgerComments(s)}
${revokeFromOthersSql(schema, 'migration_text')}
${revokeFromOthersSql(schema, 'repeatable_text')}`;
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
    segments integer not null default 0,
    workers integer not null default 1,
    constraint backfill_pkey primary key (target_schema, version),
    constraint backfill_direction_is_known check (direction in ('up', 'down')),
    constraint backfill_wanted_is_known check (wanted in ('run', 'pause', 'cancel'))
);
create table if not exists ${s}.backfill_segment (
    target_schema text not null,
    version bigint not null,
    segment integer not null,
    cursor_key text[],
    end_key text[] not null,
    rows_walked bigint not null default 0,
    rows_changed bigint not null default 0,
    batches bigint not null default 0,
    updated_at timestamptz not null default pg_catalog.clock_timestamp(),
    constraint backfill_segment_pkey primary key (target_schema, version, segment)
);
comment on table ${s}.backfill is 'How far each backfill is that is not done; written in the transactions of its batches';
comment on column ${s}.backfill.round is 'From 1: how often the table is walked, because rows still matched';
comment on column ${s}.backfill.cursor_key is 'The last key that is done or belongs to a segment, as text; null before the first batch';
comment on column ${s}.backfill.end_key is 'The last key of this round, as it was when that began; null where the table was empty';
comment on column ${s}.backfill.rows_total is 'An estimate of the rows that this round passes';
comment on column ${s}.backfill.rows_walked is 'How many rows of the table this round has passed';
comment on column ${s}.backfill.wanted is 'What other sessions ask of the runner: run, pause or cancel; it looks between two batches';
comment on column ${s}.backfill.rests_for is 'Why the runner rests between two batches; null while it works';
comment on column ${s}.backfill.rows_changed is 'How many rows the statement has changed, in all rounds; those of unfinished segments are counted there';
comment on column ${s}.backfill.segments is 'How many segments were handed out to workers, in all rounds';
comment on column ${s}.backfill.workers is 'How many workers the last runner has';
comment on table ${s}.backfill_segment is 'Which parts of a backfill workers have begun and not finished; written in the transactions of their batches';
comment on column ${s}.backfill_segment.segment is 'From 1, in the order of the key';
comment on column ${s}.backfill_segment.cursor_key is 'The last key that is done of this segment, else where it begins; null at the beginning of the table';
comment on column ${s}.backfill_segment.end_key is 'The last key of this segment';`;
}

/** What the table lacks in formats 6 to 9. A backfill that is under way there goes on. */
function addBackfillColumnsSql(s: string): string {
  return `alter table if exists ${s}.backfill
    add column if not exists segments integer not null default 0,
    add column if not exists workers integer not null default 1;`;
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
${engineComments(s)}
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

function engineComments(s: string): string {
  return `comment on column ${s}.ledger_format.engine is 'What the server called itself when it was probed';
comment on column ${s}.ledger_format.engine_promises is 'What was seen then of what evdb relies on: lock, rollback, savepoint, session';`;
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
alter table ${s}.ledger_format
    add column if not exists engine text,
    add column if not exists engine_promises text;
${laterComments(s)}
${engineComments(s)}
${addBackfillColumnsSql(s)}
${backfillDdl(s)}
${fingerprintDdl(s)}
${repeatableDdl(s)}
${leaseDdl(s)}
${revokeFromOthersSql(schema, 'repeatable_text')}
${grantLikeMigrationSql(s)}
${dropOldFunctionsSql(s)}
${ledgerFunctionsDdl(s)}
update ${s}.ledger_format set format = ${LEDGER_FORMAT};`;
}

/**
 * Creates what is missing of the ledger, in one transaction, with `more` that is written with it. The caller holds the ledger's lock,
 * because `create … if not exists` fails when two run it at once.
 *
 * @throws {EvdbError} PERMISSION_DENIED with the statement an administrator has to run
 */
export async function createLedger(
  session: Session,
  schema: string,
  { schemaExists, more = '' }: { schemaExists: boolean; more?: string },
): Promise<void> {
  // `if not exists` asks for the privilege to create even where nothing has to be created
  const create = schemaExists ? '' : createSchemaSql(session, schema);
  try {
    await session.run(`begin; ${create} ${ledgerDdl(schema)} ${more} commit;`);
  } catch (error) {
    if (!session.isClosed) await session.run('rollback');
    throw (error as { code?: string }).code === '42501'
      ? mayNotCreate(session, schema, error)
      : error;
  }
}

/** A schema of evdb's own, which must not become a tenant's. */
export function createSchemaSql({ facts }: Session, schema: string): string {
  return `${facts.isCitus ? NO_TENANT_SCHEMA : ''}create schema ${quoteIdent(schema)};`;
}

export function mayNotCreate({ facts }: Session, schema: string, cause: unknown): EvdbError {
  return new EvdbError(
    'PERMISSION_DENIED',
    `${describeUser(facts)} may not create the ledger in schema "${schema}"`,
    {
      hint: `Let an administrator run: create schema if not exists ${quoteIdent(schema)} authorization ${quoteIdent(facts.user)};`,
      cause,
    },
  );
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
  { more = '', signal }: { more?: string; signal?: AbortSignal | undefined } = {},
): Promise<void> {
  const sql = `${upgradeLedgerSql(schema)} ${more}`;
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
