import { describeUser, type Session, type SessionFacts } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { tokenChecksum } from '../../sql/lexical.ts';
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts';
import type { Statement } from '../../sql/statements.ts';
import { commandLine } from '../../text/command-line.ts';
import type { Script } from '../files/source.ts';
import type { Version } from '../files/version.ts';
import { type LedgerEntry, schemaExistsSql } from './record.ts';
import { parseRepeatables, type RepeatableRow, repeatablesSql } from './repeatables.ts';

/** Raised when the layout in ledger-schema.ts changes; a ledger with a higher one belongs to a newer evdb. */
export const LEDGER_FORMAT = 11;

/** Which ledger, and which copy of the schema in it. */
export interface LedgerKey {
  ledgerSchema: string;
  /** The PostgreSQL schema that the migrations are applied to. */
  targetSchema: string;
  /** The token of the lease that this run holds; absent where the runners' lock is an advisory one. */
  lease?: string;
}

/** `applying` and `reverting`: a no-transaction script is at work, or stopped half way. */
export type LedgerState = 'applied' | 'applying' | 'reverting';

export interface LedgerRow {
  version: Version;
  label: string;
  name: string;
  checksum: string;
  tokenChecksum: string;
  state: LedgerState;
  statementsDone: number;
  statementsTotal: number;
  /** ISO 8601 in UTC; null where nobody knows, as for an adopted migration. */
  appliedAt: string | null;
  durationMs: number | null;
  /** From 1: the statement that was begun outside a transaction and is not known to be done. */
  statementStarted: number | null;
  /** Of the statements of a no-transaction script that is not done; else empty. */
  statementChecksums: string[];
  /** `applied` by evdb, or there before: `baseline`, `adopted:<tool>`. */
  origin: string;
}

export interface Ledger {
  exists: boolean;
  /** The layout; an older one is read as it is, and brought up to date by whoever writes. */
  format: number;
  targetExists: boolean;
  /** Whether the ledger's schema is there, which may be without a ledger. */
  schemaExists: boolean;
  /** In version order. */
  rows: LedgerRow[];
  /** By name. */
  repeatables: RepeatableRow[];
}

/**
 * Reads what is applied. Writes nothing: a database without a ledger reads as one where nothing
 * is applied.
 *
 * @throws {EvdbError} LEDGER_TOO_NEW, PERMISSION_DENIED
 */
export async function readLedger(session: Session, key: LedgerKey): Promise<Ledger> {
  if (isNotThereYet(session, key)) {
    const absent = await readAbsent(session, key);
    if (absent) return absent;
    madeSince.add(session.facts);
  }
  try {
    return await readTables(session, key, repeatablesSql(key)).catch(async (error: unknown) => {
      if (!isMissing(error)) throw error;
      // One that is older than the repeatables has no table of them.
      return (await readAbsent(session, key)) ?? (await readTables(session, key, 'null::text'));
    });
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === '42501') throw denied(session, key, error);
    if (code === '42703') await refuseOtherLayout(session, key);
    throw error;
  }
}

/** undefined_table, invalid_schema_name */
function isMissing(error: unknown): boolean {
  return ['42P01', '3F000'].includes((error as { code?: string }).code ?? '');
}

/** The one that is there in a ledger of any format. */
export const LEDGER_TABLE = 'ledger_format';

/** Sessions that saw a ledger which was not there as they opened. */
const madeSince = new WeakSet<SessionFacts>();

/** Whether there was no ledger as the session opened, and none was seen since. */
export function isNotThereYet({ facts }: Session, { ledgerSchema }: LedgerKey): boolean {
  return facts.lacksTable === `${ledgerSchema}.${LEDGER_TABLE}` && !madeSince.has(facts);
}

/**
 * What a database without a ledger reads as; undefined where there is one.
 *
 * @throws {EvdbError} LEDGER_DAMAGED where only some of its tables are there
 */
async function readAbsent(session: Session, key: LedgerKey): Promise<Ledger | undefined> {
  const [row] = await session.run(`select
    ${tablesSql(key.ledgerSchema)} as "tables",
    ${schemaExistsSql(key.targetSchema)} as "targetExists",
    ${schemaExistsSql(key.ledgerSchema)} as "schemaExists"`);
  const { tables, targetExists, schemaExists } = row as {
    tables: string;
    targetExists: boolean;
    schemaExists: boolean;
  };
  if (tables !== '') {
    refuseDamaged(tables, key);
    return undefined;
  }
  return {
    ...{ exists: false, format: LEDGER_FORMAT, targetExists, schemaExists },
    ...{ rows: [], repeatables: [] },
  };
}

