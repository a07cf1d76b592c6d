import type { Blocker } from '../../connection/blockers.ts';
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts';
import type { LedgerKey } from './ledger.ts';

/*
 * The lock of runners as a row of the ledger with an end: for servers on which an advisory lock keeps
 * nobody out. Who holds it has its token; taking it over changes the token. Every transaction of a run
 * asks for its token before it commits, and keeps the row until then: the clock only says when another
 * one may take the lease, never who may commit.
 *
 * `for key share` lets the lease be renewed meanwhile, as that changes no key, and makes taking it over
 * wait, because the token has a unique index. (PostgreSQL manual, "Row-Level Locks".)
 */

/** What a run needs to take a lease. */
export interface LeaseRequest {
  /** How long it lasts unless it is renewed, in ms. */
  leaseMs: number;
  osUser: string | undefined;
  hostName: string | undefined;
}

/** Whose lease it is, as the server says. */
export interface LeaseHolder {
  token: string;
  pid: number;
  user: string | null;
  client: string | null;
  sinceMs: number;
  /** How long it still lasts; negative where it has ended. */
  leftMs: number;
}

/** A part of the ledger; where a lease is what excludes, it is made before the rest. */
export function leaseDdl(s: string): string {
  return `
create table if not exists ${s}.lease (
    target_schema text not null,
    token uuid not null,
    process_id integer not null,
    os_user text,
    host_name text,
    acquired_at timestamptz not null default pg_catalog.clock_timestamp(),
    expires_at timestamptz not null,
    constraint lease_pkey primary key (target_schema),
    constraint lease_token_key unique (token)
);
comment on table ${s}.lease is 'The lock of runners where an advisory lock does not exclude; empty where it does';
comment on column ${s}.lease.target_schema is 'Which target is migrated; empty while the ledger itself is created';
comment on column ${s}.lease.token is 'Of one run: what it changes is committed only while this is still its own';
comment on column ${s}.lease.process_id is 'The session of the runner, as in pg_stat_activity';
comment on column ${s}.lease.expires_at is 'By the clock of the server: from then on another runner may take it over';`;
}

/**
 * Takes the lease where it is free or has ended. Gives one row: whether it was taken, and whose it was
 * before, or is.
 *
 * @param own a token of ours that it may be taken from before its end
 */
export function takeLeaseSql(
  key: LedgerKey,
  token: string,
  { leaseMs, osUser, hostName }: LeaseRequest,
  own?: string,
): string {
  const table = tableOf(key);
  const columns = 'token, process_id, os_user, host_name, acquired_at, expires_at';
  const values = `${quoteLiteral(token)}::uuid, pg_catalog.pg_backend_pid(), ${literal(osUser)}, ${literal(hostName)}, pg_catalog.clock_timestamp(), ${endSql(leaseMs)}`;
  const isFree = own
    ? `(l.token = ${quoteLiteral(own)} or l.expires_at <= pg_catalog.clock_timestamp())`
    : 'l.expires_at <= pg_catalog.clock_timestamp()';
  return `begin isolation level read committed, read write;
set local lock_timeout = '500ms';
with before as (
    select * from ${table} where target_schema = ${quoteLiteral(key.targetSchema)}
), made as (
    insert into ${table} (target_schema, ${columns})
    select ${quoteLiteral(key.targetSchema)}, ${values}
    where not exists (select from before)
    on conflict do nothing
    returning token
), taken as (
    update ${table} as l
    set (${columns}) = (select ${values})
    where l.target_schema = ${quoteLiteral(key.targetSchema)} and ${isFree}
    returning l.token
)
select exists (select from made) or exists (select from taken) as "isMine", ${holderColumns('b')}
from (select) as one
left join before as b on true;
commit;`;
}

/** Gives a row where it was still ours. */
export function renewLeaseSql(key: LedgerKey, leaseMs: number): string {
  return `update ${tableOf(key)} set expires_at = ${endSql(leaseMs)} where ${isOurs(key)} returning 1 as "renewed"`;
}

export function releaseLeaseSql(key: LedgerKey): string {
  return `begin isolation level read committed, read write; set local lock_timeout = '500ms'; delete from ${tableOf(key)} where ${isOurs(key)}; commit;`;
}

/** An expression that is true where the lease is ours, and until the transaction ends. */
export function holdsLeaseSql(key: LedgerKey): string {
  return `exists (select from ${tableOf(key)} where ${isOurs(key)} for key share)`;
}

/** Gives a row where somebody holds a lease that has not ended. */
export function readLeaseSql(key: LedgerKey): string {
  return `select ${holderColumns('l')}
from ${tableOf(key)} as l
where ${isLive(key)}`;
}

/** An expression that is true where somebody holds a lease that has not ended. */
export function leaseIsLiveSql(key: LedgerKey): string {
  return `exists (select from ${tableOf(key)} as l where ${isLive(key)})`;
}

/** As a session that blocks: its user and machine are those of the runner, not of the database. */
export function asBlocker({ pid, user, client, sinceMs }: LeaseHolder): Blocker {
  return {
    ...{ pid, user, client, sinceMs, application: 'evdb', query: null },
    state: 'holding the lease',
  };
}

function isLive(key: LedgerKey): string {
  return `l.target_schema = ${quoteLiteral(key.targetSchema)} and l.expires_at > pg_catalog.clock_timestamp()`;
}

function holderColumns(row: string): string {
  const ms = (age: string) => `(extract(epoch from ${age}) * 1000)::float8`;
  return `${row}.token::text as "token",
    ${row}.process_id as "pid",
    ${row}.os_user as "user",
    ${row}.host_name as "client",
    ${ms(`pg_catalog.clock_timestamp() - ${row}.acquired_at`)} as "sinceMs",
    ${ms(`${row}.expires_at - pg_catalog.clock_timestamp()`)} as "leftMs"`;
}

function endSql(leaseMs: number): string {
  return `pg_catalog.clock_timestamp() + interval '${Math.round(leaseMs)} milliseconds'`;
}

function isOurs({ targetSchema, lease = '' }: LedgerKey): string {
  return `target_schema = ${quoteLiteral(targetSchema)} and token = ${quoteLiteral(lease)}`;
}

function tableOf({ ledgerSchema }: LedgerKey): string {
  return `${quoteIdent(ledgerSchema)}.lease`;
}

function literal(value: string | undefined): string {
  return value === undefined ? 'null' : quoteLiteral(value);
}
