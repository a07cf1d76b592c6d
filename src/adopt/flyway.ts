import { crc32 } from 'node:zlib';
import { MAX_VERSION_DIGITS, parseVersion } from '../migrate/files/version.ts';
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
} from './foreign.ts';

/** Files by kind of name, without markers; the table has a row for each thing that was done. */
export const flyway: Adapter = {
  tool: 'flyway',
  folders: ['db/migration', 'src/main/resources/db/migration', 'sql', 'migrations'],
  table: {
    name: 'flyway_schema_history',
    columns: ['installed_rank', 'version', 'description', 'type', 'script', 'checksum', 'success'],
  },
  isSql: (path) => /\.sql$/i.test(path),
  readFiles: readFlywayFiles,
  rowsSql: (table) => `select
    version as "version", description as "description", type as "type", script as "script",
    checksum::text as "checksum", success as "isDone", execution_time::float8 as "durationMs",
    ${epochMsSql('installed_on', 'timestamp')} as "appliedAt"
from ${table}
order by installed_rank`,
  readRows,
};

/** The last thing that was done decides, for each version and each repeatable. */
function readRows(rows: TableRow[], migrations: ForeignMigration[]) {
  const latest = new Map<string, TableRow>();
  const findings: AdoptionFinding[] = [];
  let baseline: TableRow | undefined;
  for (const row of rows) {
    const type = String(row.type);
    if (type === 'SCHEMA') continue;
    if (row.isDone !== true) findings.push(failed(row));
    else if (type === 'BASELINE' || type === 'SQL_BASELINE') baseline = row;
    else latest.set(keyOf(row), row);
  }
  const applied = [...latest]
    .filter(([, { type }]) => !/^(DELETE|UNDO)/.test(String(type)))
    .map(([key, row]) => readRow(key, row));
  return { rows: [...belowBaseline(baseline, migrations, latest), ...applied], findings };
}

function keyOf({ version, description }: TableRow): string {
  return typeof version === 'string' ? normaliseDotted(version) : `R:${description}`;
}

function readRow(key: string, { checksum, durationMs, appliedAt }: TableRow): ForeignRow {
  return {
    key,
    appliedAt: isoFromEpochMs(appliedAt),
    durationMs: Number(durationMs),
    checksum: typeof checksum === 'string' ? checksum : null,
  };
}

/** Flyway never runs what a baseline covers, because the database has it already. */
function belowBaseline(
  baseline: TableRow | undefined,
  migrations: ForeignMigration[],
  latest: Map<string, TableRow>,
): ForeignRow[] {
  if (!baseline) return [];
  const version = normaliseDotted(String(baseline.version));
  return migrations
    .filter(({ key }) => !key.startsWith('R:') && !latest.has(key))
    .filter(({ key }) => compareDotted(key, version) <= 0)
    .map(({ key }) => ({ ...readRow(key, baseline), checksum: null, durationMs: null }));
}

function failed({ version, description }: TableRow): AdoptionFinding {
  const what = version === null ? description : `version ${version} (${description})`;
  return adoptionFinding({
    severity: 'error',
    message: `the table says that ${what} failed (success is false)`,
    hint: 'Finish or undo by hand what it left in the database, run `flyway repair`, and adopt again.',
  });
}

const DOTTED = '(\\d+(?:[._]\\d+)*)';
const VERSIONED = new RegExp(`^([VUB])${DOTTED}__(.*)\\.sql$`, 'i');
const REPEATABLE = /^R__(.*)\.sql$/i;
const JAVA = /^[VUBR][\d._]*__.*\.(java|kt|class|py|sh|ps1|bat|cmd)$/;
const PLACEHOLDER = /\$\{[^}]*\}/;

interface FlywayFile {
  kind: string;
  /** Normalised; empty for repeatables. */
  version: string;
  written: string;
  name: string;
  file: ForeignFile;
}

