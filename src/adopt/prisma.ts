import { hash } from 'node:crypto';
import {
  type Adapter,
  type AdoptionFinding,
  adoptionFinding,
  byText,
  epochMsSql,
  type ForeignFile,
  type ForeignMigration,
  type ForeignRow,
  isoFromEpochMs,
  plainSection,
  type TableRow,
  withLineEnds,
} from './foreign.ts';

const FILE_NAME = /^([^/]+)\/migration\.sql$/;

/** A folder for each migration, forward only; the table has a row for each try. */
export const prisma: Adapter = {
  tool: 'prisma',
  folders: ['prisma/migrations'],
  table: { name: '_prisma_migrations', columns: ['migration_name', 'checksum', 'finished_at'] },
  isSql: (path) => FILE_NAME.test(path),
  readFiles,
  rowsSql: (table) => `select
    migration_name as "name",
    checksum as "checksum",
    ${epochMsSql('finished_at', 'timestamptz')} as "appliedAt",
    (extract(epoch from finished_at - started_at) * 1000)::float8 as "durationMs",
    rolled_back_at is not null as "isRolledBack"
from ${table}
order by started_at, migration_name`,
  readRows,
};

function readFiles(files: ForeignFile[]) {
  const migrations: ForeignMigration[] = [];
  const findings: AdoptionFinding[] = [];
  for (const { path, bytes, text } of files) {
    const key = FILE_NAME.exec(path)?.[1];
    if (
      path === 'migration_lock.toml' &&
      !/provider\s*=\s*"postgres(ql)?"/.test(bytes.toString())
    ) {
      findings.push(
        adoptionFinding({
          severity: 'error',
          file: path,
          message: 'these migrations are not for PostgreSQL',
        }),
      );
    }
    if (key === undefined) continue;
    const [, label = '', name = ''] = /^(\d*)(.*)$/.exec(key) ?? [];
    migrations.push({
      ...{ key, label, name, path, up: plainSection(text), down: null },
      checksums: withLineEnds(bytes).map((content) => hash('sha256', content, 'hex')),
    });
  }
  return { migrations: migrations.sort((a, b) => byText(a.key, b.key)), findings };
}

/** Applied is what has finished and was not rolled back; what has neither failed. */
function readRows(rows: TableRow[]) {
  const applied = new Map<string, ForeignRow>();
  const failed = new Set<string>();
  for (const { name, checksum, appliedAt, durationMs, isRolledBack } of rows) {
    const key = String(name);
    if (isRolledBack === true) continue;
    if (appliedAt === null) failed.add(key);
    else {
      applied.set(key, {
        key,
        appliedAt: isoFromEpochMs(appliedAt),
        durationMs: Number(durationMs),
        // Older releases left the zeros at the front of each byte away; those cannot be compared.
        checksum: String(checksum).length === 64 ? String(checksum) : null,
      });
    }
  }
  return { rows: [...applied.values()], findings: [...failed].map(failure) };
}

function failure(name: string): AdoptionFinding {
  return adoptionFinding({
    severity: 'error',
    message: `the table says that ${name} was started and has neither finished nor been rolled back`,
    hint: `Prisma's way out: \`prisma migrate resolve --rolled-back ${name}\` where the database is as before it, --applied where it is as after it. Then adopt again.`,
  });
}
