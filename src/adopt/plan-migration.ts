import {
  isVersion,
  MAX_VERSION_DIGITS,
  parseVersion,
  type Version,
} from '../migrate/files/version.ts';
import type { LedgerRow } from '../migrate/ledger/ledger.ts';
import { tokenChecksum } from '../sql/lexical.ts';
import { splitStatements } from '../sql/statements.ts';
import { type ConvertedScript, convertSection } from './convert.ts';
import {
  type Adapter,
  type AdoptionFinding,
  adoptionFinding,
  type ForeignMigration,
  type ForeignRow,
  fileNameOf,
} from './foreign.ts';
import { type Numbered, originLine } from './number.ts';
import type { OwnTable } from './own-table.ts';

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
  /** The other tool's name for it. */
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
  /** The tool's tracking table; null where there is none. */
  ownTable: OwnTable | null;
  /** What the ledger has already, by version. */
  ledger: Map<Version, LedgerRow>;
  /** Puts the folder before a path, for people. */
  show: (path: string) => string;
}

/** Decides what becomes of one migration, and checks it against what was applied. Pure. */
export function planMigration(
  { migration, label, needsOrigin }: Numbered,
  row: ForeignRow | undefined,
  input: PlacingInput,
): { planned?: PlannedMigration; findings: AdoptionFinding[] } {
  const file = input.show(migration.path);
  if (!isVersion(label)) {
    const message = `its version would have more than ${MAX_VERSION_DIGITS} digits`;
    return { findings: [adoptionFinding({ severity: 'error', file, message })] };
  }
  const version = parseVersion(label);
  const { tool } = input.adapter;
  const existing = input.existing.find((one) => one.version === version);
  const name = fileNameOf(migration.name, tool);
  // what was taken over is evdb's own from then on
  if (existing && input.ledger.has(version)) {
    return place({ migration, row, version, label, name, texts: undefined, existing, file });
  }
  const findings = checkRow(migration, row, input);
  const texts = migration.blocker === undefined ? convert(migration, input) : undefined;
  const blocker = migration.blocker ?? (row ? undefined : texts?.blocker);
  if (blocker !== undefined) {
    if (!existing) return { findings: [...findings, blocked(blocker, file, label, name)] };
    findings.push(handWritten(existing, file));
  }
  const wanted = blocker === undefined ? texts : undefined;
  if (wanted && needsOrigin) wanted.up = originLine(tool, migration.path) + wanted.up;
  const planned = place({ migration, row, version, label, name, texts: wanted, existing, file });
  return {
    planned: planned.planned,
    findings: [...findings, ...(wanted?.findings ?? []), ...planned.findings].map((finding) => ({
      ...finding,
      location: finding.location ?? { file },
    })),
  };
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
    return [adoptionFinding({ severity: 'info', message })];
  }
  return [
    adoptionFinding({
      severity: 'error',
      message: `it is not what ${adapter.tool} applied: its checksum is ${checksums[0]}, and the table has ${row.checksum}`,
      hint: 'Restore the file as it was applied, or let the tool itself accept the change, and adopt again.',
    }),
  ];
}

function blocked(reason: string, file: string, label: string, name: string): AdoptionFinding {
  return adoptionFinding({
    severity: 'error',
    file,
    message: reason,
    hint: `Write what it does as SQL into ${label}_${name}.sql of the new folder, and adopt again: that file is then taken.`,
  });
}

function handWritten({ label, name }: ExistingFile, file: string): AdoptionFinding {
  return adoptionFinding({
    severity: 'warning',
    file,
    message: `${label}_${name}.sql replaces it as written; it could not be compared`,
  });
}

interface Texts {
  up: string;
  down: string | null;
  findings: AdoptionFinding[];
  /** Whether somebody has to mend it, so that a file which is there already may be the mended one. */
  isDoubtful: boolean;
  /** Why it must not be taken over where it has not run. */
  blocker: string | undefined;
}

function convert({ up, down }: ForeignMigration, { adapter, ownTable }: PlacingInput): Texts {
  const { tool } = adapter;
  const converted = convertSection(up, ownTable ?? undefined);
  const findings: ConvertedScript['findings'] = [...(converted?.findings ?? [])];
  if (!converted) {
    findings.push(
      adoptionFinding({
        severity: 'info',
        message: 'it holds no statement, so a harmless one is put there',
      }),
    );
  }
  const back = down === null ? undefined : convertSection(down, ownTable ?? undefined);
  findings.push(...(back?.findings ?? []).map(ofDown));
  const divider = converted?.divider;
  const said = divider && `${JSON.stringify(divider.text)}, a marker of ${divider.markers.tool}`;
  if (said) {
    findings.push(
      adoptionFinding({
        severity: 'warning',
        message: `${said}, is left out: ${tool} ran what is on both sides of it`,
        hint: 'A new database gets both too. Put a corrected file of that name into the new folder before adopting, if it should not.',
      }),
    );
  }
  return {
    up: converted?.text ?? `-- ${tool} ran no statement here\nselect 1;\n`,
    down: back?.text ?? null,
    findings,
    isDoubtful: Boolean(converted?.isDoubtful || back?.isDoubtful || divider),
    blocker: said && `it holds ${said}: ${tool} would run what is on both sides of it`,
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
  file: string;
}): { planned: PlannedMigration; findings: AdoptionFinding[] } {
  const { migration, row, version, texts, existing } = from;
  const label = existing?.label ?? from.label;
  const name = existing?.name ?? from.name;
  const base = `${label}_${name}`;
  const findings: AdoptionFinding[] = [];
  const files: PlannedFile[] = [];
  const settle = (fileName: string, wanted: string | null, there: string | null) => {
    if (there !== null) {
      if (wanted !== null && !isSame(wanted, there)) {
        const isMended = existing !== undefined && texts?.isDoubtful === true;
        findings.push(isMended ? handWritten(existing, from.file) : differs(fileName));
      }
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
  return adoptionFinding({
    severity: 'error',
    message: `${fileName} already exists with different SQL`,
    hint: 'evdb never overwrites a file: move it away, or choose another folder with --write-to.',
  });
}
