import { hash } from 'node:crypto';
import { FOREIGN_MARKERS, withoutMarker } from '../migrate/files/foreign-markers.ts';
import { parseVersion } from '../migrate/files/version.ts';
import {
  type Adapter,
  type AdoptionFinding,
  adoptionFinding,
  byNumber,
  epochMsSql,
  type ForeignFile,
  type ForeignMigration,
  type ForeignRow,
  isoFromEpochMs,
  plainSection,
  type TableRow,
  withLineEnds,
} from './foreign.ts';

const FILE_NAME = /^(\d+)_(.*?)(\.up|\.down)?\.sql$/;
const { noTransaction: NO_TRANSACTION } = FOREIGN_MARKERS.sqlx;

/** Single files or pairs; the table holds SHA-384 of the bytes of the file that goes up. */
export const sqlx: Adapter = {
  tool: 'sqlx',
  folders: ['migrations'],
  table: { name: '_sqlx_migrations', columns: ['version', 'checksum', 'success'] },
  isSql: (path) => FILE_NAME.test(path),
  readFiles,
  rowsSql: (table) => `select
    version::text as "version", success as "isDone",
    pg_catalog.encode(checksum, 'hex') as "checksum",
    execution_time::text as "executionNs",
    ${epochMsSql('installed_on', 'timestamptz')} as "appliedAt"
from ${table}
order by version`,
  readRows: (rows) => ({
    rows: rows.filter(({ isDone }) => isDone === true).map(readRow),
    findings: rows.filter(({ isDone }) => isDone !== true).map(failed),
  }),
};

function readFiles(files: ForeignFile[]) {
  const downs = new Map<string, string>();
  const migrations: ForeignMigration[] = [];
  for (const { path, bytes, text } of files) {
    const match = FILE_NAME.exec(path);
    if (!match || path.includes('/')) continue;
    const [, label = '', name = '', direction] = match;
    const key = parseVersion(label);
    if (direction === '.down') {
      downs.set(key, text);
      continue;
    }
    const up = plainSection(withoutMarker(NO_TRANSACTION, text), NO_TRANSACTION.test(text));
    const checksums = withLineEnds(bytes).map((content) => hash('sha384', content, 'hex'));
    migrations.push({ key, label, name, path, up, down: null, checksums });
  }
  for (const migration of migrations) {
    const down = downs.get(migration.key);
    if (down === undefined) continue;
    migration.down = plainSection(withoutMarker(NO_TRANSACTION, down), NO_TRANSACTION.test(down));
  }
  return { migrations: migrations.sort(byNumber), findings: [] };
}

function readRow({ version, checksum, executionNs, appliedAt }: TableRow): ForeignRow {
  const nanoseconds = Number(executionNs);
  return {
    key: String(version),
    appliedAt: isoFromEpochMs(appliedAt),
    // -1 until the row is updated after the commit
    durationMs: nanoseconds >= 0 ? nanoseconds / 1e6 : null,
    checksum: String(checksum),
  };
}

function failed({ version }: TableRow): AdoptionFinding {
  return adoptionFinding({
    severity: 'error',
    message: `the table says that version ${version} failed (success is false)`,
    hint: 'Finish or undo by hand what it left in the database, set or delete its row as sqlx asks for it, and adopt again.',
  });
}
