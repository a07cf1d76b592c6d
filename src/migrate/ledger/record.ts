import { restUnderName } from '../../connection/blockers.ts';
import { synchronousSql } from '../../connection/options.ts';
import { withLockRetries } from '../../connection/retry.ts';
import type { Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts';
import type { Version } from '../files/version.ts';
import type { LedgerKey } from './ledger.ts';
import { fenceSql, holdsLockSql, isFenced, leaseLost, runnerLock } from './lock.ts';
import type { Provenance } from './provenance.ts';

/** What a ledger row says of a migration. */
export interface LedgerEntry {
  version: Version;
  label: string;
  name: string;
  checksum: string;
  tokenChecksum: string;
  statementsTotal: number;
  upText: string | null;
  downText: string | null;
}

/**
 * `resumed`: a no-transaction script that stopped half way was taken up again; the `up` or `down`
 * follows when it is done. `adopted`: taken over from another tool.
 */
type HistoryAction =
  | 'up'
  | 'down'
  | 'failed'
  | 'repaired'
  | 'baseline'
  | 'reset'
  | 'adopted'
  | 'resumed';

export interface HistoryEntry {
  action: HistoryAction;
  version?: Version;
  label?: string;
  name?: string;
  checksum?: string;
  error?: string;
  durationMs?: Duration;
  /** The reason that was given, or what exactly was done. */
  detail?: string;
}

/** `transaction` lets the server say how long the transaction has been going on. */
type Duration = number | 'transaction';

/** A text without its row is of one that somebody has deleted. */
const OVER_REMAINS =
  'on conflict on constraint migration_text_pkey do update set up_text = excluded.up_text, down_text = excluded.down_text';

/** The rows of a no-transaction migration that is about to run, `applying`. */
export function insertMigrationSql(key: LedgerKey, entry: LedgerEntry): string {
  const s = quoteIdent(key.ledgerSchema);
  const id = `${quoteLiteral(key.targetSchema)}, ${entry.version}`;
  return `insert into ${s}.migration (target_schema, version, label, name, checksum, token_checksum, state, statements_total)
values (${id}, ${literals(entry.label, entry.name, entry.checksum, entry.tokenChecksum, 'applying')}, ${entry.statementsTotal});
insert into ${s}.migration_text (target_schema, version, up_text, down_text)
values (${id}, ${literals(entry.upText, entry.downText)})
${OVER_REMAINS};`;
}

/** A migration that evdb did not run itself: what the ledger holds of it beside the entry. */
export interface TakenOver {
  entry: LedgerEntry;
  /** `baseline` or `adopted:<tool>`. */
  origin: string;
  /** ISO 8601; null where nobody knows. */
  appliedAt: string | null;
  durationMs: number | null;
}

/** The rows of migrations that are applied without evdb having run them. */
export function insertTakenOverSql(key: LedgerKey, rows: TakenOver[]): string {
  const s = quoteIdent(key.ledgerSchema);
  const target = quoteLiteral(key.targetSchema);
  const migrations = rows.map(({ entry, origin, appliedAt, durationMs }) => {
    const { version, label, name, checksum, tokenChecksum, statementsTotal: total } = entry;
    return `(${target}, ${version}, ${literals(label, name, checksum, tokenChecksum, 'applied')}, ${total}, ${total}, ${literals(appliedAt)}::timestamptz, ${durationMs ?? 'null'}::float8, ${literals(origin)})`;
  });
  const texts = rows.map(
    ({ entry }) => `(${target}, ${entry.version}, ${literals(entry.upText, entry.downText)})`,
  );
  return `insert into ${s}.migration (target_schema, version, label, name, checksum, token_checksum, state, statements_done, statements_total, applied_at, duration_ms, origin)
values ${migrations.join(',\n')};
insert into ${s}.migration_text (target_schema, version, up_text, down_text)
values ${texts.join(',\n')}
${OVER_REMAINS};`;
}

/** Makes the file, as it is now, what was applied. */
export function acceptEntrySql(key: LedgerKey, entry: LedgerEntry): string {
  const s = quoteIdent(key.ledgerSchema);
  const sets = Object.entries({
    label: entry.label,
    name: entry.name,
    checksum: entry.checksum,
    token_checksum: entry.tokenChecksum,
  }).map(([column, value]) => `${column} = ${quoteLiteral(value)}`);
  const total = entry.statementsTotal;
  return `update ${s}.migration set ${sets.join(', ')}, statements_done = ${total}, statements_total = ${total} where ${rowOf(key, entry.version)};
delete from ${s}.migration_text where ${rowOf(key, entry.version)};
insert into ${s}.migration_text (target_schema, version, up_text, down_text)
values (${quoteLiteral(key.targetSchema)}, ${entry.version}, ${literals(entry.upText, entry.downText)});`;
}

/** @param others rows that go with it */
export function deleteMigrationSql(
  key: LedgerKey,
  version: Version,
  others: readonly Version[] = [],
): string {
  return `${deleteMigrationStatements(key, [version, ...others]).join(';\n')};`;
}

function deleteMigrationStatements(key: LedgerKey, versions: readonly Version[]): string[] {
  const s = quoteIdent(key.ledgerSchema);
  const target = `target_schema = ${quoteLiteral(key.targetSchema)}`;
  return ['backfill_segment', 'backfill', 'migration_text', 'migration'].map(
    (table) => `delete from ${s}.${table} where ${target} and version in (${versions.join(', ')})`,
  );
}

export function deleteTargetSql(key: LedgerKey): string {
  const s = quoteIdent(key.ledgerSchema);
  const ofTarget = `target_schema = ${quoteLiteral(key.targetSchema)}`;
  return `delete from ${s}.backfill_segment where ${ofTarget};
delete from ${s}.backfill where ${ofTarget};
delete from ${s}.structure_fingerprint where ${ofTarget};
delete from ${s}.repeatable_text where ${ofTarget};
delete from ${s}.repeatable where ${ofTarget};
delete from ${s}.migration_text where ${ofTarget};
delete from ${s}.migration where ${ofTarget};`;
}

export function insertHistorySql(key: LedgerKey, entry: HistoryEntry, by: Provenance): string {
  return insertHistoriesSql(key, [entry], by);
}

export function insertHistoriesSql(
  key: LedgerKey,
  entries: HistoryEntry[],
  by: Provenance,
): string {
  return `${insertHistoryStatement(key, entries, by)};`;
}

/** Without a semicolon. */
export function insertHistoryStatement(
  key: LedgerKey,
  entries: HistoryEntry[],
  by: Provenance,
): string {
  const origin = literals(by.osUser, by.hostName, by.toolVersion, by.gitCommit, by.ciUrl, by.runId);
  const rows = entries.map(
    (entry) =>
      `(${quoteLiteral(key.targetSchema)}, ${entry.version ?? 'null'}, ${literals(entry.label, entry.name, entry.action, entry.checksum, entry.error)}, ${durationSql(entry.durationMs)}, ${literals(entry.detail)}, ${origin})`,
  );
  return `insert into ${quoteIdent(key.ledgerSchema)}.history (target_schema, version, label, name, action, checksum, error, duration_ms, detail, os_user, host_name, tool_version, git_commit, ci_url, run_id)
values ${rows.join(',\n')}`;
}

function durationSql(durationMs: Duration | null | undefined): string {
  if (durationMs !== 'transaction') return String(durationMs ?? 'null');
  return '(extract(epoch from pg_catalog.clock_timestamp() - pg_catalog.transaction_timestamp()) * 1000)::float8';
}

function rowOf(key: LedgerKey, version: Version): string {
  return `target_schema = ${quoteLiteral(key.targetSchema)} and version = ${version}`;
}

function literals(...values: (string | null | undefined)[]): string {
  return values.map((value) => (value == null ? 'null' : quoteLiteral(value))).join(', ');
}

/** Something on the server keeps the ledger from being written, such as a trigger. */
export function notRecorded({ ledgerSchema }: LedgerKey, name: string): EvdbError {
  return new EvdbError(
    'LEDGER_DAMAGED',
    `the ledger does not keep what evdb writes about ${name}`,
    {
      hint: `Look for a trigger, a rule or a row security policy on the tables of schema "${ledgerSchema}", and remove it.`,
    },
  );
}

/**
 * Runs bookkeeping in one transaction that is whole or not at all, with short lock timeouts. The
 * caller holds the runner's lock.
 */
export async function writeLedger(
  { worker, key, signal }: { worker: Session; key: LedgerKey; signal: AbortSignal | undefined },
  sql: string,
): Promise<void> {
  await withLockRetries(
    async ({ lockTimeoutMs }) => {
      try {
        await worker.run(
          `begin isolation level read committed, read write; set local lock_timeout = ${lockTimeoutMs}; ${fenceSql(key)}${sql} commit;`,
        );
      } catch (error) {
        if (!worker.isClosed) await worker.run('rollback').catch(() => undefined);
        throw isFenced(error, key) ? leaseLost() : error;
      }
    },
    { signal, rest: restUnderName({ worker, work: 'a change of the ledger' }) },
  );
}

/** What `record_up` gives in place of the transaction's id. */
export const NOT_RECORDED = { target: 'target', lock: 'lock', ledger: 'ledger' } as const;

const RECORD_UP_ARGUMENTS = {
  p_target_schema: 'text',
  p_version: 'bigint',
  p_label: 'text',
  p_name: 'text',
  p_checksum: 'text',
  p_token_checksum: 'text',
  p_statements_total: 'integer',
  p_up_text: 'text',
  p_down_text: 'text',
  p_os_user: 'text',
  p_host_name: 'text',
  p_tool_version: 'text',
  p_git_commit: 'text',
  p_ci_url: 'text',
};

/**
 * Writes the three rows of an applied migration, and says whether it may be committed. A function,
 * because its plans are kept for the session: planning these statements anew cost every migration
 * more than running them. A text that is there already is of a row that somebody has deleted.
 */
export function ledgerFunctionsDdl(s: string): string {
  const names = Object.entries({
    ...RECORD_UP_ARGUMENTS,
    p_lock_class: 'integer',
    p_lock_object: 'integer',
    p_run_id: 'uuid',
  });
  return `
create or replace function ${s}.record_up(
${names.map((argument) => `    ${argument.join(' ')}`).join(',\n')}
)
returns text
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
    delete from ${s}.migration_text
    where target_schema = p_target_schema and version = p_version;
    insert into ${s}.migration_text (target_schema, version, up_text, down_text)
    values (p_target_schema, p_version, p_up_text, p_down_text);
    insert into ${s}.history (
        target_schema, version, label, name, action, checksum, duration_ms,
        os_user, host_name, tool_version, git_commit, ci_url, run_id
    )
    values (
        p_target_schema, p_version, p_label, p_name, 'up', p_checksum, v_duration_ms,
        p_os_user, p_host_name, p_tool_version, p_git_commit, p_ci_url, p_run_id
    );
    if not found then
        return '${NOT_RECORDED.ledger}';
    end if;
    if not exists (select from pg_namespace where nspname = p_target_schema) then
        return '${NOT_RECORDED.target}';
    end if;
    if p_lock_class is not null then
        if not pg_try_advisory_lock(p_lock_class, p_lock_object) then
            return '${NOT_RECORDED.lock}';
        end if;
    end if;
    if not exists (
        select
        from ${s}.migration
        where target_schema = p_target_schema
            and version = p_version
            and transaction_id = pg_current_xact_id()
    ) then
        return '${NOT_RECORDED.ledger}';
    end if;
    if current_setting('synchronous_commit') = 'off' then
        perform set_config('synchronous_commit', 'on', true);
    end if;
    return pg_current_xact_id();
end
$$;
comment on function ${s}.record_up(${names.map(([, type]) => type).join(', ')}) is
    'Writes what is known of a migration, in the transaction that applied it; gives its id, or what is amiss';`;
}

/** Whether a schema is there. */
export function schemaExistsSql(schema: string): string {
  return `exists (select from pg_catalog.pg_namespace where nspname = ${quoteLiteral(schema)})`;
}

/** The functions that ledgers up to format 4 had in place of it. */
export function dropOldFunctionsSql(s: string): string {
  const upTo3 = Object.values(RECORD_UP_ARGUMENTS).join(', ');
  return `drop function if exists ${s}.record_up(${upTo3});
drop function if exists ${s}.record_up(${upTo3}, integer, integer);`;
}

/** The call that records an applied migration; the server says how long its transaction took. */
export function recordUpSql(key: LedgerKey, entry: LedgerEntry, by: Provenance): string {
  return `select ${recordUpCall(key, entry, by)} as "recorded"`;
}

/**
 * The same for where the commit follows unseen: it fails where that must not be. The mark that it leaves
 * for `isMarkedSql` goes with its transaction, and comes to stay with the commit.
 */
export function recordUpOrFailSql(key: LedgerKey, entry: LedgerEntry, by: Provenance): string {
  const call = recordUpCall(key, entry, by);
  return `select pg_catalog.set_config('${MARK}', ${markOf(entry, by)}, false) where ${call}::bigint > 0`;
}

/** Whether this one was the last in the session to be recorded, and is committed. */
export function isMarkedSql(entry: LedgerEntry, by: Provenance): string {
  return `pg_catalog.current_setting('${MARK}', true) = ${markOf(entry, by)}`;
}

const MARK = 'evdb.recorded';

function markOf({ version }: LedgerEntry, { runId }: Provenance): string {
  return quoteLiteral(`${runId} ${version}`);
}

function recordUpCall(key: LedgerKey, entry: LedgerEntry, by: Provenance): string {
  const { version, label, name, checksum, tokenChecksum, statementsTotal } = entry;
  const { osUser, hostName, toolVersion, gitCommit, ciUrl } = by;
  const values = [
    ...[literal(key.targetSchema), version],
    ...[label, name, checksum, tokenChecksum].map(literal),
    statementsTotal,
    ...[entry.upText, entry.downText].map(literal),
    ...[osUser, hostName, toolVersion, gitCommit, ciUrl].map(literal),
    // Without a lock to take again it asks for none.
    ...(key.lease === undefined ? runnerLock(key) : ['null', 'null']),
    literal(by.runId),
  ];
  const call = `${quoteIdent(key.ledgerSchema)}.record_up(${values.join(', ')})`;
  if (key.lease === undefined) return call;
  return `(case when ${holdsLockSql(key)} then ${call} else '${NOT_RECORDED.lock}' end)`;
}

/** Says whether what is recorded so far may be committed, in place of `record_up`. */
export function mayCommitSql(key: LedgerKey): string {
  return `select case
    when not ${schemaExistsSql(key.targetSchema)} then '${NOT_RECORDED.target}'
    when not ${holdsLockSql(key)} then '${NOT_RECORDED.lock}'
    else pg_catalog.pg_current_xact_id()::text
end as "recorded", ${synchronousSql(true)}`;
}

/**
 * The same for what is rolled back.
 *
 * @param others rows that go with it
 */
export function recordDownStatements(
  key: LedgerKey,
  entry: HistoryEntry & { version: Version },
  by: Provenance,
  others: readonly Version[] = [],
): string[] {
  const { ledgerSchema, targetSchema } = key;
  const isThere = `exists (select from ${quoteIdent(ledgerSchema)}.migration where ${rowOf(key, entry.version)})`;
  return [
    ...deleteMigrationStatements(key, [entry.version, ...others]),
    insertHistoryStatement(key, [{ ...entry, durationMs: 'transaction' }], by),
    `select case
    when not ${schemaExistsSql(targetSchema)} then '${NOT_RECORDED.target}'
    when not ${holdsLockSql(key)} then '${NOT_RECORDED.lock}'
    when ${isThere} then '${NOT_RECORDED.ledger}'
    else pg_catalog.pg_current_xact_id()::text
end as "recorded", ${synchronousSql(true)}`,
  ];
}

function literal(value: string | null | undefined): string {
  return value == null ? 'null' : quoteLiteral(value);
}
