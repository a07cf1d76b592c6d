import { tokenChecksum } from '../../sql/lexical.ts';
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts';
import type { Statement } from '../../sql/statements.ts';
import type { Script } from '../files/source.ts';
import type { Version } from '../files/version.ts';
import type { LedgerKey } from './ledger.ts';
import type { LedgerEntry } from './record.ts';

/** Enough to tell an edited statement; the whole checksums of a long script would be a long row. */
const CHECKSUM_LENGTH = 16;

/** Stands before the checksum of a statement that runs in batches. */
export const BACKFILL_MARK = 'backfill:';

/** What the journal knows a statement by: its text without comments and white space. */
export function statementChecksum({ text }: Script, statement: Statement): string {
  return tokenChecksum(text, [statement]).slice(0, CHECKSUM_LENGTH);
}

/** The journal as it begins; nothing of the script has run. */
export function openJournalSql(
  key: LedgerKey,
  version: Version,
  { state, checksums }: { state: 'applying' | 'reverting'; checksums: string[] },
): string {
  return update(key, version, [
    ['state', quoteLiteral(state)],
    ['statements_done', '0'],
    ...journalOf(checksums),
    ['statement_started', 'null'],
    ['statement_started_at', 'null'],
  ]);
}

/** The journal of a script that is taken up again: what has not run may have been edited since. */
export function reopenJournalSql(key: LedgerKey, version: Version, checksums: string[]): string {
  return update(key, version, journalOf(checksums));
}

/** A script that is taken up again may have other statements ahead than it had. */
export function replaceScriptSql(key: LedgerKey, entry: LedgerEntry): string {
  const { version, label, name, checksum, tokenChecksum: tokens, upText, downText } = entry;
  const texts = `up_text = ${nullable(upText)}, down_text = ${nullable(downText)}`;
  return `${update(key, version, [
    ['label', quoteLiteral(label)],
    ['name', quoteLiteral(name)],
    ['checksum', quoteLiteral(checksum)],
    ['token_checksum', quoteLiteral(tokens)],
  ])}
update ${quoteIdent(key.ledgerSchema)}.migration_text set ${texts} where ${rowOf(key, version)};`;
}

/**
 * Written before a statement that runs outside of any transaction. Gives a row unless the journal
 * stands elsewhere, as it does for a message of a runner that was killed and arrives late.
 */
export function startStatementSql(key: LedgerKey, version: Version, { index }: Statement): string {
  return journalAt(key, version, index, [
    ['statement_started', String(index + 1)],
    ['statement_started_at', 'pg_catalog.clock_timestamp()'],
  ]);
}

/** Written behind a statement, in its transaction where it has one. Gives a row as above. */
export function finishStatementSql(
  key: LedgerKey,
  version: Version,
  { index }: Pick<Statement, 'index'>,
  returning?: string,
): string {
  const changes: Change[] = [
    ['statements_done', String(index + 1)],
    ['statement_started', 'null'],
    ['statement_started_at', 'null'],
  ];
  return journalAt(key, version, index, changes, returning);
}

/** Says of a statement that was started that it is not done, so that it runs again. */
export function forgetStartedSql(
  key: LedgerKey,
  version: Version,
  { index }: Pick<Statement, 'index'>,
): string {
  return journalAt(key, version, index, [
    ['statement_started', 'null'],
    ['statement_started_at', 'null'],
  ]);
}

/** The end of a script: from now on it is applied. */
export function closeJournalSql(key: LedgerKey, version: Version, durationMs: number): string {
  return update(key, version, [
    ['state', "'applied'"],
    ['applied_at', 'pg_catalog.clock_timestamp()'],
    ['duration_ms', String(durationMs)],
    ['statement_checksums', 'null'],
  ]);
}

/** Conditions by which a new session finds out what a lost one has written. */
export const isWritten = {
  opened: (key: LedgerKey, version: Version) =>
    rowExists(key, version, "state <> 'applied' and statements_done = 0"),
  started: (key: LedgerKey, version: Version, { index }: Pick<Statement, 'index'>) =>
    rowExists(key, version, `statement_started = ${index + 1}`),
  finished: (key: LedgerKey, version: Version, { index }: Pick<Statement, 'index'>) =>
    rowExists(key, version, `statements_done = ${index + 1} and statement_started is null`),
  forgotten: (key: LedgerKey, version: Version, { index }: Pick<Statement, 'index'>) =>
    rowExists(key, version, `statements_done = ${index} and statement_started is null`),
  closed: (key: LedgerKey, version: Version) => rowExists(key, version, "state = 'applied'"),
  removed: (key: LedgerKey, version: Version) => `not ${rowExists(key, version, 'true')}`,
};

function rowExists(key: LedgerKey, version: Version, condition: string): string {
  return `exists (select from ${quoteIdent(key.ledgerSchema)}.migration where ${rowOf(key, version)} and ${condition})`;
}

type Change = [column: string, value: string];

function journalOf(checksums: string[]): Change[] {
  return [
    ['statements_total', String(checksums.length)],
    ['statement_checksums', `${quoteLiteral(`{${checksums.join(',')}}`)}`],
  ];
}

function journalAt(
  key: LedgerKey,
  version: Version,
  done: number,
  changes: Change[],
  returning = 'version',
): string {
  const only = `and statements_done = ${done} and state <> 'applied' returning ${returning}`;
  return update(key, version, changes, only);
}

function update(key: LedgerKey, version: Version, changes: Change[], only = ''): string {
  const sets = changes.map(([column, value]) => `${column} = ${value}`).join(', ');
  return `update ${quoteIdent(key.ledgerSchema)}.migration set ${sets} where ${rowOf(key, version)} ${only};`;
}

function rowOf({ targetSchema }: LedgerKey, version: Version): string {
  return `target_schema = ${quoteLiteral(targetSchema)} and version = ${version}`;
}

function nullable(value: string | null): string {
  return value === null ? 'null' : quoteLiteral(value);
}
