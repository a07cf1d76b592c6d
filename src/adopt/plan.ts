import type { LedgerRow } from '../migrate/ledger.ts';
import { compareVersions, parseVersion, type Version } from '../migrate/version.ts';
import { commandLine } from '../text/command-line.ts';
import type { Adapter, AdoptionFinding, ForeignMigration, ForeignRow } from './foreign.ts';
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
  const taken = new Set(migrations.map(({ label }) => parseVersion(label)));
  const ledger = new Map(ledgerRows.map((row) => [row.version, row]));
  const planned: PlannedMigration[] = [];
  for (const migration of migrations) {
    const row = rowByKey.get(migration.key);
    const found = planMigration(migration, row, { ...input, taken, ledger });
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

function duplicates({ migrations, show }: AdoptionInput): AdoptionFinding[] {
  const first = new Map<string, ForeignMigration>();
  return migrations.flatMap((migration): AdoptionFinding[] => {
    const version = parseVersion(migration.label);
    const other = first.get(version);
    first.set(version, other ?? migration);
    if (!other) return [];
    return [
      {
        severity: 'error',
        file: show(migration.path),
        message: `it has the same version as ${show(other.path)}`,
        hint: 'evdb compares versions as numbers, so each needs its own.',
      },
    ];
  });
}

function missingFiles({ adapter, migrations, rows }: AdoptionInput): AdoptionFinding[] {
  const keys = new Set(migrations.map(({ key }) => key));
  return rows
    .filter(({ key }) => !keys.has(key))
    .map(({ key }) => ({
      severity: 'warning',
      message: `${adapter.tool} applied ${key}, and there is no file of it: it is left out, what it made stays`,
      hint: 'Bring the file back from version control first, if new databases need what it makes.',
    }));
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
    {
      severity: 'error',
      file: show(path),
      message: `it would be ${label}_${name}, and the ledger has ${row.label}_${row.name} under that version`,
      hint: 'Adopt into a schema or database that evdb has not migrated yet.',
    },
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
    .map(({ path, label }) => ({
      severity: 'warning',
      file: show(path),
      message: `it is pending, although the newer ${show(newest.path)} is applied`,
      hint: `Look whether it should run: \`${commandLine('migrate up', { 'out-of-order': true })}\` applies it, \`${commandLine('migrate baseline', {}, { args: [label] })}\` counts it as applied.`,
    }));
}