/**
 * Versioned files become migrations, undo files their down scripts, and repeatables follow all of
 * them, where Flyway runs them. A baseline file is needed only where the files that it stands for
 * are gone.
 */
function readFlywayFiles(files: ForeignFile[], rows: TableRow[]) {
  const names = learnNames(rows);
  const sidecars = new Map(
    files.filter(({ path }) => path.endsWith('.conf')).map(({ path, bytes }) => [path, bytes]),
  );
  const confOf = ({ path }: ForeignFile) => sidecars.get(`${path}.conf`)?.toString() ?? '';
  const all = files.flatMap((file) => parseName(file, names) ?? []);
  const findings = files.filter(({ path }) => JAVA.test(baseName(path))).map(codeFinding);
  const versioned = all.filter(({ kind }) => kind === 'V');
  const baselines = all.filter((file) => isNeeded(file, versioned));
  const left = all.filter(({ kind }) => kind === 'B').filter((file) => !baselines.includes(file));
  findings.push(...left.map(({ file }) => leftOut(file)));
  const chosen = [...versioned, ...baselines].sort((a, b) => compareDotted(a.version, b.version));
  const numbers = numberDotted(chosen.map(({ written }) => written));
  const undos = new Map(
    all.filter(({ kind }) => kind === 'U').map(({ version, file }) => [version, file]),
  );
  const migrations = chosen.map((one): ForeignMigration => {
    const undo = undos.get(one.version);
    const label = numbers.get(one.version) ?? null;
    return {
      ...makeMigration(one.version, one, confOf(one.file)),
      label: label ?? '',
      isNumberMade: label !== one.written,
      down: undo ? section(undo, confOf(undo)) : null,
    };
  });
  const repeatables = all
    .filter(({ kind }) => kind === 'R')
    .sort((a, b) => byText(a.name, b.name))
    .map((one) => ({
      ...makeMigration(`R:${one.name}`, one, confOf(one.file)),
      label: '',
      isRepeatable: true,
    }));
  return { migrations: [...migrations, ...repeatables], findings };
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** How the files are called where the settings of Flyway say otherwise; undefined for as usual. */
interface Names {
  versioned: RegExp | undefined;
  repeatable: RegExp | undefined;
}

/** The table keeps the name of each file, from which the prefix, the separator and the suffix follow. */
function learnNames(rows: TableRow[]): Names {
  const learn = (isVersioned: boolean) =>
    rows
      .filter(({ type, version }) => type === 'SQL' && (version !== null) === isVersioned)
      .flatMap((row) => learnName(row) ?? [])[0];
  return { versioned: learn(true), repeatable: learn(false) };
}

function learnName({ version, description, script }: TableRow): RegExp | undefined {
  const name = baseName(String(script));
  const words = String(description).replaceAll(' ', '_');
  const at = name.lastIndexOf(words);
  if (words === '' || at < 0) return undefined;
  const suffix = escaped(name.slice(at + words.length));
  if (version === null) return new RegExp(`^${escaped(name.slice(0, at))}(.*)${suffix}$`);
  const digits = String(version).split('.').map(Number).join('[._]0*');
  const parts = new RegExp(`^(.*?)0*${digits}(\\D*)$`).exec(name.slice(0, at));
  if (!parts) return undefined;
  return new RegExp(`^()${escaped(parts[1])}${DOTTED}${escaped(parts[2])}(.*)${suffix}$`);
}

function escaped(text = ''): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

function parseName(file: ForeignFile, names: Names): FlywayFile | undefined {
  const name = baseName(file.path);
  const repeatable = names.repeatable?.exec(name) ?? REPEATABLE.exec(name);
  if (repeatable) {
    return { kind: 'R', version: '', written: '', name: describe(repeatable[1]), file };
  }
  const match = VERSIONED.exec(name) ?? names.versioned?.exec(name);
  if (!match) return undefined;
  const [, kind = '', written = '', description] = match;
  return {
    kind: kind.toUpperCase() || 'V',
    version: normaliseDotted(written),
    written,
    name: describe(description),
    file,
  };
}

function describe(description = ''): string {
  return description.replaceAll('_', ' ');
}

function isNeeded({ kind, version }: FlywayFile, versioned: FlywayFile[]): boolean {
  return kind === 'B' && versioned.every((other) => compareDotted(other.version, version) > 0);
}

function makeMigration(key: string, { name, file }: FlywayFile, conf: string) {
  const placeholder = PLACEHOLDER.exec(file.text)?.[0];
  const isLiteral = /^\s*placeholderReplacement\s*=\s*false\s*$/im.test(conf);
  return {
    key,
    name,
    path: file.path,
    up: section(file, conf),
    down: null,
    checksums: [String(flywayChecksum(file.text))],
    ...(placeholder && !isLiteral && { blocker: placeholderBlocker(placeholder) }),
  };
}

function section({ text }: ForeignFile, conf: string) {
  return plainSection(text, /^\s*executeInTransaction\s*=\s*false\s*$/im.test(conf));
}

/** CRC-32 over the lines without what ends them, as a signed number. */
function flywayChecksum(text: string): number {
  return crc32(text.replaceAll(/\r\n|\r|\n/g, '')) | 0;
}

function codeFinding({ path }: ForeignFile): AdoptionFinding {
  return adoptionFinding({
    severity: 'error',
    file: path,
    message: 'it is code or a script, not SQL',
    hint: 'Write what it does as SQL in a versioned file of the same number, or move it away.',
  });
}

function leftOut({ path }: ForeignFile): AdoptionFinding {
  return adoptionFinding({
    severity: 'info',
    file: path,
    message:
      'it is a baseline of files that are all here, so it is left out; a new database runs those',
  });
}

/** `1_2`, `1.2` and `01.2.0` are the same version. */
function normaliseDotted(version: string): string {
  const parts = version.replaceAll('_', '.').split('.').map(parseVersion);
  while (parts.length > 1 && parts.at(-1) === '0') parts.pop();
  return parts.join('.');
}

/** Sorts part by part, as numbers. */
function compareDotted(a: string, b: string): number {
  const [left, right] = [a.split('.'), b.split('.')];
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    const difference = BigInt(left[index] ?? '0') - BigInt(right[index] ?? '0');
    if (difference !== 0n) return difference < 0n ? -1 : 1;
  }
  return 0;
}

