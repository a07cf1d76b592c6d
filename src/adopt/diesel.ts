import {
  type Adapter,
  byText,
  epochMsSql,
  type ForeignFile,
  type ForeignMigration,
  isoFromEpochMs,
  plainSection,
} from './foreign.ts';

const FILE_NAME = /^([^/]+)\/(up|down)\.sql$/;

/** A folder for each migration, with a file for each direction; the version is the text before its `_`. */
export const diesel: Adapter = {
  tool: 'diesel',
  folders: ['migrations'],
  table: { name: '__diesel_schema_migrations', columns: ['version', 'run_on'], isOptional: true },
  isSql: (path) => FILE_NAME.test(path),
  readFiles,
  rowsSql: (
    table,
  ) => `select version::text as "key", ${epochMsSql('run_on', 'timestamp')} as "appliedAt"
from ${table}
order by version`,
  readRows: (rows) => ({
    rows: rows.map(({ key, appliedAt }) => ({
      key: String(key),
      appliedAt: isoFromEpochMs(appliedAt),
      durationMs: null,
      checksum: null,
    })),
    findings: [],
  }),
};

function readFiles(files: ForeignFile[]) {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const migrations = files.flatMap(({ path, text }): ForeignMigration[] => {
    const [, folder = '', direction] = FILE_NAME.exec(path) ?? [];
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
