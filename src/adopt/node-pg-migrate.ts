import { FOREIGN_MARKERS, withoutMarker } from '../migrate/files/foreign-markers.ts';
import {
  type Adapter,
  epochMsSql,
  type ForeignFile,
  type ForeignMigration,
  isoFromEpochMs,
  plainSection,
  type Section,
} from './foreign.ts';

const FILE_NAME = /^(\d+)(.*?)\.(sql|[cm]?[jt]s)$/;
const { up: UP, down: DOWN } = FOREIGN_MARKERS['node-pg-migrate'];

/** One file for both directions, of SQL or of code; the table holds names. */
export const nodePgMigrate: Adapter = {
  tool: 'node-pg-migrate',
  folders: ['migrations'],
  table: { name: 'pgmigrations', columns: ['id', 'name', 'run_on'] },
  isSql: (path) => path.endsWith('.sql'),
  readFiles,
  rowsSql: (table) =>
    `select name as "key", ${epochMsSql('run_on', 'timestamp')} as "appliedAt" from ${table} order by run_on, id`,
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

/** Its loader for pairs of files calls both by the name of the one that goes up. */
function readFiles(files: ForeignFile[]) {
  const downs = new Map(
    files
      .filter(({ path }) => path.endsWith('.down.sql'))
      .map((file) => [file.path.replace(/\.down\.sql$/, ''), file]),
  );
  const migrations = files
    .filter(({ path }) => !path.endsWith('.down.sql'))
    .flatMap((file) => readFile(file, downs) ?? [])
    .sort((a, b) => timeOf(a.label) - timeOf(b.label) || byName(a.key, b.key));
  return { migrations, findings: [] };
}

function byName(a: string, b: string): number {
  return a.localeCompare(b, undefined, { numeric: true, ignorePunctuation: true });
}

/** As the tool reads it: 13 digits are milliseconds, 17 a time in UTC, others count as they are. */
function timeOf(label: string): number {
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d{3})$/.exec(label);
  if (!parts) return Number(label);
  const [, ...numbers] = parts.map(Number);
  const [year = 0, month = 1, day = 1, ...time] = numbers;
  return Date.UTC(year, month - 1, day, ...time);
}

function readFile(
  { path, text }: ForeignFile,
  downs: Map<string, ForeignFile>,
): ForeignMigration | undefined {
  const match = FILE_NAME.exec(path);
  if (!match || path.includes('/')) return undefined;
  const [, label = '', rest = '', extension = ''] = match;
  const isPair = extension === 'sql' && rest.endsWith('.up');
  const name = isPair ? rest.slice(0, -3) : rest;
  const migration = { key: label + name, label, name, path };
  if (extension !== 'sql') {
    const blocker = 'it is written in JavaScript or TypeScript, not in SQL';
    return { ...migration, up: plainSection(''), down: null, blocker };
  }
  if (isPair) {
    const down = downs.get(label + name);
    return { ...migration, up: plainSection(text), down: down ? plainSection(down.text) : null };
  }
  return { ...migration, ...readParts(text) };
}

/** Without an up line the whole file goes up, whatever stands behind the down line. */
function readParts(text: string): { up: Section; down: Section | null } {
  const up = text.search(UP);
  const down = text.search(DOWN);
  const upText = up < 0 ? text : text.slice(up, down < up ? undefined : down);
  const downText = down < 0 ? null : text.slice(down, up < down ? undefined : up);
  return {
    up: plainSection(up < 0 ? upText : withoutMarker(UP, upText)),
    down: downText === null ? null : plainSection(withoutMarker(DOWN, downText)),
  };
}
