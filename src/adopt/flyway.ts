import { readFlywayFiles } from './flyway-files.ts';
import { compareDotted, normaliseDotted } from './flyway-version.ts';
import {
  type Adapter,
  type AdoptionFinding,
  epochMsSql,
  type ForeignMigration,
  type ForeignRow,
  isoFromEpochMs,
  type TableRow,
} from './foreign.ts';

/** Files by kind of name, without markers; the table has a row for each thing that was done. */
export const flyway: Adapter = {
  tool: 'flyway',
  folders: ['db/migration', 'src/main/resources/db/migration', 'sql', 'migrations'],
  table: {
    name: 'flyway_schema_history',
    columns: ['installed_rank', 'version', 'description', 'type', 'script', 'checksum', 'success'],
  },
  isSql: (path) => /\.sql$/i.test(path),
  readFiles: readFlywayFiles,
  rowsSql: (table) => `select
    version as "version", description as "description", type as "type", script as "script",
    checksum::text as "checksum", success as "isDone", execution_time::float8 as "durationMs",
    ${epochMsSql('installed_on', 'timestamp')} as "appliedAt"
from ${table}
order by installed_rank`,
  readRows,
};

/** The last thing that was done decides, for each version and each repeatable. */
function readRows(rows: TableRow[], migrations: ForeignMigration[]) {
  const latest = new Map<string, TableRow>();
  const findings: AdoptionFinding[] = [];
  let baseline: TableRow | undefined;
  for (const row of rows) {
    const type = String(row.type);
    if (type === 'SCHEMA') continue;
    if (row.isDone !== true) findings.push(failed(row));
    else if (type === 'BASELINE' || type === 'SQL_BASELINE') baseline = row;
    else latest.set(keyOf(row), row);
  }
  const applied = [...latest]
    .filter(([, { type }]) => !/^(DELETE|UNDO)/.test(String(type)))
    .map(([key, row]) => readRow(key, row));
  return { rows: [...belowBaseline(baseline, migrations, latest), ...applied], findings };
}

function keyOf({ version, description }: TableRow): string {
  return typeof version === 'string' ? normaliseDotted(version) : `R:${description}`;
}

function readRow(key: string, { checksum, durationMs, appliedAt }: TableRow): ForeignRow {
  return {
    key,
    appliedAt: isoFromEpochMs(appliedAt),
    durationMs: Number(durationMs),
    checksum: typeof checksum === 'string' ? checksum : null,
  };
}

/** Flyway never runs what a baseline covers, because the database has it already. */
function belowBaseline(
  baseline: TableRow | undefined,
  migrations: ForeignMigration[],
  latest: Map<string, TableRow>,
): ForeignRow[] {
  if (!baseline) return [];
  const version = normaliseDotted(String(baseline.version));
  return migrations
    .filter(({ key }) => !key.startsWith('R:') && !latest.has(key))
    .filter(({ key }) => compareDotted(key, version) <= 0)
    .map(({ key }) => ({ ...readRow(key, baseline), checksum: null, durationMs: null }));
}

function failed({ version, description }: TableRow): AdoptionFinding {
  const what = version === null ? description : `version ${version} (${description})`;
  return {
    severity: 'error',
    message: `the table says that ${what} failed (success is false)`,
    hint: 'Finish or undo by hand what it left in the database, run `flyway repair`, and adopt again.',
  };
}
