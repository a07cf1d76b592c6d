import { hash } from 'node:crypto';
import { FOREIGN_MARKERS, withoutMarker } from '../migrate/files/foreign-markers.ts';
import { compareVersions, parseVersion } from '../migrate/files/version.ts';
import {
  type Adapter,
  type AdoptionFinding,
  adoptionFinding,
  byNumber,
  byText,
  epochMsSql,
  type ForeignFile,
  type ForeignMigration,
  type ForeignRow,
  isoFromEpochMs,
  plainSection,
  rowOf,
  type TableRow,
  withLineEnds,
} from './foreign.ts';

/* Tools that keep a file for each direction. */

/** The tool takes any ending, such as `.psql`. */
const PAIR_FILE = /^([0-9]+)_([^/]*)\.(down|up)\.[^/]*$/;

/** Two files a migration; the table holds one number, below which everything counts as applied. */
export const golangMigrate: Adapter = {
  tool: 'golang-migrate',
  folders: ['db/migrations', 'migrations'],
  table: { name: 'schema_migrations', columns: ['version', 'dirty'] },
  isSql: (path) => PAIR_FILE.test(path),
  readFiles: (files) => readPairs(files, 'golang-migrate'),
  rowsSql: (table) => `select version::text as "version", dirty as "isDirty" from ${table}`,
  readRows: ([row], migrations) => {
    if (!row) return { rows: [], findings: [] };
    const newest = String(row.version);
    if (row.isDirty === true) return { rows: [], findings: [dirty(newest)] };
    return readNewest(newest, migrations);
  },
};

/** Pairs of files, by number. */
export function readPairs(files: ForeignFile[], tool: string) {
  const byVersion = new Map<string, ForeignMigration>();
  const findings: AdoptionFinding[] = [];
  const seen = new Set<string>();
  for (const { path, text } of files) {
    const match = PAIR_FILE.exec(path);
    if (!match) continue;
    const [, label = '', name = '', direction] = match;
    const key = parseVersion(label);
    if (seen.has(`${key} ${direction}`)) findings.push(duplicate(path, label, tool));
    seen.add(`${key} ${direction}`);
    const migration = byVersion.get(key) ?? {
      ...{ key, label, name, path, up: plainSection(''), down: null },
    };
    if (direction === 'up') Object.assign(migration, { name, path, up: plainSection(text) });
    else migration.down = plainSection(text);
    byVersion.set(key, migration);
  }
  return { migrations: [...byVersion.values()].sort(byNumber), findings };
}

function duplicate(path: string, label: string, tool: string): AdoptionFinding {
  return adoptionFinding({
    severity: 'error',
    file: path,
    message: `another file also has version ${label}, ${tool === 'pairs' ? 'and only one can count' : `and ${tool} refuses both`}`,
    hint: 'Keep one of them.',
  });
}

function dirty(version: string): AdoptionFinding {
  return adoptionFinding({
    severity: 'error',
    message: `the table says that version ${version} is dirty: it stopped half way, or was killed`,
    hint: `Look at what ${version} left in the database and finish or undo it by hand; then \`migrate force <version>\` with the last one that is really applied, and adopt again.`,
  });
}

function readNewest(newest: string, migrations: ForeignMigration[]) {
  const applied = migrations.filter(({ key }) => compareVersions(key, newest) <= 0);
  const findings: AdoptionFinding[] = [
    adoptionFinding({
      severity: 'info',
      message: `golang-migrate keeps only the newest version (${newest}), so every file up to it counts as applied; one that was merged late may never have run`,
    }),
  ];
  if (!migrations.some(({ key }) => key === newest)) {
    findings.push(
      adoptionFinding({
        severity: 'warning',
        message: `version ${newest} is applied and has no file`,
        hint: 'This may be an older checkout.',
      }),
    );
  }
  const rows = applied.map(({ key }) => ({
    key,
    appliedAt: null,
    durationMs: null,
    checksum: null,
  }));
  return { rows, findings };
}

