import { quoteIdent, quoteLiteral } from '../sql/quote.ts';
import type { LedgerKey, LedgerState } from './ledger.ts';
import type { Provenance } from './provenance.ts';
import type { Version } from './version.ts';

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

export type HistoryAction = 'up' | 'down' | 'failed' | 'repaired' | 'baseline' | 'reset';

export interface HistoryEntry {
  action: HistoryAction;
  version?: Version;
  label?: string;
  name?: string;
  checksum?: string;
  error?: string;
  durationMs?: number;
}

/** The rows of a migration that has just run, as statements for the message that ends it. */
export function insertMigrationSql(
  key: LedgerKey,
  entry: LedgerEntry,
  { state, durationMs }: { state: LedgerState; durationMs: number | null },
): string {
  const s = quoteIdent(key.ledgerSchema);
  const done = state === 'applied' ? entry.statementsTotal : 0;
  const id = `${quoteLiteral(key.targetSchema)}, ${entry.version}`;
  return `insert into ${s}.migration (target_schema, version, label, name, checksum, token_checksum, state, statements_done, statements_total, duration_ms)
values (${id}, ${literals(entry.label, entry.name, entry.checksum, entry.tokenChecksum, state)}, ${done}, ${entry.statementsTotal}, ${durationMs ?? 'null'});
insert into ${s}.migration_text (target_schema, version, up_text, down_text)
values (${id}, ${literals(entry.upText, entry.downText)});`;
}

export function updateStateSql(
  key: LedgerKey,
  version: Version,
  change: {
    state: LedgerState;
    statementsDone?: number;
    statementsTotal?: number;
    durationMs?: number;
  },
): string {
  const sets = [
    `state = ${quoteLiteral(change.state)}`,
    ...(change.statementsDone === undefined ? [] : [`statements_done = ${change.statementsDone}`]),
    ...(change.statementsTotal === undefined
      ? []
      : [`statements_total = ${change.statementsTotal}`]),
    ...(change.durationMs === undefined ? [] : [`duration_ms = ${change.durationMs}`]),
  ];
  return `update ${quoteIdent(key.ledgerSchema)}.migration set ${sets.join(', ')} where ${rowOf(key, version)};`;
}

export function deleteMigrationSql(key: LedgerKey, version: Version): string {
  return `delete from ${quoteIdent(key.ledgerSchema)}.migration where ${rowOf(key, version)};`;
}

export function deleteTargetSql(key: LedgerKey): string {
  return `delete from ${quoteIdent(key.ledgerSchema)}.migration where target_schema = ${quoteLiteral(key.targetSchema)};`;
}

export function insertHistorySql(key: LedgerKey, entry: HistoryEntry, by: Provenance): string {
  return `insert into ${quoteIdent(key.ledgerSchema)}.history (target_schema, version, label, name, action, checksum, error, duration_ms, os_user, host_name, tool_version, git_commit, ci_url)
values (${quoteLiteral(key.targetSchema)}, ${entry.version ?? 'null'}, ${literals(entry.label, entry.name, entry.action, entry.checksum, entry.error)}, ${entry.durationMs ?? 'null'}, ${literals(by.osUser, by.hostName, by.toolVersion, by.gitCommit, by.ciUrl)});`;
}

function rowOf(key: LedgerKey, version: Version): string {
  return `target_schema = ${quoteLiteral(key.targetSchema)} and version = ${version}`;
}

function literals(...values: (string | null | undefined)[]): string {
  return values.map((value) => (value == null ? 'null' : quoteLiteral(value))).join(', ');
}