async function readTables(session: Session, key: LedgerKey, repeatables: string): Promise<Ledger> {
  const [row] = await session.run(readLedgerSql(key, repeatables));
  const found = row as {
    format: number;
    targetExists: boolean;
    tables: string;
    rows: string | null;
    repeatables: string | null;
  };
  const { format, targetExists } = found;
  if (format > LEDGER_FORMAT) throw tooNew(format, key);
  refuseDamaged(found.tables, key, format >= REPEATABLES_SINCE);
  return {
    ...{ exists: true, format, targetExists, schemaExists: true },
    rows: found.rows?.split(RECORD).map(parseRow) ?? [],
    repeatables: parseRepeatables(found.repeatables),
  };
}

const REPEATABLES_SINCE = 9;

const TABLES = [LEDGER_TABLE, 'migration', 'migration_text', 'history'];
const REPEATABLE_TABLES = ['repeatable', 'repeatable_text'];

/** The ledger's tables that there are, as one text. Looked up by name: a join of the catalog takes longer to plan. */
function tablesSql(ledgerSchema: string): string {
  const tables = [...TABLES, ...REPEATABLE_TABLES].map((table) => {
    const name = quoteLiteral(`${quoteIdent(ledgerSchema)}.${table}`);
    return `case when pg_catalog.to_regclass(${name}) is not null then ${quoteLiteral(table)} end`;
  });
  return `pg_catalog.concat_ws(' ', ${tables.join(', ')})`;
}

function refuseDamaged(tables: string, { ledgerSchema }: LedgerKey, hasRepeatables = false): void {
  const there = new Set(tables.split(' '));
  const wanted = hasRepeatables ? [...TABLES, ...REPEATABLE_TABLES] : TABLES;
  const missing = wanted.filter((table) => !there.has(table));
  if (missing.length === 0) return;
  const names = missing.map((table) => `${ledgerSchema}.${table}`).join(', ');
  throw new EvdbError('LEDGER_DAMAGED', `the ledger lacks ${names}`, {
    hint: `Restore what is missing from a backup. Where there is none: drop schema ${quoteIdent(ledgerSchema)} cascade; and then say what is applied with \`${commandLine('migrate baseline')}\`.`,
    details: { missing },
  });
}

/** A newer layout may lack a column that this evdb reads. */
async function refuseOtherLayout(session: Session, key: LedgerKey): Promise<void> {
  const [row] = await session.run(
    `select format from ${quoteIdent(key.ledgerSchema)}.ledger_format`,
  );
  const { format } = row as { format: number };
  if (format > LEDGER_FORMAT) throw tooNew(format, key);
}

/** Separators that no value holds: names have none, and the rest is digits and fixed words. */
const FIELD = '\u001f';
const RECORD = '\u001e';

/**
 * One text for all rows: JSON would cost the server five times as much for a thousand of them.
 * A column that a ledger of format 1 lacks is found in `older`, because names are looked up in the
 * inner query first.
 */
function readLedgerSql({ ledgerSchema, targetSchema }: LedgerKey, repeatables: string): string {
  const s = quoteIdent(ledgerSchema);
  return `select
    (select format from ${s}.ledger_format) as "format",
    ${schemaExistsSql(targetSchema)} as "targetExists",
    ${tablesSql(ledgerSchema)} as "tables",
    (
        select pg_catalog.string_agg(
            pg_catalog.concat_ws(
                ${quoteLiteral(FIELD)},
                version, label, name, checksum, token_checksum, state, statements_done, statements_total,
                coalesce((extract(epoch from applied_at) * 1000)::bigint::text, ''),
                coalesce(duration_ms::text, ''), coalesce(statement_started::text, ''),
                coalesce(pg_catalog.array_to_string(statement_checksums, ' '), ''), origin
            ),
            ${quoteLiteral(RECORD)} order by version
        )
        from ${s}.migration
        where target_schema = ${quoteLiteral(targetSchema)}
    ) as "rows",
    ${repeatables} as "repeatables"
from (
    select
        null::integer as statement_started,
        null::text[] as statement_checksums,
        'applied'::text as origin
) as older`;
}

