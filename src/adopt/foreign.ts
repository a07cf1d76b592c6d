import type { Finding } from '../finding.ts';
import { compareVersions, parseVersion } from '../migrate/files/version.ts';
import type { Statement } from '../sql/statements.ts';
import { VARIABLE_NAME } from '../text/variable-name.ts';

/** A tool whose migrations can be taken over. */
export type AdoptableTool =
  | 'dbmate'
  | 'golang-migrate'
  | 'goose'
  | 'flyway'
  | 'node-pg-migrate'
  | 'sqlx'
  | 'graphile-migrate'
  | 'prisma'
  | 'diesel'
  | 'pairs';

/** Something unusual about the other tool's files or table. */
export interface AdoptionFinding extends Finding {
  /** Errors prevent the adoption. */
  severity: 'error' | 'warning' | 'info';
}

/** Says something of a file of the other tool, as it is shown to people, or of its table. */
export function adoptionFinding(said: {
  severity: AdoptionFinding['severity'];
  file?: string;
  message: string;
  hint?: string;
}): AdoptionFinding {
  const { severity, file, message, hint } = said;
  return {
    ...{ code: 'adoption', severity, message },
    ...(hint !== undefined && { hint }),
    ...(file !== undefined && { location: { file } }),
    objects: [],
  };
}

/** A file of the other tool. */
export interface ForeignFile {
  /** Below its folder, with `/` between the parts. */
  path: string;
  bytes: Buffer;
  /** Without byte order mark and with `\n` line ends; empty for what is not text of SQL. */
  text: string;
}

/** The SQL for one direction, without the tool's own markers. */
export interface Section {
  text: string;
  /** The file asks for it itself. */
  noTransaction: boolean;
}

/** One migration as the other tool's files tell it. */
export interface ForeignMigration {
  /** What the tracking table calls it. */
  key: string;
  /** The digits that become evdb's version where the order allows; '' where it has none. */
  label: string;
  /** Words of the file name, not yet fit for one of evdb's. */
  name: string;
  /** The file that the up section is from. */
  path: string;
  up: Section;
  down: Section | null;
  /** Why it cannot be taken over as SQL. */
  blocker?: string;
  /** What the tracking table may hold for it, where it holds checksums. */
  checksums?: string[];
  /** Whether the tool runs it again when it changes, so that its time says nothing about its order. */
  isRepeatable?: boolean;
  /** Whether its label is another number than its file says, and may become yet another. */
  isNumberMade?: boolean;
}

/** One applied migration as the tracking table tells it. */
export interface ForeignRow {
  key: string;
  /** ISO 8601; null where the tool does not keep it. */
  appliedAt: string | null;
  durationMs: number | null;
  checksum: string | null;
}

export type TableRow = Record<string, unknown>;

/** How one tool is read. Pure: what is on disk and in the database comes from the caller. */
export interface Adapter {
  tool: AdoptableTool;
  /** Where its files lie by default, below the project. */
  folders: string[];
  /** Its tracking table; null where it has none, so that nothing counts as applied. */
  table: {
    name: string;
    /** Whether it may be missing, as with the next one. */
    isOptional?: boolean;
    /** Its schema, where it is always the same. */
    schema?: string;
    /** Columns that tell it. */
    columns: string[];
    /** Columns, and a table beside it, that tell another tool's. */
    unlike?: { columns?: string[]; tables?: string[]; tool: string };
  } | null;
  /** Which of the files it reads as SQL. */
  isSql(path: string): boolean;
  /**
   * The migrations in the order in which the tool runs them.
   *
   * @param rows of the table, which may say how files are called
   */
  readFiles(
    files: ForeignFile[],
    rows: TableRow[],
  ): { migrations: ForeignMigration[]; findings: AdoptionFinding[] };
  /** The query for its rows. @param table quoted, with its schema */
  rowsSql(table: string): string;
  readRows(
    rows: TableRow[],
    migrations: ForeignMigration[],
  ): { rows: ForeignRow[]; findings: AdoptionFinding[] };
}

/** An expression that gives milliseconds since 1970 as text. */
export function epochMsSql(column: string, type: 'timestamp' | 'timestamptz'): string {
  const instant =
    type === 'timestamptz'
      ? column
      : `(${column} at time zone pg_catalog.current_setting('TimeZone'))`;
  return `(extract(epoch from ${instant}) * 1000)::bigint::text`;
}

export function isoFromEpochMs(epochMs: unknown): string | null {
  return typeof epochMs === 'string' ? new Date(Number(epochMs)).toISOString() : null;
}

/** What a table says that keeps neither checksums nor durations. @param epochMs as `epochMsSql` gives it */
export function rowOf(key: unknown, epochMs: unknown): ForeignRow {
  const appliedAt = isoFromEpochMs(epochMs);
  return { key: String(key), appliedAt, durationMs: null, checksum: null };
}

/** The order of most tools: by number. */
export function byNumber(a: ForeignMigration, b: ForeignMigration): number {
  return compareVersions(parseVersion(a.label), parseVersion(b.label));
}

/** The order of the others: by text, whatever the number. */
export function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** A section of the whole text. */
export function plainSection(text: string, noTransaction = false): Section {
  return { text, noTransaction };
}

/** Without blank lines at the beginning, and with one line end at the end. */
export function trimLines(text: string): string {
  return `${text.replace(/^(?:[ \t]*\n)+/, '').trimEnd()}\n`;
}

/** The text without these statements of it, which stand in its order. */
export function cutStatements(text: string, statements: readonly Statement[]): string {
  return statements.reduceRight(cut, text);
}

/** With its semicolon, and with its line where nothing else stands there. */
function cut(text: string, { start, end }: Statement): string {
  const semicolon = /^\s*;/.exec(text.slice(end))?.[0].length ?? 0;
  const before = text.slice(0, start);
  const after = text.slice(end + semicolon);
  const isAlone = /(^|\n)[ \t]*$/.test(before) && /^[ \t]*(\n|$)/.test(after);
  return isAlone ? before.replace(/[ \t]*$/, '') + after.replace(/^[ \t]*\n?/, '') : before + after;
}

/** The bytes as they are, and with the line ends that another checkout would have. */
export function withLineEnds(bytes: Buffer): Buffer[] {
  const text = bytes.toString('latin1');
  const lf = text.replaceAll('\r\n', '\n');
  const variants = [lf, lf.replaceAll('\n', '\r\n')].filter((variant) => variant !== text);
  return [bytes, ...variants.map((variant) => Buffer.from(variant, 'latin1'))];
}

const LONGEST_NAME = 100;

/** Words of another tool's file name as evdb's file names can hold them. */
export function fileNameOf(words: string, fallback: string): string {
  const name = words
    .replaceAll(/[^A-Za-z0-9_.-]+/g, '_')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, LONGEST_NAME)
    .replace(/[_.-]+$/, '')
    // evdb would take it for a down script
    .replace(/\.down$/, '_down');
  return name === '' ? fallback : name;
}

/** Why a file with a placeholder is not taken over, and what evdb has instead. */
export function placeholderBlocker(placeholder: string, uses = 'uses'): string {
  const name = placeholder.replaceAll(/^\W+|\W+$/g, '').toLowerCase();
  const instead = VARIABLE_NAME.test(name)
    ? `; in evdb it is a variable, :"${name}" or :'${name}', behind the line -- evdb: variables ${name}`
    : '';
  return `it ${uses} the placeholder ${placeholder}${instead}`;
}
