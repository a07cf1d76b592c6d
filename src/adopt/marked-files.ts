import { FOREIGN_MARKERS, matchEvery, withoutMarker } from '../migrate/files/foreign-markers.ts';
import { parseVersion } from '../migrate/files/version.ts';
import {
  type Adapter,
  byNumber,
  byText,
  epochMsSql,
  type ForeignFile,
  type ForeignMigration,
  plainSection,
  rowOf,
  type Section,
} from './foreign.ts';

/* Tools that keep both directions in one file, told apart by marker lines. */

const DBMATE_FILE = /^(\d+)(.*)\.sql$/;
const DBMATE_MARKERS = FOREIGN_MARKERS.dbmate;

/** One file for both directions, told apart by marker lines; versions without a time. */
export const dbmate: Adapter = {
  tool: 'dbmate',
  folders: ['db/migrations'],
  table: {
    name: 'schema_migrations',
    columns: ['version'],
    unlike: {
      columns: ['dirty'],
      tables: ['ar_internal_metadata'],
      tool: 'golang-migrate or Rails',
    },
  },
  isSql: (path) => DBMATE_FILE.test(path),
  readFiles: (files) => ({
    migrations: files
      .flatMap((file) => readDbmateFile(file) ?? [])
      .sort((a, b) => byText(a.path, b.path)),
    findings: [],
  }),
  rowsSql: (table) => `select version::text as "key" from ${table} order by version`,
  readRows: (rows) => ({
    rows: rows.map(({ key }) => rowOf(key, null)),
    findings: [],
  }),
};

function readDbmateFile({ path, text }: ForeignFile): ForeignMigration | undefined {
  const match = DBMATE_FILE.exec(path);
  if (!match) return undefined;
  const [, label = '', name = ''] = match;
  const migration = { key: label, label, name, path };
  const ups = matchEvery(DBMATE_MARKERS.up, text);
  const downs = matchEvery(DBMATE_MARKERS.down, text);
  const [up] = ups;
  const [down] = downs;
  const blocker = dbmateBlockerOf(text, ups, downs);
  if (blocker || !up || !down) {
    return {
      ...migration,
      up: { text: '', noTransaction: false },
      down: null,
      blocker: blocker ?? '',
    };
  }
  const header = text.slice(0, up.index);
  const upText = header + text.slice(up.index + up[0].length, down.index);
  return {
    ...migration,
    up: dbmateSection(upText, up[0]),
    down: dbmateSection(text.slice(down.index + down[0].length), down[0]),
  };
}

function dbmateBlockerOf(text: string, ups: RegExpExecArray[], downs: RegExpExecArray[]) {
  const [up] = ups;
  const [down] = downs;
  if (!up || !down)
    return `it has no "-- migrate:${up ? 'down' : 'up'}" line, so dbmate refuses it`;
  if (ups.length > 1 || downs.length > 1) return 'it holds several migrations for one version';
  if (down.index < up.index) return 'its down part comes before its up part, so dbmate refuses it';
  const before = text.slice(0, up.index).split('\n');
  return before.every((line) => /^\s*(--|$)/.test(line))
    ? undefined
    : 'it has statements before "-- migrate:up", so dbmate refuses it';
}

function dbmateSection(text: string, marker: string): Section {
  return { text, noTransaction: DBMATE_MARKERS.noTransaction.test(marker) };
}

const GOOSE_FILE = /^(\d+)_(.*)\.(sql|go)$/;
const GOOSE_MARKERS = FOREIGN_MARKERS.goose;
const ENVSUB = /envsub[ \t]+(on|off)/i;

/** One file for both directions, read line by line; the table has a row for each change. */
export const goose: Adapter = {
  tool: 'goose',
  folders: ['db/migrations', 'migrations', 'sql'],
  table: { name: 'goose_db_version', columns: ['version_id', 'is_applied'] },
  isSql: (path) => path.endsWith('.sql'),
  readFiles: (files) => ({
    migrations: files.flatMap((file) => readGooseFile(file) ?? []).sort(byNumber),
    findings: [],
  }),
  rowsSql: (table) => `select distinct on (version_id)
    version_id::text as "version", is_applied as "isApplied",
    ${epochMsSql('tstamp', 'timestamp')} as "appliedAt"
from ${table}
where version_id > 0
order by version_id, id desc`,
  readRows: (rows) => ({
    rows: rows
      // Older releases write a row for a down, too.
      .filter(({ isApplied }) => isApplied === true)
      .map(({ version, appliedAt }) => rowOf(version, appliedAt)),
    findings: [],
  }),
};

