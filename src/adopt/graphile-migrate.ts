import { hash } from 'node:crypto';
import { FOREIGN_MARKERS, withoutMarker } from '../migrate/files/foreign-markers.ts';
import { parseVersion } from '../migrate/files/version.ts';
import {
  type Adapter,
  type AdoptionFinding,
  adoptionFinding,
  epochMsSql,
  type ForeignFile,
  type ForeignMigration,
  isoFromEpochMs,
  plainSection,
} from './foreign.ts';

const FILE_NAME = /^committed\/(\d+)(-[-_a-zA-Z0-9]*)?\.sql$/;
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
  isSql: (path) => FILE_NAME.test(path) || CURRENT.test(path),
  readFiles,
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

function readFiles(files: ForeignFile[]) {
  const findings = files.filter(isStarted).map(uncommitted);
  const committed = files
    .flatMap((file) => readFile(file) ?? [])
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

function readFile({ path, text }: ForeignFile) {
  const match = FILE_NAME.exec(path);
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
    ...(placeholder && { blocker: `it may use the placeholder ${placeholder}` }),
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
        hint: 'A committed file is missing or was edited: bring it back from version control.',
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
      hint: 'It was edited after it was committed: bring it back from version control.',
    }),
  ];
}
