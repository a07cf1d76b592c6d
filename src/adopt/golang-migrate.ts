import { compareVersions, parseVersion } from '../migrate/files/version.ts';
import {
  type Adapter,
  type AdoptionFinding,
  adoptionFinding,
  byNumber,
  type ForeignFile,
  type ForeignMigration,
  plainSection,
} from './foreign.ts';

/** The tool takes any ending, such as `.psql`. */
const FILE_NAME = /^([0-9]+)_([^/]*)\.(down|up)\.[^/]*$/;

/** Two files a migration; the table holds one number, below which everything counts as applied. */
export const golangMigrate: Adapter = {
  tool: 'golang-migrate',
  folders: ['db/migrations', 'migrations'],
  table: { name: 'schema_migrations', columns: ['version', 'dirty'] },
  isSql: (path) => FILE_NAME.test(path),
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
    const match = FILE_NAME.exec(path);
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
    message: `another file has version ${label} too, so ${tool === 'pairs' ? 'nobody knows which one counts' : `${tool} refuses both`}`,
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
        message: `version ${newest} is applied, and there is no file of it`,
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
