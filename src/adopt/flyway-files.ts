import { crc32 } from 'node:zlib';
import { compareDotted, normaliseDotted, numberDotted } from './flyway-version.ts';
import {
  type AdoptionFinding,
  byText,
  type ForeignFile,
  type ForeignMigration,
  plainSection,
  type TableRow,
} from './foreign.ts';

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
export function readFlywayFiles(files: ForeignFile[], rows: TableRow[]) {
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
    ...(placeholder && !isLiteral && { blocker: `it uses the placeholder ${placeholder}` }),
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
  return {
    severity: 'error',
    file: path,
    message: 'it is code or a script, not SQL',
    hint: 'Write what it does as SQL in a versioned file of the same number, or move it away.',
  };
}

function leftOut({ path }: ForeignFile): AdoptionFinding {
  return {
    severity: 'note',
    file: path,
    message:
      'it is a baseline of files that are all here, so it is left out; a new database runs those',
  };
}
