import type { Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { quoteLiteral } from '../../sql/quote.ts';
import { splitStatements } from '../../sql/statements.ts';
import { sameCommand } from '../../text/command-line.ts';
import { withRunner } from '../apply/runner.ts';
import { type MigrationFile, readScript, readTextToKeep } from '../files/source.ts';
import { compareVersions, isVersion, parseVersion, type Version } from '../files/version.ts';
import { ledgerEntry } from '../ledger/ledger.ts';
import type { Provenance } from '../ledger/provenance.ts';
import {
  insertHistoriesSql,
  insertTakenOverSql,
  type LedgerEntry,
  type TakenOver,
  writeLedger,
} from '../ledger/record.ts';
import { DEFAULT_STORED_TEXT_LIMIT_BYTES, ledgerKey, type MigrateOptions } from '../options.ts';
import type { MigrationStatus } from '../plan/compare.ts';
import { fullName } from '../plan/plan.ts';
import { readStanding, requireMigrations, type Standing, withSession } from '../plan/read.ts';

/** What `baselineMigrations` needs in addition to the options of every command on migrations. */
export interface BaselineOptions extends MigrateOptions {
  /** The last version whose objects the database already contains. */
  version: string;
  /** Confirms it if the ledger already has rows, or the target schema is empty. */
  confirm?: boolean | undefined;
  /** The reason; recorded in the history. */
  reason?: string | undefined;
}

/** Which migrations count as applied from then on. */
export interface BaselineResult {
  schema: string;
  /** The requested version, as written in its file name. */
  version: Version;
  label: string;
  /** Which became, or would become, applied without having run; in version order. */
  migrations: { version: Version; label: string; name: string }[];
  /** Why `--confirm` is needed; null if it is not. */
  risk: string | null;
}

/**
 * Says what `baselineMigrations` would do, as if it were confirmed; writes nothing.
 *
 * @throws {EvdbError} those of `baselineMigrations`, without CONFIRM_REQUIRED
 * @example
 * const { migrations } = await planMigrateBaseline({ ...options, version: '006' });
 */
export function planMigrateBaseline(options: BaselineOptions): Promise<BaselineResult> {
  const files = requireMigrations(options);
  return withSession(options, (session) => plan(session, options, files));
}

/**
 * Puts a database whose objects were created by other means under evdb: every file up to a version
 * counts as applied from then on, and none is run. One transaction, with an entry in the history
 * for each.
 *
 * @throws {EvdbError} USAGE, UNKNOWN_VERSION, CONFIRM_REQUIRED if the ledger already has rows or
 *   the target schema is empty, and those of `requireMigrations` and `validateMigrations`
 * @example
 * await baselineMigrations({ connection, directory: 'migrations', version: '006' });
 */
export function baselineMigrations(options: BaselineOptions): Promise<BaselineResult> {
  const files = requireMigrations(options);
  return withSession(options, async (worker) => {
    const first = await plan(worker, options, files);
    requireConfirm(first, options);
    if (first.migrations.length === 0) return first;
    return withRunner(worker, options, async (context) => {
      // Another runner may have been at work before the lock was ours.
      const result = await plan(worker, options, files);
      requireConfirm(result, options);
      if (result.migrations.length === 0) return result;
      const chosen = new Set(result.migrations.map(({ version }) => version));
      const entries = files
        .filter(({ version }) => chosen.has(version))
        .map((file) => readEntry(file, options));
      await writeLedger(context, baselineSql(entries, options, context.provenance));
      return result;
    });
  });
}

async function plan(
  session: Session,
  options: BaselineOptions,
  files: MigrationFile[],
): Promise<BaselineResult> {
  const standing = await readStanding(session, options, files);
  const { version, label } = requireFile(options.version, files);
  const migrations = standing.statuses
    .filter(({ file, row }) => file !== undefined && row === undefined)
    .filter((status) => compareVersions(status.version, version) <= 0)
    .map(({ version, label, name }) => ({ version, label, name }));
  const { targetSchema: schema } = ledgerKey(options);
  const risk =
    migrations.length === 0
      ? null
      : (riskOfRows(standing, migrations.length) ?? (await riskOfEmptyTarget(session, schema)));
  return { schema, version, label, migrations, risk };
}

function requireFile(wanted: string, files: MigrationFile[]): MigrationFile {
  if (!isVersion(wanted)) {
    throw new EvdbError('USAGE', `${JSON.stringify(wanted)} is not a version`, {
      hint: `A version is the digits that a file name starts with, for example: ${sameCommand('migrate baseline', {}, { args: ['003'] })}`,
    });
  }
  const named = files.find(({ version }) => version === parseVersion(wanted));
  if (named) return named;
  throw new EvdbError('UNKNOWN_VERSION', `there is no file of version ${wanted}`, {
    hint: 'Name the newest one whose objects the database holds already.',
    details: { version: wanted },
  });
}

function riskOfRows({ ledger, statuses }: Standing, count: number): string | null {
  if (ledger.rows.length === 0) return null;
  const newest = statuses.findLast(({ row }) => row !== undefined) as MigrationStatus;
  return `the ledger holds ${ledger.rows.length} of these migrations already, the newest is ${fullName(newest)}; ${count} more would count as applied without having run`;
}

/** Migrations that left nothing have hardly been applied here. */
async function riskOfEmptyTarget(session: Session, schema: string): Promise<string | null> {
  const name = quoteLiteral(schema);
  const [row] = await session.run(`
    select exists (
        select
        from pg_catalog.pg_namespace as ns
        where ns.nspname = ${name}
            and (
                exists (select from pg_catalog.pg_class as rel where rel.relnamespace = ns.oid
                    and rel.relkind in ('r', 'p', 'v', 'm', 'f', 'c')
                    and not exists (${ownedByExtensionSql('pg_class', 'rel.oid')}))
                or exists (select from pg_catalog.pg_proc as fn where fn.pronamespace = ns.oid
                    and not exists (${ownedByExtensionSql('pg_proc', 'fn.oid')}))
                or exists (select from pg_catalog.pg_type as typ where typ.typnamespace = ns.oid
                    and typ.typtype in ('d', 'e', 'r')
                    and not exists (${ownedByExtensionSql('pg_type', 'typ.oid')}))
            )
    ) as "hasObjects"`);
  if (row?.hasObjects === true) return null;
  return `schema "${schema}" is empty or not there, so these migrations were probably never applied to it`;
}

function ownedByExtensionSql(catalog: string, oid: string): string {
  return `select from pg_catalog.pg_depend as dep where dep.classid = 'pg_catalog.${catalog}'::pg_catalog.regclass and dep.objid = ${oid} and dep.deptype = 'e'`;
}

function requireConfirm({ risk }: BaselineResult, { version, confirm }: BaselineOptions): void {
  if (risk === null || confirm) return;
  throw new EvdbError('CONFIRM_REQUIRED', risk, {
    hint: `Nothing was changed. If that is intended: ${sameCommand('migrate baseline', { confirm: true }, { args: [version] })}`,
    details: { version },
  });
}

function readEntry(file: MigrationFile, options: BaselineOptions): LedgerEntry {
  const up = readScript(file.upPath);
  return ledgerEntry(file, {
    up,
    statements: splitStatements(up.text),
    downText: file.downPath ? readTextToKeep(file.downPath) : null,
    limitBytes: options.storedTextLimitBytes ?? DEFAULT_STORED_TEXT_LIMIT_BYTES,
  });
}

/** When they were applied, nobody knows; the history says when the baseline was set. */
function baselineSql(
  entries: LedgerEntry[],
  options: BaselineOptions,
  provenance: Provenance,
): string {
  const key = ledgerKey(options);
  const rows = entries.map(
    (entry): TakenOver => ({ entry, origin: 'baseline', appliedAt: null, durationMs: null }),
  );
  const histories = entries.map(({ version, label, name, checksum }) => ({
    action: 'baseline' as const,
    version,
    label,
    name,
    checksum,
    ...(options.reason && { detail: options.reason }),
  }));
  return `${insertTakenOverSql(key, rows)}\n${insertHistoriesSql(key, histories, provenance)}`;
}