function readGooseFile({ path, text }: ForeignFile): ForeignMigration | undefined {
  const match = GOOSE_FILE.exec(path);
  if (!match || path.endsWith('_test.go')) return undefined;
  const [, label = '', name = '', extension] = match;
  const migration = { key: parseVersion(label), label, name, path };
  if (extension === 'go') {
    const up = plainSection('');
    return { ...migration, up, down: null, blocker: 'it is written in Go, not in SQL' };
  }
  const { up, down, noTransaction, blocker } = readGooseLines(text);
  return {
    ...migration,
    up: plainSection(up.join('\n'), noTransaction),
    down: down && plainSection(down.join('\n'), noTransaction),
    ...(blocker && { blocker }),
  };
}

interface GooseParts {
  up: string[];
  down: string[] | null;
  noTransaction: boolean;
  blocker: string | undefined;
}

/** As goose does it: what an annotation says counts wherever its line stands. */
function readGooseLines(text: string): GooseParts {
  const parts: GooseParts = { up: [], down: null, noTransaction: false, blocker: undefined };
  let hasUp = false;
  let isSubstituting = false;
  for (const line of text.split('\n')) {
    if (GOOSE_MARKERS.up.test(line)) hasUp = true;
    else if (GOOSE_MARKERS.down.test(line)) parts.down ??= [];
    else if (GOOSE_MARKERS.noTransaction.test(line)) parts.noTransaction = true;
    else if (GOOSE_MARKERS.other.test(line)) {
      const substitutes = ENVSUB.exec(line)?.[1];
      if (substitutes) isSubstituting = /on/i.test(substitutes);
    } else {
      if (!hasUp && /^\s*[^-\s]/.test(line))
        parts.blocker ??= 'it has statements before "+goose Up"';
      if (isSubstituting && /\$[{A-Za-z_]/.test(line)) {
        parts.blocker ??= 'it takes values from environment variables (ENVSUB)';
      }
      (parts.down ?? parts.up).push(line);
    }
  }
  if (!hasUp) parts.blocker = 'it has no "-- +goose Up" line, so goose refuses it';
  return parts;
}

const NODE_PG_MIGRATE_FILE = /^(\d+)(.*?)\.(sql|[cm]?[jt]s)$/;
const { up: UP, down: DOWN } = FOREIGN_MARKERS['node-pg-migrate'];

/** One file for both directions, of SQL or of code; the table holds names. */
export const nodePgMigrate: Adapter = {
  tool: 'node-pg-migrate',
  folders: ['migrations'],
  table: { name: 'pgmigrations', columns: ['id', 'name', 'run_on'] },
  isSql: (path) => path.endsWith('.sql'),
  readFiles: readNodePgMigrateFiles,
  rowsSql: (table) =>
    `select name as "key", ${epochMsSql('run_on', 'timestamp')} as "appliedAt" from ${table} order by run_on, id`,
  readRows: (rows) => ({
    rows: rows.map(({ key, appliedAt }) => rowOf(key, appliedAt)),
    findings: [],
  }),
};

/** Its loader for pairs of files calls both by the name of the one that goes up. */
function readNodePgMigrateFiles(files: ForeignFile[]) {
  const downs = new Map(
    files
      .filter(({ path }) => path.endsWith('.down.sql'))
      .map((file) => [file.path.replace(/\.down\.sql$/, ''), file]),
  );
  const migrations = files
    .filter(({ path }) => !path.endsWith('.down.sql'))
    .flatMap((file) => readNodePgMigrateFile(file, downs) ?? [])
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

function readNodePgMigrateFile(
  { path, text }: ForeignFile,
  downs: Map<string, ForeignFile>,
): ForeignMigration | undefined {
  const match = NODE_PG_MIGRATE_FILE.exec(path);
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
  return { ...migration, ...readNodePgMigrateParts(text) };
}

/** Without an up line the whole file goes up, whatever stands behind the down line. */
function readNodePgMigrateParts(text: string): { up: Section; down: Section | null } {
  const up = text.search(UP);
  const down = text.search(DOWN);
  const upText = up < 0 ? text : text.slice(up, down < up ? undefined : down);
  const downText = down < 0 ? null : text.slice(down, up < down ? undefined : up);
  return {
    up: plainSection(up < 0 ? upText : withoutMarker(UP, upText)),
    down: downText === null ? null : plainSection(withoutMarker(DOWN, downText)),
  };
}
