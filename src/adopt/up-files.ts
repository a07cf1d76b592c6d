import { hash } from 'node:crypto';
import { FOREIGN_MARKERS, withoutMarker } from '../migrate/files/foreign-markers.ts';
import { parseVersion } from '../migrate/files/version.ts';
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
  placeholderBlocker,
  plainSection,
  type TableRow,
  withLineEnds,
} from './foreign.ts';

/* Tools whose migrations only go up, and which know each file by its checksum. */

const PRISMA_FILE = /^([^/]+)\/migration\.sql$/;

/** A folder for each migration, forward only; the table has a row for each try. */
export const prisma: Adapter = {
  tool: 'prisma',
  folders: ['prisma/migrations'],
  table: { name: '_prisma_migrations', columns: ['migration_name', 'checksum', 'finished_at'] },
  isSql: (path) => PRISMA_FILE.test(path),
  readFiles: readPrismaFiles,
  rowsSql: (table) => `select
    migration_name as "name",
    checksum as "checksum",
    ${epochMsSql('finished_at', 'timestamptz')} as "appliedAt",
    (extract(epoch from finished_at - started_at) * 1000)::float8 as "durationMs",
    rolled_back_at is not null as "isRolledBack"
from ${table}
order by started_at, migration_name`,
  readRows: readPrismaRows,
};

function readPrismaFiles(files: ForeignFile[]) {
  const migrations: ForeignMigration[] = [];
  const findings: AdoptionFinding[] = [];
  for (const { path, bytes, text } of files) {
    const key = PRISMA_FILE.exec(path)?.[1];
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
function readPrismaRows(rows: TableRow[]) {
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
  return { rows: [...applied.values()], findings: [...failed].map(failedPrismaRow) };
}

function failedPrismaRow(name: string): AdoptionFinding {
  return adoptionFinding({
    severity: 'error',
    message: `the table says that ${name} was started and has neither finished nor been rolled back`,
    hint: `Prisma's way out: \`prisma migrate resolve --rolled-back ${name}\` where the database is as before it, --applied where it is as after it. Then adopt again.`,
  });
}

const COMMITTED_FILE = /^committed\/(\d+)(-[-_a-zA-Z0-9]*)?\.sql$/;
const CURRENT = /^current(\.sql|\/.*\.sql)$/;
const HEADER = /^--! ([A-Z][a-zA-Z0-9_]*)(?::(.*))?$/;
const { noTransaction: NO_TRANSACTION } = FOREIGN_MARKERS['graphile-migrate'];
/** Neither casts (`::TEXT`) nor formats of times (`HH24:MI:SS`) are placeholders. */
const PLACEHOLDER =
  /(?<!:):(?!(?:HH(?:12|24)?|MI|S{2,5}|MS|US|AM|PM|OF|TZ[HM]?)\b)[A-Z][0-9A-Z_]+\b/;

/** Committed files in a chain of hashes, forward only. */
export const graphileMigrate: Adapter = {
  tool: 'graphile-migrate',
  folders: ['migrations'],
  table: {
    name: 'migrations',
    schema: 'graphile_migrate',
    columns: ['hash', 'previous_hash', 'filename'],
  },
  isSql: (path) => COMMITTED_FILE.test(path) || CURRENT.test(path),
  readFiles: readGraphileFiles,
  rowsSql: (table) =>
    `select filename as "key", hash as "checksum", ${epochMsSql('date', 'timestamptz')} as "appliedAt" from ${table} order by filename`,
  readRows: (rows) => ({
    rows: rows.map(({ key, checksum, appliedAt }) => ({
      key: String(key),
      appliedAt: isoFromEpochMs(appliedAt),
      durationMs: null,
      checksum: String(checksum),
    })),
    findings: [],
  }),
};

function readGraphileFiles(files: ForeignFile[]) {
  const findings = files.filter(isStarted).map(uncommitted);
  const committed = files
    .flatMap((file) => readGraphileFile(file) ?? [])
    .sort((a, b) => Number(parseVersion(a.label)) - Number(parseVersion(b.label)));
  let previous: string | null = null;
  const migrations: ForeignMigration[] = [];
  for (const { headers, body, ...migration } of committed) {
    findings.push(...checkChain(migration.path, headers, body, previous));
    previous = headers.get('Hash') ?? null;
    migrations.push({ ...migration, checksums: previous === null ? [] : [previous] });
  }
  return { migrations, findings };
}

function isStarted({ path, text }: ForeignFile): boolean {
  return CURRENT.test(path) && text.split('\n').some((line) => !/^\s*(--|$)/.test(line));
}

function uncommitted({ path }: ForeignFile): AdoptionFinding {
  return adoptionFinding({
    severity: 'warning',
    file: path,
    message: 'it is not committed, so it is left out',
    hint: 'Run `graphile-migrate commit` first, or make it a migration of evdb.',
  });
}

function readGraphileFile({ path, text }: ForeignFile) {
  const match = COMMITTED_FILE.exec(path);
  if (!match) return undefined;
  const [, label = '', slug = ''] = match;
  const { headers, body } = splitHeaders(text);
  const placeholder = PLACEHOLDER.exec(body)?.[0];
  return {
    key: `${label}.sql`,
    label,
    name: slug || (headers.get('Message') ?? ''),
    path,
    up: plainSection(withoutMarker(NO_TRANSACTION, body), NO_TRANSACTION.test(body)),
    down: null,
    headers,
    body,
    ...(placeholder && { blocker: placeholderBlocker(placeholder, 'may use') }),
  };
}

function splitHeaders(text: string): { headers: Map<string, string>; body: string } {
  const headers = new Map<string, string>();
  const lines = text.split('\n');
  let first = 0;
  for (; first < lines.length; first++) {
    const match = HEADER.exec(lines[first] ?? '');
    if (!match) break;
    headers.set(match[1] ?? '', (match[2] ?? '').trim());
  }
  return { headers, body: `${lines.slice(first).join('\n').trim()}\n` };
}

/** As the tool does it: each hash is over the one before and the body. */
function checkChain(
  file: string,
  headers: Map<string, string>,
  body: string,
  previous: string | null,
): AdoptionFinding[] {
  const said = headers.get('Previous') ?? '';
  if (said !== (previous ?? '-')) {
    return [
      adoptionFinding({
        severity: 'error',
        file,
        message: `it follows ${said || 'nothing'}, but the file before it has ${previous ?? 'no hash'}`,
        hint: 'A committed file is missing or was edited: restore it from version control.',
      }),
    ];
  }
  const text = `${`${previous ?? ''}\n${body.trim()}`.trim()}\n`;
  const computed = `sha1:${hash('sha1', text, 'hex')}`;
  if (computed === headers.get('Hash') || headers.has('AllowInvalidHash')) return [];
  return [
    adoptionFinding({
      severity: 'error',
      file,
      message: `its hash is ${computed}, and its header says ${headers.get('Hash')}`,
      hint: 'It was edited after it was committed: restore it from version control.',
    }),
  ];
}
