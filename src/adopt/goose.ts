import { FOREIGN_MARKERS } from '../migrate/files/foreign-markers.ts';
import { parseVersion } from '../migrate/files/version.ts';
import {
  type Adapter,
  byNumber,
  epochMsSql,
  type ForeignFile,
  type ForeignMigration,
  isoFromEpochMs,
  plainSection,
} from './foreign.ts';

const FILE_NAME = /^(\d+)_(.*)\.(sql|go)$/;
const MARKERS = FOREIGN_MARKERS.goose;
const ENVSUB = /envsub[ \t]+(on|off)/i;

/** One file for both directions, read line by line; the table has a row for each change. */
export const goose: Adapter = {
  tool: 'goose',
  folders: ['db/migrations', 'migrations', 'sql'],
  table: { name: 'goose_db_version', columns: ['version_id', 'is_applied'] },
  isSql: (path) => path.endsWith('.sql'),
  readFiles: (files) => ({
    migrations: files.flatMap((file) => readFile(file) ?? []).sort(byNumber),
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
      .map(({ version, appliedAt }) => ({
        key: String(version),
        appliedAt: isoFromEpochMs(appliedAt),
        durationMs: null,
        checksum: null,
      })),
    findings: [],
  }),
};

function readFile({ path, text }: ForeignFile): ForeignMigration | undefined {
  const match = FILE_NAME.exec(path);
  if (!match || path.endsWith('_test.go')) return undefined;
  const [, label = '', name = '', extension] = match;
  const migration = { key: parseVersion(label), label, name, path };
  if (extension === 'go') {
    const up = plainSection('');
    return { ...migration, up, down: null, blocker: 'it is written in Go, not in SQL' };
  }
  const { up, down, noTransaction, blocker } = readLines(text);
  return {
    ...migration,
    up: plainSection(up.join('\n'), noTransaction),
    down: down && plainSection(down.join('\n'), noTransaction),
    ...(blocker && { blocker }),
  };
}

interface Parts {
  up: string[];
  down: string[] | null;
  noTransaction: boolean;
  blocker: string | undefined;
}

/** As goose does it: what an annotation says counts wherever its line stands. */
function readLines(text: string): Parts {
  const parts: Parts = { up: [], down: null, noTransaction: false, blocker: undefined };
  let hasUp = false;
  let isSubstituting = false;
  for (const line of text.split('\n')) {
    if (MARKERS.up.test(line)) hasUp = true;
    else if (MARKERS.down.test(line)) parts.down ??= [];
    else if (MARKERS.noTransaction.test(line)) parts.noTransaction = true;
    else if (MARKERS.other.test(line)) {
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