const NARROWEST_PART = 3;

/**
 * Makes whole numbers of dotted versions, in the same order. Where none has a dot they stay as
 * they are written; else every part behind the first takes the same number of digits, three at
 * least, and all have as many parts as the longest.
 *
 * @param versions as the files write them, with `.` or `_`
 * @returns digits by normalised version; null where they would be too many
 * @example
 * numberDotted(['1', '1.2']) // Map { '1' => '1000', '1.2' => '1002' }
 */
export function numberDotted(versions: string[]): Map<string, string | null> {
  const split = versions.map((version) => ({
    written: version,
    key: normaliseDotted(version),
    parts: normaliseDotted(version).split('.'),
  }));
  const count = Math.max(1, ...split.map(({ parts }) => parts.length));
  const behind = split.flatMap(({ parts }) => parts.slice(1));
  const width = Math.max(NARROWEST_PART, ...behind.map((part) => part.length));
  return new Map(
    split.map(({ written, key, parts }) => {
      if (count === 1) return [key, written.replace(/[._].*$/, '')];
      const padded = Array.from({ length: count - 1 }, (_, index) =>
        (parts[index + 1] ?? '0').padStart(width, '0'),
      );
      const digits = (parts[0] ?? '') + padded.join('');
      return [key, parseVersion(digits).length <= MAX_VERSION_DIGITS ? digits : null];
    }),
  );
}
