import {
  compareVersions,
  MAX_VERSION_DIGITS,
  parseVersion,
  type Version,
} from '../migrate/files/version.ts';
import {
  type AdoptionFinding,
  adoptionFinding,
  type ForeignMigration,
  fileNameOf,
} from './foreign.ts';
import type { ExistingFile } from './plan-migration.ts';

/** The version that a migration gets, as its digits are written. */
export interface Numbered {
  migration: ForeignMigration;
  label: string;
  /** Whether its number does not tell which file it stands for, so that the new one has to say it. */
  needsOrigin: boolean;
}

export interface NumberingInput {
  tool: string;
  /** In the order in which the tool runs them. */
  migrations: ForeignMigration[];
  existing: ExistingFile[];
  /** Puts the folder before a path, for people. */
  show: (path: string) => string;
}

/**
 * Gives each migration a version, so that evdb's order by number is the tool's own order. A number of
 * its own stays where it is above the one before; else the migration gets the next one. What the
 * folder has already keeps its version, so that all databases agree, however often they adopt. Pure.
 */
export function numberMigrations({ tool, migrations, existing, show }: NumberingInput): {
  numbered: Numbered[];
  findings: AdoptionFinding[];
} {
  const numbered: Numbered[] = [];
  const findings: AdoptionFinding[] = [];
  const placed = new Map(
    migrations.map((one) => [one, existing.find((file) => isOf(file, one, tool))?.label]),
  );
  const taken = new Set(existing.map(({ version }) => version));
  const ofOthers = new Set([...placed.values()].flatMap((label) => label ?? []).map(parseVersion));
  let before: Numbered | undefined;
  for (const migration of migrations) {
    const label =
      placed.get(migration) ?? chooseLabel(migration, before?.label, { taken, ofOthers });
    const version = parseVersion(label);
    taken.add(version);
    const isRenumbered = version !== parseVersion(migration.label);
    const one = { migration, label, needsOrigin: isRenumbered || migration.isNumberMade === true };
    numbered.push(one);
    const isNews = placed.get(migration) === undefined && !migration.isRepeatable;
    if (isRenumbered && isNews) findings.push(renumbered(one, before, show, tool));
    if (before && compareVersions(version, parseVersion(before.label)) < 0) {
      findings.push(runsEarlier(one, before, show, tool));
    } else before = one;
  }
  return { numbered, findings };
}

/** What tells in the new file which one it stands for, where its number does not. */
export function originLine(tool: string, path: string): string {
  return `-- adopted from ${tool}: ${path}\n`;
}

function isOf(file: ExistingFile, migration: ForeignMigration, tool: string): boolean {
  const origin = /^-- adopted from (\S+): (.+)$/m.exec(file.upText.slice(0, MAX_ORIGIN_LENGTH));
  if (origin) return origin[1] === tool && origin[2] === migration.path;
  const own = [migration.label, migration.key].map((digits) => parseVersion(digits));
  return own.includes(file.version) && file.name === fileNameOf(migration.name, tool);
}

const MAX_ORIGIN_LENGTH = 2000;

function chooseLabel(
  { label }: ForeignMigration,
  before: string | undefined,
  { taken, ofOthers }: { taken: Set<Version>; ofOthers: Set<Version> },
): string {
  const own = parseVersion(label);
  const fits = own !== '' && own.length <= MAX_VERSION_DIGITS && !ofOthers.has(own);
  if (fits && (before === undefined || compareVersions(own, parseVersion(before)) > 0))
    return label;
  let next = BigInt(before ?? '0') + 1n;
  while (taken.has(String(next))) next++;
  return String(next).padStart(before?.length ?? 3, '0');
}

function renumbered(
  { migration, label }: Numbered,
  before: Numbered | undefined,
  show: (path: string) => string,
  tool: string,
): AdoptionFinding {
  const own = parseVersion(migration.label);
  const reason =
    own === ''
      ? 'it has no number that evdb can hold'
      : own.length > MAX_VERSION_DIGITS
        ? `its version has more than ${MAX_VERSION_DIGITS} digits`
        : `${tool} runs it after ${before ? show(before.migration.path) : 'others'}`;
  return adoptionFinding({
    severity: 'info',
    file: show(migration.path),
    message: `it gets version ${label}, because ${reason}`,
  });
}

function runsEarlier(
  { migration, label }: Numbered,
  before: Numbered,
  show: (path: string) => string,
  tool: string,
): AdoptionFinding {
  return adoptionFinding({
    severity: 'warning',
    file: show(migration.path),
    message: `${tool} runs it after ${show(before.migration.path)}, and evdb before it: ${label} is taken, and ${before.label} too`,
    hint: 'Check whether their order matters. On a new database evdb runs them by version.',
  });
}
