import { compareVersions, type Version } from '../migrate/files/version.ts';
import type { LedgerRow } from '../migrate/ledger/ledger.ts';
import { commandLine } from '../text/command-line.ts';
import {
  type Adapter,
  type AdoptionFinding,
  adoptionFinding,
  type ForeignMigration,
  type ForeignRow,
} from './foreign.ts';
import { numberMigrations } from './number.ts';
import type { OwnTable } from './own-table.ts';
import { type ExistingFile, type PlannedMigration, planMigration } from './plan-migration.ts';

export interface AdoptionPlan {
  /** Applied there and not in the ledger yet. */
  adopted: PlannedMigration[];
  /** In the ledger already, whoever applied it. */
  known: PlannedMigration[];
  pending: PlannedMigration[];
  findings: AdoptionFinding[];
}

export interface AdoptionInput {
  adapter: Adapter;
  migrations: ForeignMigration[];
  rows: ForeignRow[];
  ledgerRows: LedgerRow[];
  existing: ExistingFile[];
  /** The tool's tracking table; null where there is none. */
  ownTable: OwnTable | null;
  /** Puts the folder before a path, for people. */
  show: (path: string) => string;
}

/**
 * Puts files, tracking table, ledger and folder side by side and decides what adopting does. Pure.
 * Everything that stands in the way is an error among the findings.
 */
export function planAdoption(input: AdoptionInput): AdoptionPlan {
  const { rows, ledgerRows, migrations } = input;
  const rowByKey = new Map(rows.map((row) => [row.key, row]));
  const findings: AdoptionFinding[] = [...duplicates(input), ...missingFiles(input)];
  const { adapter, existing, show } = input;
  const { numbered, ...told } = numberMigrations({
    tool: adapter.tool,
    migrations,
    existing,
    show,
  });
  findings.push(...told.findings, ...otherOrder(input, rowByKey));
  const ledger = new Map(ledgerRows.map((row) => [row.version, row]));
  const planned: PlannedMigration[] = [];
  for (const one of numbered) {
    const row = rowByKey.get(one.migration.key);
    const found = planMigration(one, row, { ...input, ledger });
    findings.push(...found.findings);
    if (found.planned) planned.push(found.planned);
  }
  planned.sort((a, b) => compareVersions(a.version, b.version));
  findings.push(...planned.flatMap((one) => conflict(one, ledger, input)));
  const applied = planned.filter(({ row }) => row !== undefined);
  const pending = planned.filter(({ row, version }) => row === undefined && !ledger.has(version));
  findings.push(...outOfOrder(applied, pending, input));
  return {
    adopted: applied.filter(({ version }) => !ledger.has(version)),
    known: planned.filter(({ version }) => ledger.has(version)),
    pending,
    findings,
  };
}

/** What the table could not tell apart. */
function duplicates({ adapter, migrations, show }: AdoptionInput): AdoptionFinding[] {
  const first = new Map<string, ForeignMigration>();
  return migrations.flatMap((migration): AdoptionFinding[] => {
    const other = first.get(migration.key);
    first.set(migration.key, other ?? migration);
    if (!other) return [];
    return [
      adoptionFinding({
        severity: 'error',
        file: show(migration.path),
        message: `it has the same version as ${show(other.path)}, which ${adapter.tool} cannot tell apart`,
        hint: 'Give one of them a version of its own, as it was applied, or remove it.',
      }),
    ];
  });
}

/** Where this database was migrated in another order than a new one would be. */
function otherOrder(
  { adapter, migrations, show }: AdoptionInput,
  rowByKey: Map<string, ForeignRow>,
): AdoptionFinding[] {
  let latest: { path: string; at: string } | undefined;
  return migrations.flatMap(({ key, path, isRepeatable }): AdoptionFinding[] => {
    const at = rowByKey.get(key)?.appliedAt;
    if (!at || isRepeatable) return [];
    const before = latest;
    if (!before || before.at <= at) {
      latest = { path, at };
      return [];
    }
    return [
      adoptionFinding({
        severity: 'warning',
        file: show(path),
        message: `it was applied here before ${show(before.path)}; on a new database ${adapter.tool} runs it after that file, and so does evdb`,
        hint: `Whether that makes a difference: ${commandLine('migrate status', { drift: true })}`,
      }),
    ];
  });
}

function missingFiles({ adapter, migrations, rows }: AdoptionInput): AdoptionFinding[] {
  const keys = new Set(migrations.map(({ key }) => key));
  return rows
    .filter(({ key }) => !keys.has(key))
    .map(({ key }) =>
      adoptionFinding({
        severity: 'warning',
        message: `${adapter.tool} applied ${key}, which has no file here: it is left out, and what it made stays`,
        hint: 'Restore the file from version control first, if new databases need what it makes.',
      }),
    );
}

/** A row that the ledger has for a version has to be of the same migration. */
function conflict(
  { version, label, name, path }: PlannedMigration,
  ledger: Map<Version, LedgerRow>,
  { show }: AdoptionInput,
): AdoptionFinding[] {
  const row = ledger.get(version);
  if (!row || row.name === name) return [];
  return [
    adoptionFinding({
      severity: 'error',
      file: show(path),
      message: `it would be ${label}_${name}, and the ledger has ${row.label}_${row.name} under that version`,
      hint: 'Adopt into a schema or database that evdb has not migrated yet.',
    }),
  ];
}

function outOfOrder(
  applied: PlannedMigration[],
  pending: PlannedMigration[],
  { show }: AdoptionInput,
): AdoptionFinding[] {
  const newest = applied.at(-1);
  if (!newest) return [];
  return pending
    .filter(({ version }) => compareVersions(version, newest.version) < 0)
    .map(({ path, label }) =>
      adoptionFinding({
        severity: 'warning',
        file: show(path),
        message: `it is pending, although the newer ${show(newest.path)} is applied`,
        hint: `Decide whether it should run: \`${commandLine('migrate up', { 'out-of-order': true })}\` applies it, \`${commandLine('migrate baseline', {}, { args: [label] })}\` counts it as applied.`,
      }),
    );
}
