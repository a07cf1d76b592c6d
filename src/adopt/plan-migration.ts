import type { LedgerRow } from '../migrate/ledger.ts';
import { tokenChecksum } from '../migrate/token-checksum.ts';
import { MAX_VERSION_DIGITS, parseVersion, type Version } from '../migrate/version.ts';
import { splitStatements } from '../sql/statements.ts';
import { type ConvertedScript, convertSection } from './convert.ts';
import type { Adapter, AdoptionFinding, ForeignMigration, ForeignRow } from './foreign.ts';
import { fileNameOf, labelOf } from './name.ts';

/** A file of the folder that evdb is to use. */
export interface ExistingFile {
  version: Version;
  label: string;
  name: string;
  upText: string;
  downText: string | null;
}

export interface PlannedFile {
  /** Its name in the folder. */
  name: string;
  text: string;
}

/** One migration as evdb will have it. */
export interface PlannedMigration {
  version: Version;
  label: string;
  name: string;
  /** What the other tool calls it. */
  key: string;
  /** The other tool's file. */
  path: string;
  upText: string;
  downText: string | null;
  /** What is not there yet. */
  files: PlannedFile[];
  /** Set where the tracking table says that it is applied. */
  row: ForeignRow | undefined;
  /** How the file was compared with what was applied. */
  verifiedBy: 'checksum' | 'name';
}

export interface PlacingInput {
  adapter: Adapter;
  existing: ExistingFile[];
  /** Versions that files have. */
  taken: Set<Version>;
  /** What the ledger has already, by version. */
  ledger: Map<Version, LedgerRow>;
  /** Puts the folder before a path, for people. */
  show: (path: string) => string;
}

/** Decides what becomes of one migration, and checks it against what was applied. Pure. */
export function planMigration(
  migration: ForeignMigration,
  row: ForeignRow | undefined,
  input: PlacingInput,
): { planned?: PlannedMigration; findings: AdoptionFinding[] } {
  const file = input.show(migration.path);
  const label = labelOf(migration, input.taken);
  if (label === null) {
    const message = migration.blocker ?? versionProblem(migration);
    return { findings: [{ severity: 'error', file, message }] };
  }
  const version = parseVersion(label);
  const existing = input.existing.find((one) => one.version === version);
  const name = fileNameOf(migration.name, input.adapter.tool);
  // what was taken over is evdb's own from then on
  if (existing && input.ledger.has(version)) {
    return place({ migration, row, version, label, name, texts: undefined, existing });
  }
  const findings = checkRow(migration, row, input);
  if (migration.blocker) {
    if (!existing)
      return { findings: [...findings, blocked(migration.blocker, file, label, name)] };
    findings.push(handWritten(existing, file));
  }
  const texts = migration.blocker ? undefined : convert(migration, input.adapter);
  const planned = place({ migration, row, version, label, name, texts, existing });
  return {
    planned: planned.planned,
    findings: [...findings, ...(texts?.findings ?? []), ...planned.findings].map((finding) => ({
      file,
      ...finding,
    })),
  };
}

function versionProblem({ label }: ForeignMigration): string {
  return parseVersion(label) === '0'
    ? 'its version is 0, evdb begins at 1, and there is a version 1 too'
    : `its version has more than ${MAX_VERSION_DIGITS} digits`;
}

/** Where the table keeps checksums, the file has to have the one that was applied. */
function checkRow(
  { checksums }: ForeignMigration,
  row: ForeignRow | undefined,
  { adapter }: PlacingInput,
): AdoptionFinding[] {
  if (!row || row.checksum === null || !checksums) return [];
  const index = checksums.indexOf(row.checksum);
  if (index === 0) return [];
  if (index > 0) {
    const message = 'it matches what was applied only with other line ends';
    return [{ severity: 'note', message }];
  }
  return [
    {
      severity: 'error',
      message: `it is not what ${adapter.tool} applied: its checksum is ${checksums[0]}, and the table has ${row.checksum}`,
      hint: 'Bring the file back as it was applied, or let the tool itself accept the change, and adopt again.',
    },
  ];
}

function blocked(reason: string, file: string, label: string, name: string): AdoptionFinding {
  return {
    severity: 'error',
    file,
    message: reason,
    hint: `Write what it does as SQL into ${label}_${name}.sql of the new folder, and adopt again: that file is then taken.`,
  };
}

function handWritten({ label, name }: ExistingFile, file: string): AdoptionFinding {
  return {
    severity: 'warning',
    file,
    message: `${label}_${name}.sql stands in for it, as somebody wrote it; it could not be compared`,
  };
}

interface Texts {
  up: string;
  down: string | null;
  findings: AdoptionFinding[];
}

function convert({ up, down }: ForeignMigration, { tool }: Adapter): Texts {
  const converted = convertSection(up);
  const findings: ConvertedScript['findings'] = [...(converted?.findings ?? [])];
  if (!converted) {
    findings.push({
      severity: 'note',
      message: 'it holds no statement, so a harmless one is put there',
    });
  }
  const back = down === null ? undefined : convertSection(down);
  findings.push(...(back?.findings ?? []).map(ofDown));
  return {
    up: converted?.text ?? `-- ${tool} ran no statement here\nselect 1;\n`,
    down: back?.text ?? null,
    findings,
  };
}

function ofDown(finding: ConvertedScript['findings'][number]) {
  return { ...finding, message: `its down part: ${finding.message}` };
}

/** Takes over what lies in the folder already, where it is the same but for comments. */
function place(from: {
  migration: ForeignMigration;
  row: ForeignRow | undefined;
  version: Version;
  label: string;
  name: string;
  texts: Texts | undefined;
  existing: ExistingFile | undefined;
}): { planned: PlannedMigration; findings: AdoptionFinding[] } {
  const { migration, row, version, texts, existing } = from;
  const label = existing?.label ?? from.label;
  const name = existing?.name ?? from.name;
  const base = `${label}_${name}`;
  const findings: AdoptionFinding[] = [];
  const files: PlannedFile[] = [];
  const settle = (fileName: string, wanted: string | null, there: string | null) => {
    if (there !== null) {
      if (wanted !== null && !isSame(wanted, there)) findings.push(differs(fileName));
      return there;
    }
    if (wanted !== null) files.push({ name: fileName, text: wanted });
    return wanted;
  };
  const upText = settle(`${base}.sql`, texts?.up ?? null, existing?.upText ?? null) ?? '';
  const downText = settle(`${base}.down.sql`, texts?.down ?? null, existing?.downText ?? null);
  const { key, path } = migration;
  const verifiedBy = row?.checksum && migration.checksums && texts ? 'checksum' : 'name';
  const planned = { version, label, name, key, path, upText, downText, files, row, verifiedBy };
  return { planned: planned as PlannedMigration, findings };
}

function isSame(wanted: string, there: string): boolean {
  return (
    wanted === there || tokenChecksum(wanted, splitStatements(wanted)) === tokenChecksum(there)
  );
}

function differs(fileName: string): AdoptionFinding {
  return {
    severity: 'error',
    message: `${fileName} is there already, and its SQL is another`,
    hint: 'evdb never overwrites a file: move it away, or choose another folder with --write-to.',
  };
}
