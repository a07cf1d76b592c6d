import { crc32 } from 'node:zlib';
import { compareDotted, normaliseDotted, numberDotted } from './flyway-version.ts';
import {
  type AdoptionFinding,
  type ForeignFile,
  type ForeignMigration,
  plainSection,
} from './foreign.ts';

const VERSIONED = /^([VUB])(\d+(?:[._]\d+)*)__(.*)\.sql$/i;
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
export function readFlywayFiles(files: ForeignFile[]) {
  const sidecars = new Map(
    files.filter(({ path }) => path.endsWith('.conf')).map(({ path, bytes }) => [path, bytes]),
  );
  const confOf = ({ path }: ForeignFile) => sidecars.get(`${path}.conf`)?.toString() ?? '';
  const all = files.flatMap((file) => parseName(file) ?? []);
  const findings = files.filter(({ path }) => JAVA.test(baseName(path))).map(codeFinding);
  const versioned = all.filter(({ kind }) => kind === 'V');
  const baselines = all.filter((file) => isNeeded(file, versioned));
  const left = all.filter(({ kind }) => kind === 'B').filter((file) => !baselines.includes(file));
  findings.push(...left.map(({ file }) => leftOut(file)));
  const chosen = [...versioned, ...baselines];
  const numbers = numberDotted(chosen.map(({ written }) => written));
  const undos = new Map(
    all.filter(({ kind }) => kind === 'U').map(({ version, file }) => [version, file]),
  );
  const migrations = chosen.map((one): ForeignMigration => {
    const undo = undos.get(one.version);
    const label = numbers.get(one.version) ?? null;
    return {
      ...makeMigration(one.version, one, confOf(one.file)),
      label: label ?? '0',
      down: undo ? section(undo, confOf(undo)) : null,
      ...(label === null && { blocker: `its version ${one.written} has too many digits for evdb` }),
    };
  });
  const repeatables = numberRepeatables(all, migrations).map(({ one, label }) => ({
    ...makeMigration(`R:${one.name}`, one, confOf(one.file)),
    label,
  }));
  return { migrations: [...migrations, ...repeatables], findings };
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function parseName(file: ForeignFile): FlywayFile | undefined {
  const name = baseName(file.path);
  const repeatable = REPEATABLE.exec(name);
  if (repeatable) {
    return { kind: 'R', version: '', written: '', name: describe(repeatable[1]), file };
  }
  const match = VERSIONED.exec(name);
  if (!match) return undefined;
  const [, kind = '', written = '', description] = match;
  return {
    kind: kind.toUpperCase(),
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

/** In the order of their descriptions, numbered on from the newest version. */
function numberRepeatables(all: FlywayFile[], migrations: ForeignMigration[]) {
  const newest = migrations.reduce(
    (most, { label }) => (BigInt(label) > most ? BigInt(label) : most),
    0n,
  );
  const width = Math.max(0, ...migrations.map(({ label }) => label.length));
  return all
    .filter(({ kind }) => kind === 'R')
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((one, index) => ({
      one,
      label: String(newest + 1n + BigInt(index)).padStart(width, '0'),
    }));
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