function parseRow(record: string): LedgerRow {
  // Each by its place: code that runs for the first time takes an array apart by way of an iterator,
  // with an object for each field, and a thousand rows are read once.
  const fields = record.split(FIELD) as Fields;
  return {
    version: fields[0],
    label: fields[1],
    name: fields[2],
    checksum: fields[3],
    tokenChecksum: fields[4],
    state: fields[5],
    statementsDone: Number(fields[6]),
    statementsTotal: Number(fields[7]),
    appliedAt: fields[8] === '' ? null : new Date(Number(fields[8])).toISOString(),
    durationMs: numberOrNull(fields[9]),
    statementStarted: numberOrNull(fields[10]),
    statementChecksums: fields[11] === '' ? [] : fields[11].split(' '),
    origin: fields[12],
  };
}

/** In the order in which `readLedgerSql` puts them together. */
type Fields = [
  ...[version: Version, label: string, name: string, checksum: string, tokenChecksum: string],
  ...[state: LedgerState, statementsDone: string, statementsTotal: string],
  ...[appliedAtMs: string, durationMs: string, statementStarted: string],
  ...[statementChecksums: string, origin: string],
];

function numberOrNull(text: string): number | null {
  return text === '' ? null : Number(text);
}

interface StoredText {
  up: string | null;
  down: string | null;
}

/**
 * Reads the scripts that the ledger kept for some versions.
 *
 * @throws {EvdbError} PERMISSION_DENIED: only the ledger's owner may
 */
export async function readStoredTexts(
  session: Session,
  key: LedgerKey,
  versions: Version[],
): Promise<Map<Version, StoredText>> {
  if (versions.length === 0) return new Map();
  try {
    const rows = await session.run(`
      select version::text as "version", up_text as "up", down_text as "down"
      from ${quoteIdent(key.ledgerSchema)}.migration_text
      where target_schema = ${quoteLiteral(key.targetSchema)}
          and version in (${versions.join(', ')})`);
    return new Map(rows.map((row) => [row.version as string, row as unknown as StoredText]));
  } catch (error) {
    if ((error as { code?: string }).code === '42501') throw denied(session, key, error);
    throw error;
  }
}

function tooNew(format: number, key: LedgerKey): EvdbError {
  return new EvdbError(
    'LEDGER_TOO_NEW',
    `the ledger in schema "${key.ledgerSchema}" has format ${format}; this evdb knows up to ${LEDGER_FORMAT}`,
    { hint: 'A newer evdb wrote it. Upgrade evdb here.' },
  );
}

function denied(session: Session, { ledgerSchema }: LedgerKey, cause: unknown): EvdbError {
  const s = quoteIdent(ledgerSchema);
  const user = quoteIdent(session.facts.user);
  return new EvdbError(
    'PERMISSION_DENIED',
    `${describeUser(session.facts)} may not read the ledger in schema "${ledgerSchema}"`,
    {
      hint: `To read the status, let its owner run: grant usage on schema ${s} to ${user}; grant select on ${s}.ledger_format, ${s}.migration, ${s}.repeatable, ${s}.history to ${user}; The stored scripts are for the owner alone.`,
      cause,
    },
  );
}

/** A migration as the ledger keeps it. */
export function ledgerEntry(
  { version, label, name }: { version: Version; label: string; name: string },
  from: { up: Script; statements: Statement[]; downText: string | null; limitBytes: number },
): LedgerEntry {
  const { up, statements, downText, limitBytes } = from;
  const keep = (text: string | null) =>
    text !== null && Buffer.byteLength(text) <= limitBytes ? text : null;
  const about = { version, label, name, downText: keep(downText) };
  if (up.large) {
    const { statementsTotal, sums } = up.large;
    return {
      ...about,
      statementsTotal,
      upText: null,
      get checksum() {
        return sums.checksum;
      },
      get tokenChecksum() {
        return sums.tokenChecksum;
      },
    };
  }
  return {
    ...about,
    checksum: up.checksum,
    tokenChecksum: tokenChecksum(up.text, statements),
    statementsTotal: statements.length,
    upText: keep(up.text),
  };
}