const SQLX_FILE = /^(\d+)_(.*?)(\.up|\.down)?\.sql$/;
const { noTransaction: NO_TRANSACTION } = FOREIGN_MARKERS.sqlx;

/** Single files or pairs; the table holds SHA-384 of the bytes of the file that goes up. */
export const sqlx: Adapter = {
  tool: 'sqlx',
  folders: ['migrations'],
  table: { name: '_sqlx_migrations', columns: ['version', 'checksum', 'success'] },
  isSql: (path) => SQLX_FILE.test(path),
  readFiles: readSqlxFiles,
  rowsSql: (table) => `select
    version::text as "version", success as "isDone",
    pg_catalog.encode(checksum, 'hex') as "checksum",
    execution_time::text as "executionNs",
    ${epochMsSql('installed_on', 'timestamptz')} as "appliedAt"
from ${table}
order by version`,
  readRows: (rows) => ({
    rows: rows.filter(({ isDone }) => isDone === true).map(readSqlxRow),
    findings: rows.filter(({ isDone }) => isDone !== true).map(failedSqlxRow),
  }),
};

function readSqlxFiles(files: ForeignFile[]) {
  const downs = new Map<string, string>();
  const migrations: ForeignMigration[] = [];
  for (const { path, bytes, text } of files) {
    const match = SQLX_FILE.exec(path);
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

function readSqlxRow({ version, checksum, executionNs, appliedAt }: TableRow): ForeignRow {
  const nanoseconds = Number(executionNs);
  return {
    key: String(version),
    appliedAt: isoFromEpochMs(appliedAt),
    // -1 until the row is updated after the commit
    durationMs: nanoseconds >= 0 ? nanoseconds / 1e6 : null,
    checksum: String(checksum),
  };
}

function failedSqlxRow({ version }: TableRow): AdoptionFinding {
  return adoptionFinding({
    severity: 'error',
    message: `the table says that version ${version} failed (success is false)`,
    hint: 'Finish or undo by hand what it left in the database, set or delete its row as sqlx asks for it, and adopt again.',
  });
}

const DIESEL_FILE = /^([^/]+)\/(up|down)\.sql$/;

/** A folder for each migration, with a file for each direction; the version is the text before its `_`. */
export const diesel: Adapter = {
  tool: 'diesel',
  folders: ['migrations'],
  table: { name: '__diesel_schema_migrations', columns: ['version', 'run_on'], isOptional: true },
  isSql: (path) => DIESEL_FILE.test(path),
  readFiles: readDieselFiles,
  rowsSql: (
    table,
  ) => `select version::text as "key", ${epochMsSql('run_on', 'timestamp')} as "appliedAt"
from ${table}
order by version`,
  readRows: (rows) => ({
    rows: rows.map(({ key, appliedAt }) => rowOf(key, appliedAt)),
    findings: [],
  }),
};

function readDieselFiles(files: ForeignFile[]) {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const migrations = files.flatMap(({ path, text }): ForeignMigration[] => {
    const [, folder = '', direction] = DIESEL_FILE.exec(path) ?? [];
    if (direction !== 'up') return [];
    const [, version = '', name = ''] = /^([^_]*)_?(.*)$/.exec(folder) ?? [];
    const key = version.replaceAll('-', '');
    const settings = byPath.get(`${folder}/metadata.toml`)?.bytes.toString() ?? '';
    const noTransaction = /^\s*run_in_transaction\s*=\s*false\b/m.test(settings);
    const down = byPath.get(`${folder}/down.sql`);
    return [
      {
        ...{ key, name, path, label: /^\d+$/.test(key) ? key : '' },
        up: plainSection(text, noTransaction),
        down: down ? plainSection(down.text, noTransaction) : null,
      },
    ];
  });
  return { migrations: migrations.sort((a, b) => byText(a.key, b.key)), findings: [] };
}
