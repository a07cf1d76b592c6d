import { FOREIGN_MARKERS, matchEvery } from '../migrate/files/foreign-markers.ts';
import {
  type Adapter,
  byText,
  type ForeignFile,
  type ForeignMigration,
  type Section,
} from './foreign.ts';

const FILE_NAME = /^(\d+)(.*)\.sql$/;
const MARKERS = FOREIGN_MARKERS.dbmate;

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
  isSql: (path) => FILE_NAME.test(path),
  readFiles: (files) => ({
    migrations: files
      .flatMap((file) => readFile(file) ?? [])
      .sort((a, b) => byText(a.path, b.path)),
    findings: [],
  }),
  rowsSql: (table) => `select version::text as "key" from ${table} order by version`,
  readRows: (rows) => ({
    rows: rows.map(({ key }) => ({
      key: String(key),
      appliedAt: null,
      durationMs: null,
      checksum: null,
    })),
    findings: [],
  }),
};

function readFile({ path, text }: ForeignFile): ForeignMigration | undefined {
  const match = FILE_NAME.exec(path);
  if (!match) return undefined;
  const [, label = '', name = ''] = match;
  const migration = { key: label, label, name, path };
  const ups = matchEvery(MARKERS.up, text);
  const downs = matchEvery(MARKERS.down, text);
  const [up] = ups;
  const [down] = downs;
  const blocker = blockerOf(text, ups, downs);
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
    up: section(upText, up[0]),
    down: section(text.slice(down.index + down[0].length), down[0]),
  };
}

function blockerOf(text: string, ups: RegExpExecArray[], downs: RegExpExecArray[]) {
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

function section(text: string, marker: string): Section {
  return { text, noTransaction: MARKERS.noTransaction.test(marker) };
}
